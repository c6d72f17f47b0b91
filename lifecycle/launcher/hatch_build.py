"""The hatchling hook that puts the compiled launchers into the wheel (or beside an editable install)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType


class LauncherBuildHook(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]  # no stubs without hatchling
    """Builds ``lifecycle/launcher/bin/linux-<arch>/launcher`` for every architecture.

    The launchers are made for images and not for the host, so the wheel is one for all platforms.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the interface
        """Build before the files of a wheel are collected; a source distribution carries only the sources."""
        if self.target_name != "wheel":
            return
        launcher_dir = Path(self.root, "lifecycle", "launcher")
        _load(launcher_dir / "build.py").build_launchers(launcher_dir / "bin")


def _load(path: Path) -> ModuleType:
    """Import a file by its path: the package's dependencies are not there while it is built."""
    spec = importlib.util.spec_from_file_location("launcher_build", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
