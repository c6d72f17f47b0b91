"""What more than one step reads: files of the platform and of earlier steps, and what is known of the target."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.files.codec import load
from lifecycle.model.api import PlatformFeature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group
    from lifecycle.model.run import Run, Stack
    from lifecycle.model.target import TargetData

_LOG = logging.getLogger(__name__)
_M = TypeVar("_M", bound="Run | Stack")


def read_run(settings: Settings) -> Run:
    """Read run.toml; empty where the Platform API has none or the file is missing."""
    from lifecycle.model.run import Run

    return _read_images(Run, "run", settings, PlatformFeature.RUN_TOML)


def read_stack(settings: Settings) -> Stack:
    """Read stack.toml; empty where the Platform API has none or the file is missing."""
    from lifecycle.model.run import Stack

    return _read_images(Stack, "stack", settings, PlatformFeature.STACK_TOML)


def _read_images(model: type[_M], name: str, settings: Settings, feature: PlatformFeature) -> _M:
    if feature not in settings.api:
        return model()
    path = settings.path(name)
    found = load(model, path, missing_ok=True)
    if found is None:
        _LOG.info('No %s metadata found at path "%s"', name, path)
    return found or model()


def read_analyzed(settings: Settings) -> Analyzed:
    """Read analyzed.toml; a missing one is a warning."""
    from lifecycle.model.analyzed import Analyzed

    path = settings.path("analyzed")
    found = load(Analyzed, path, missing_ok=True)
    if found is None:
        _LOG.warning('No analyzed metadata found at path "%s"', path)
    return found or Analyzed()


def read_analyzed_if_usable(settings: Settings) -> Analyzed:
    """Read analyzed.toml; one that can't be understood is a warning, as a missing one is."""
    try:
        return read_analyzed(settings)
    except InvalidFileError as error:
        from lifecycle.model.analyzed import Analyzed

        _LOG.warning("Not using analyzed data: %s", error)
        return Analyzed()


def read_group(settings: Settings) -> Group:
    """Read group.toml; raise ``BuildpackApiError`` for an API that is not supported."""
    from lifecycle.model.group import Group

    group = load(Group, settings.path("group"))
    group.check_apis()
    return group


@contextmanager
def resolving_inputs() -> Iterator[None]:
    """Make a file that can't be understood an input that can't be resolved."""
    try:
        yield
    except InvalidFileError as error:
        raise InvalidInputError(error.message, where=error.where, remedy=error.remedy) from error


def known_target(analyzed: Analyzed, *, announced: bool = False) -> TargetData:
    """Return what is known of the target: analyzed.toml's, completed from this host, which may be announced."""
    from lifecycle.images.image_platform import host_platform
    from lifecycle.rules.targets import complete_target, lacks_distro

    recorded = analyzed.run_image.target if analyzed.run_image else None
    distro = None
    if lacks_distro(recorded):
        level = logging.INFO if announced else logging.DEBUG
        _LOG.log(level, "target distro name/version labels not found, reading /etc/os-release file")
        from lifecycle.files.os_release import read_distro

        distro = read_distro()
    return complete_target(recorded, distro=distro, arch=host_platform().architecture)


def exec_env(settings: Settings) -> str:
    """Return the execution environment, which buildpacks of an API that knows it get under any Platform API."""
    value = settings.text("exec_env")
    if "/" in value and PlatformFeature.EXEC_ENV in settings.api:
        raise InvalidInputError(f"CNB_EXEC_ENV is {value!r}, which holds the reserved character '/'")
    return value


def skips_layers(settings: Settings) -> bool:
    """Say whether the platform wants no layers back."""
    return settings.switch("skip_layers") or settings.switch("skip_restore")
