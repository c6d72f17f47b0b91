"""Which image arguments a phase takes, and which flags exclude each other.

Spec: platform.md "Usage" of each phase.  Reference: platform/resolve_inputs.go for the sentences.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cli.inputs.settings import Settings


def check_arguments(settings: Settings, environment: Mapping[str, str]) -> None:
    """Check the number and form of image arguments; raise ``InvalidInputError``."""
    _check_count(settings)
    _check_run_image(settings, given=settings.text("run_image") != environment.get("CNB_RUN_IMAGE", ""))
    _check_references(settings)


def _check_count(settings: Settings) -> None:
    count = len(settings.images)
    match settings.phase:
        case Phase.ANALYZER | Phase.CREATOR:
            if count != 1:
                raise InvalidInputError(f"failed to parse arguments: received {count} arguments, but expected 1")
        case Phase.EXPORTER | Phase.REBASER:
            if not count:
                raise InvalidInputError("failed to parse arguments: at least one image argument is required")
        case Phase.DETECTOR | Phase.EXTENDER | Phase.BUILDER:
            if count:
                raise InvalidInputError("failed to parse arguments: received unexpected arguments")
        case Phase.RESTORER:
            if count:
                raise InvalidInputError("failed to parse arguments: received unexpected Args")


def _check_run_image(settings: Settings, *, given: bool) -> None:
    """Refuse flags that name a run image where it comes from elsewhere; ``given`` means by ``-run-image``."""
    deprecated = settings.text("image")
    if settings.phase is Phase.EXPORTER and (given or deprecated):
        raise InvalidInputError(
            "-run-image is unsupported" if given else "-image is unsupported", remedy="give -run-image to the analyzer"
        )
    if settings.phase is Phase.REBASER and given and deprecated:
        raise InvalidInputError(
            "supply only one of -run-image or (deprecated) -image", remedy="leave out the deprecated one"
        )


def _check_references(settings: Settings) -> None:
    from lifecycle.oci.reference import parse_reference, parse_tag

    if settings.switch("layout") and all(Path(name).is_absolute() for name in settings.images):
        return
    references = [parse_tag(name) for name in (*settings.images, *settings.list("tag"))]
    if settings.text("previous_image") and not settings.switch("layout"):
        parse_reference(settings.text("previous_image"))
    if not settings.switch("daemon") and len({each.registry for each in references}) > 1:
        raise InvalidInputError(
            "writing to multiple registries is unsupported", remedy="give names of one registry in each run"
        )
