"""Which run image the extensions of a group choose, and whether it is to be extended.

Spec: platform.md "detector" (run image).  Reference: extended means that there are instructions to apply,
and a switched run image is recorded with its new name as reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import PlatformFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.api import PlatformApi
    from lifecycle.rules.extensions.dockerfiles import Checked


@dataclass(frozen=True, slots=True)
class RunImageDecision:
    """``base`` is the new run image (``""``: as it was), ``ignored`` the number of Dockerfiles made void."""

    base: str
    extend: bool
    ignored: int


def decide_run_image(dockerfiles: Sequence[Checked]) -> RunImageDecision:
    """Decide by the run.Dockerfiles in group order: the last with another image makes void those before."""
    switching = [index for index, each in enumerate(dockerfiles) if each.base]
    first = switching[-1] if switching else 0
    return RunImageDecision(
        base=dockerfiles[first].base if switching else "",
        extend=any(each.instructions for each in dockerfiles[first:]),
        ignored=first,
    )


def switches(analyzed: Analyzed, decision: RunImageDecision, *, platform_api: PlatformApi) -> bool:
    """Say whether the decision is for another run image than the one that analysis chose."""
    if not decision.base:
        return False
    if PlatformFeature.RUN_IMAGE_EXTENSION not in platform_api:
        return True
    return analyzed.run_image is None or analyzed.run_image.image != decision.base


def with_run_image(analyzed: Analyzed, decision: RunImageDecision, *, platform_api: PlatformApi) -> Analyzed:
    """Return analyzed.toml with the run image that was decided on; target data belonged to the old one."""
    if switches(analyzed, decision, platform_api=platform_api):
        chosen = RunImageChoice(reference=decision.base, image=decision.base, extend=decision.extend)
    elif analyzed.run_image is not None:
        chosen = analyzed.run_image.model_copy(update={"extend": decision.extend})
    elif decision.extend:
        chosen = RunImageChoice(extend=True)
    else:
        return analyzed
    return analyzed.model_copy(update={"run_image": chosen})
