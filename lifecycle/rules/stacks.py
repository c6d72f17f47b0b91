"""Stacks, from the time before targets.

Spec: buildpack.md (0.9) "Phase #1: Detection", buildpack.md "Deprecations" (``stacks`` array).
Mixins are not compared: nothing tells the lifecycle which ones the build environment has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.api import BuildpackFeature, PlatformFeature
from lifecycle.model.target import Distro, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.api import BuildpackApi, PlatformApi
    from lifecycle.model.descriptor import StackEntry

ANY_STACK = "*"
BIONIC = "io.buildpacks.stacks.bionic"
BIONIC_TARGET = Target(os="linux", arch="amd64", distros=(Distro(name="ubuntu", version="18.04"),))
"""The stack bionic as a target, of buildpacks and of base images."""


def supports_stack(
    stacks: Sequence[StackEntry], stack_id: str, *, platform_api: PlatformApi, buildpack_api: BuildpackApi
) -> bool:
    """Say whether a buildpack may run in the build environment of that stack.

    With targets on either side, without a known stack, or when the buildpack names none, there is nothing to
    compare.
    """
    if PlatformFeature.TARGETS in platform_api or BuildpackFeature.TARGETS in buildpack_api:
        return True
    return not stack_id or not stacks or any(stack.id in {ANY_STACK, stack_id} for stack in stacks)
