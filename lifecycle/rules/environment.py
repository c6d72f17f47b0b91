"""The environment of buildpacks: what they inherit, what users and operators set, what earlier layers add.

Spec: buildpack.md "Environment", "Environment Variable Modification Rules";
platform.md "Buildpack Environment".
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lifecycle.model.api import BuildpackApi, BuildpackFeature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lifecycle.model.target import TargetData

POSIX_PATHS = ("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "PKG_CONFIG_PATH")
"""Lists of directories, which are extended rather than replaced."""

_INHERITED = (
    *POSIX_PATHS, "CNB_STACK_ID", "HOSTNAME", "HOME",
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy",
)  # fmt: skip

SEARCH_PATHS: Mapping[str, tuple[str, ...]] = {
    "bin": ("PATH",),
    "lib": ("LD_LIBRARY_PATH", "LIBRARY_PATH"),
    "include": ("CPATH",),
    "pkgconfig": ("PKG_CONFIG_PATH",),
}
"""Directories of a build layer and the variables that they extend.  Spec: buildpack.md "Layer Paths"."""


class Phase(StrEnum):
    """Which executable of a buildpack or extension is run."""

    DETECT = "detect"
    BUILD = "build"
    GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class LayerEnvironment:
    """What a layer contributes: its search directories by name, and its env files directory by directory."""

    search_paths: Mapping[str, str]
    files: tuple[Mapping[str, str], ...]


def base_environment(process_env: Mapping[str, str]) -> dict[str, str]:
    """Return what buildpacks inherit of the lifecycle's environment, and nothing else: no credentials."""
    return {name: process_env[name] for name in _INHERITED if name in process_env}


def with_platform(
    env: Mapping[str, str],
    *,
    platform_files: Mapping[str, str],
    build_config_files: Mapping[str, str],
    clear_env: bool,
) -> dict[str, str]:
    """Return ``env`` with the user's variables, unless the buildpack clears them, and then the operator's.

    Spec: platform.md "User-Provided Variables", "Operator-Defined Variables".
    """
    result = dict(env)
    if not clear_env:
        for name, value in platform_files.items():
            old = result.get(name, "")
            result[name] = f"{value}{os.pathsep}{old}" if name in POSIX_PATHS and old else value
    return modified(result, build_config_files, default_action="default")


def with_layer(env: Mapping[str, str], layer: LayerEnvironment) -> dict[str, str]:
    """Return ``env`` as a build layer changes it.  Spec: buildpack.md "Layer Paths"."""
    result = dict(env)
    for directory, path in layer.search_paths.items():
        for name in SEARCH_PATHS[directory]:
            old = result.get(name, "")
            result[name] = f"{path}{os.pathsep}{old}" if old else path
    for files in layer.files:
        result = modified(result, files, default_action="override")
    return result


def modified(env: Mapping[str, str], files: Mapping[str, str], *, default_action: str) -> dict[str, str]:
    """Return ``env`` changed by files ``NAME[.action]``; a name without a dot takes ``default_action``.

    Files without a name, and those whose action is not known, are ignored.
    Spec: buildpack.md "Environment Variable Modification Rules".  Reference: a file whose name ends in a dot
    prepends as to a list of directories.
    """
    result = dict(env)
    for file_name in sorted(files, key=os.fsencode):
        name, dot, suffix = file_name.partition(".")
        if not name:
            continue
        action = suffix if dot else default_action
        value = files[file_name]
        old = result.get(name, "")
        delimiter = files.get(f"{name}.delim", "" if action else os.pathsep)
        match action:
            case "override":
                result[name] = value
            case "default":
                result[name] = old or value
            case "append":
                result[name] = f"{old}{delimiter}{value}" if old else value
            case "prepend" | "":
                result[name] = f"{value}{delimiter}{old}" if old else value
            case _:
                pass
    return result


def executable_variables(
    *,
    phase: Phase,
    api: BuildpackApi,
    module_dir: Path,
    platform_dir: Path,
    plan_path: Path,
    output_dir: Path | None,
    target: TargetData | None,
    exec_env: str,
    is_extension: bool = False,
) -> dict[str, str]:
    """Return the ``CNB_*`` variables of one call.

    ``output_dir`` is the layers directory of a buildpack or the output directory of an extension.
    Spec: buildpack.md "Buildpack Interface", image_extension.md "Image Extension Interface".
    """
    extension = is_extension or phase is Phase.GENERATE
    result = {"CNB_EXTENSION_DIR" if extension else "CNB_BUILDPACK_DIR": str(module_dir)}
    if BuildpackFeature.INPUTS_IN_ENVIRONMENT in api or extension:
        result["CNB_PLATFORM_DIR"] = str(platform_dir)
        result["CNB_BUILD_PLAN_PATH" if phase is Phase.DETECT else "CNB_BP_PLAN_PATH"] = str(plan_path)
        if output_dir is not None:
            result["CNB_OUTPUT_DIR" if extension else "CNB_LAYERS_DIR"] = str(output_dir)
    if BuildpackFeature.TARGETS in api and target is not None:
        distro = target.distro
        result |= {"CNB_TARGET_OS": target.os, "CNB_TARGET_ARCH": target.arch}
        optional = {
            "CNB_TARGET_ARCH_VARIANT": target.arch_variant,
            "CNB_TARGET_DISTRO_NAME": distro.name if distro else "",
            "CNB_TARGET_DISTRO_VERSION": distro.version if distro else "",
        }
        result |= {name: value for name, value in optional.items() if value}
    if BuildpackFeature.EXEC_ENV in api and exec_env and phase is not Phase.GENERATE:
        result["CNB_EXEC_ENV"] = exec_env
    return result
