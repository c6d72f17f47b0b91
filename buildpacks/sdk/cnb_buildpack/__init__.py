"""Cloud Native Buildpacks and image extensions in Python: the Buildpack API, versions 0.7 to 0.12, typed.

A name loads its module when it is first used: bin/detect runs often, and has no use for layers.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnb_buildpack import log
    from cnb_buildpack.api import Api, Feature
    from cnb_buildpack.archives import ArchiveError, fetch_unpacked, unpack
    from cnb_buildpack.building import BuildContext
    from cnb_buildpack.commands import CommandError, capture, run
    from cnb_buildpack.context import DetectContext, Detected
    from cnb_buildpack.descriptor import Descriptor
    from cnb_buildpack.downloads import DownloadError, fetch, public, request
    from cnb_buildpack.environment import BUILD, LAUNCH, LayerEnv, Types
    from cnb_buildpack.errors import BuildpackError
    from cnb_buildpack.files import read_toml, remove, write_atomic, write_toml
    from cnb_buildpack.generating import GenerateContext
    from cnb_buildpack.launch import Launch
    from cnb_buildpack.layer import Drop, Keep, Layer, Migrate, keep_if_fits, keep_if_same
    from cnb_buildpack.plan import BuildPlan, Plan, PlanEntry, Require, any_true, first, last, union
    from cnb_buildpack.platform import Binding, Platform, Target
    from cnb_buildpack.program import main, run_phase
    from cnb_buildpack.sbom import CYCLONEDX, SPDX, SYFT, SbomFormat, cyclonedx
    from cnb_buildpack.toml_encoder import toml_text
    from cnb_buildpack.trees import normalise_modes, remove_bytecode, tree_digest


def _remove_own_bytecode() -> None:
    """Remove the compiled form of this module, which Python wrote before this line ran, if there is no other."""
    compiled = __spec__.cached
    if compiled:
        directory, _, name = compiled.rpartition("/")
        with contextlib.suppress(OSError):
            if os.listdir(directory) == [name]:  # noqa: PTH208  # pathlib would double the start-up
                os.unlink(compiled)  # noqa: PTH108
                os.rmdir(directory)  # noqa: PTH106


if sys.pycache_prefix is None and sys.argv and sys.argv[0].rpartition("/")[2] in {"detect", "build", "generate"}:
    # A buildpack that writes compiled files would differ from what was packaged.
    sys.dont_write_bytecode = True
    _remove_own_bytecode()

__all__ = [
    "BUILD",
    "CYCLONEDX",
    "LAUNCH",
    "SPDX",
    "SYFT",
    "Api",
    "ArchiveError",
    "Binding",
    "BuildContext",
    "BuildPlan",
    "BuildpackError",
    "CommandError",
    "Descriptor",
    "DetectContext",
    "Detected",
    "DownloadError",
    "Drop",
    "Feature",
    "GenerateContext",
    "Keep",
    "Launch",
    "Layer",
    "LayerEnv",
    "Migrate",
    "Plan",
    "PlanEntry",
    "Platform",
    "Require",
    "SbomFormat",
    "Target",
    "Types",
    "any_true",
    "capture",
    "cyclonedx",
    "fetch",
    "fetch_unpacked",
    "first",
    "keep_if_fits",
    "keep_if_same",
    "last",
    "log",
    "main",
    "normalise_modes",
    "public",
    "read_toml",
    "remove",
    "remove_bytecode",
    "request",
    "run",
    "run_phase",
    "toml_text",
    "tree_digest",
    "union",
    "unpack",
    "write_atomic",
    "write_toml",
]

_NAMES = {
    "api": "Api Feature",
    "archives": "ArchiveError fetch_unpacked unpack",
    "building": "BuildContext",
    "commands": "CommandError capture run",
    "context": "DetectContext Detected",
    "descriptor": "Descriptor",
    "downloads": "DownloadError fetch public request",
    "environment": "BUILD LAUNCH LayerEnv Types",
    "errors": "BuildpackError",
    "files": "read_toml remove write_atomic write_toml",
    "generating": "GenerateContext",
    "launch": "Launch",
    "layer": "Drop Keep Layer Migrate keep_if_fits keep_if_same",
    "plan": "BuildPlan Plan PlanEntry Require any_true first last union",
    "platform": "Binding Platform Target",
    "program": "main run_phase",
    "sbom": "CYCLONEDX SPDX SYFT SbomFormat cyclonedx",
    "toml_encoder": "toml_text",
    "trees": "normalise_modes remove_bytecode tree_digest",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name == "log":
        return importlib.import_module("cnb_buildpack.log")
    try:
        module = importlib.import_module(f"cnb_buildpack.{_MODULES[name]}")
    except KeyError:
        raise AttributeError(f"module 'cnb_buildpack' has no attribute {name!r}") from None
    value = getattr(module, name)
    globals()[name] = value
    return value
