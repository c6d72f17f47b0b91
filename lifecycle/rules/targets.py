"""Targets: which operating systems, architectures and distributions a module is for.

Spec: buildpack.md "Targets", "Deprecations" (``stacks`` array).  An empty field matches anything, on either
side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.api import BuildpackFeature
from lifecycle.model.target import Distro, Target, TargetData
from lifecycle.oci.gojson import Struct, dumps
from lifecycle.rules.stacks import ANY_STACK, BIONIC, BIONIC_TARGET

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lifecycle.model.api import BuildpackApi
    from lifecycle.model.descriptor import StackEntry

_OS_BY_BUILD = {"build": "linux", "build.bat": "windows", "build.exe": "windows"}


def buildpack_targets(
    targets: Sequence[Target],
    stacks: Sequence[StackEntry],
    executables: Collection[str],
    *,
    api: BuildpackApi,
) -> tuple[Target, ...]:
    """Return the targets that a component buildpack declares, or what its stacks or its executables tell.

    ``executables`` are the names in its ``bin`` directory.
    """
    return tuple(targets) or _of_stacks(stacks, api) or _of_build(executables)


def _of_stacks(stacks: Sequence[StackEntry], api: BuildpackApi) -> tuple[Target, ...]:
    found = []
    for stack in stacks:
        if stack.id == ANY_STACK:
            found.append(Target())
        elif stack.id == BIONIC and (BuildpackFeature.TARGETS in api or len(stacks) == 1):
            found.append(BIONIC_TARGET)
    return tuple(found)


def _of_build(executables: Collection[str]) -> tuple[Target, ...]:
    systems = dict.fromkeys(system for name, system in _OS_BY_BUILD.items() if name in executables)
    return tuple(Target(os=system) for system in systems)


def satisfies(targets: Sequence[Target], base: TargetData) -> bool:
    """Say whether one of the targets matches the base image."""
    return any(_matches(target, base) for target in targets)


def _matches(target: Target, base: TargetData) -> bool:
    if not (
        _same(target.os, base.os) and _same(target.arch, base.arch) and _same(target.arch_variant, base.arch_variant)
    ):
        return False
    if not target.distros:
        return True
    distro = base.distro
    return distro is not None and any(
        _same(each.name, distro.name) and _same(each.version, distro.version) for each in target.distros
    )


def _same(one: str, other: str) -> bool:
    return not one or not other or one == other


def nearest(targets: Sequence[Target], base: TargetData) -> TargetData:
    """Return ``base`` if a target matches it, else with the first distribution with which one does, else as it is."""
    others = (base.model_copy(update={"distro": distro}) for target in targets for distro in target.distros)
    return next((each for each in (base, *others) if satisfies(targets, each)), base)


def mismatch(targets: Sequence[Target], base: TargetData) -> str:
    """Return the sentence that says why a module is not for the base image."""
    run_image = dumps(_present(base.struct()))
    module = dumps([_present(_platform(target)) for target in targets])
    return f"unable to satisfy target os/arch constraints; run image: {run_image}, buildpack: {module}"


def _platform(target: Target) -> Struct:
    distros = [distro.struct() for distro in target.distros]
    return Struct(
        {
            "os": target.os,
            "arch": target.arch,
            "arch-variant": target.arch_variant or None,
            "distros": distros or None,
        }
    )


def _present(fields: Struct) -> Struct:
    return Struct({key: value for key, value in fields.items() if value is not None})


def complete_target(recorded: TargetData | None, *, distro: Distro | None, arch: str) -> TargetData:
    """Return the target data of a build: what analysis recorded, its gaps filled from the build image.

    Spec: platform.md "analyzed.toml (TOML)".  Reference: a missing distribution is that of /etc/os-release, a missing
    os is linux, a missing architecture the own one.
    """
    known = recorded or TargetData()
    filled = known.model_copy(update={"os": known.os or "linux", "arch": known.arch or arch})
    return filled.model_copy(update={"distro": distro}) if distro is not None and lacks_distro(known) else filled


def lacks_distro(target: TargetData | None) -> bool:
    """Say whether the distribution has to be found out."""
    if target is None:
        return True
    return target.os in {"", "linux"} and target.distro is None
