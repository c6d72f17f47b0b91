"""Which run image a build uses, and what is known of it.

Spec: platform.md "Run Image Resolution", "Target Data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, InvalidInputError
from lifecycle.model.api import PlatformFeature
from lifecycle.model.run import Run, RunImage, Stack
from lifecycle.model.target import Distro, TargetData
from lifecycle.oci.reference import parse_reference, same_image_name
from lifecycle.rules.stacks import BIONIC, BIONIC_TARGET

if TYPE_CHECKING:
    from lifecycle.model.api import PlatformApi
    from lifecycle.oci.config import ImageConfig

STACK_ID_LABEL = "io.buildpacks.stack.id"
DISTRO_NAME_LABEL = "io.buildpacks.base.distro.name"
DISTRO_VERSION_LABEL = "io.buildpacks.base.distro.version"
TARGET_ID_LABEL = "io.buildpacks.base.id"

_BIONIC_DATA = TargetData(os=BIONIC_TARGET.os, arch=BIONIC_TARGET.arch, distro=BIONIC_TARGET.distros[0])


def offered_run_image(api: PlatformApi, *, run: Run, stack: Stack) -> RunImage:
    """Return the run image that the builder offers when the platform names none.

    Raises ``InvalidInputError`` when run.toml or stack.toml (Platform API 0.7 to 0.11) has none.
    """
    if PlatformFeature.RUN_TOML not in api:
        offered, problem = stack.run_image, "missing run image metadata (-run-image)"
    else:
        offered = run.images[0] if run.images else RunImage()
        problem = "-run-image is required when there is no run metadata available"
    if not offered.image:
        raise InvalidInputError(problem, remedy="name a run image with -run-image")
    return offered


def by_preference(offered: RunImage, *, app_image: str) -> tuple[str, ...]:
    """Return the image and its mirrors, those in the registry of the app image first.

    The first one that can be read is the run image.  Reference: also before Platform API 0.12, where the
    specification has no check of access; that changes failures only.
    """
    registry = _registry(app_image)
    names = offered.names()
    near = [name for name in names if registry is not None and _registry(name) == registry]
    return (*near, *(name for name in names if name not in near))


def _registry(name: str) -> str | None:
    try:
        return parse_reference(name).registry
    except InvalidInputError:
        return None


def listed(run: Run, name: str) -> RunImage | None:
    """Return the first entry of run.toml whose image or mirrors contain ``name``."""
    return next((entry for entry in run.images if any(same_image_name(name, each) for each in entry.names())), None)


def analyzed_name(name: str, reference: str) -> str:
    """Return the name of a run image as analyzed.toml has it.

    Reference: an image in a layout directory is called by its path, which no entry of run.toml equals.
    """
    path, at, _ = reference.rpartition("@")
    return path if at and path.startswith("/") else name


def target_data(config: ImageConfig, *, where: str) -> TargetData:
    """Return what the configuration of a base image tells of its target.

    Raises ``CorruptImageError`` when it has no os.  An image of the stack bionic without distribution labels
    is Ubuntu 18.04; any other missing distribution is left for /etc/os-release.
    Spec: platform.md "Target Data"; the specification's ``arm64`` for bionic is taken for a slip.
    """
    labels = config.labels
    bionic = labels.get(STACK_ID_LABEL) == BIONIC
    assumed = _BIONIC_DATA if bionic else TargetData()
    os = config.os or assumed.os
    if not os:
        raise CorruptImageError("failed to find OS in run image config", where=where)
    name, version = labels.get(DISTRO_NAME_LABEL), labels.get(DISTRO_VERSION_LABEL)
    named = name is not None or version is not None
    return TargetData(
        id=labels.get(TARGET_ID_LABEL, ""),
        os=os,
        arch=config.architecture or assumed.arch,
        arch_variant=config.variant,
        distro=Distro(name=name or "", version=version or "") if named else assumed.distro,
    )
