"""Buildpacks as small shell scripts, and builds of a group of them with real processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lifecycle.executables.process import run_process
from lifecycle.files.build_metadata import metadata_path, save_metadata
from lifecycle.model.api import LATEST_PLATFORM_API, PlatformApi
from lifecycle.model.group import Group
from lifecycle.model.plan import Plan
from lifecycle.phases.build import BuildInputs, build

if TYPE_CHECKING:
    from pathlib import Path

SBOM_FORMATS = "sbom-formats = ['application/vnd.cyclonedx+json', 'application/spdx+json', 'application/vnd.syft+json']"
PROLOGUE = """#!/bin/sh
set -e
L=$1
file() { mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"; }
layer() { mkdir -p "$L/$1"; echo "[types]" > "$L/$1.toml"; for t in $2; do echo "$t = true" >> "$L/$1.toml"; done; }
"""


class Builder:
    """The directories of a build, filled by tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.app_dir = root / "app"
        self.app_dir.mkdir()
        self.layers_dir = root / "layers"
        self.platform_dir = root / "platform"
        self.build_config_dir = root / "build-config"
        self.printed = b""
        self._group: list[dict[str, str]] = []

    def buildpack(self, name: str, script: str = "", *, api: str = "0.12", toml: str = "") -> Path:
        """Add a buildpack to the end of the group; its bin/build is the script.

        ``$L`` is its layers directory, ``file PATH TEXT`` writes a file, ``layer NAME TYPES`` a layer.
        """
        root = self.root / "buildpacks" / name.replace("/", "_") / "1"
        (root / "bin").mkdir(parents=True)
        (root / "buildpack.toml").write_text(f"api = '{api}'\n[buildpack]\nid = '{name}'\nversion = '1'\n{toml}\n")
        executable = root / "bin" / "build"
        executable.write_text(f"{PROLOGUE}{script}\n")
        executable.chmod(0o755)
        self._group.append({"id": name, "version": "1", "api": api})
        return root

    def variable(self, name: str, value: str, *, by: str = "platform") -> None:
        """Let the user (``platform``) or the operator (``build-config``) set a variable."""
        path = self.root / by / "env" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)

    def inputs(self, *, api: PlatformApi = LATEST_PLATFORM_API, entries=(), env=None, extensions=(), **given):
        """Return inputs; ``entries`` is a plan as ``(providers, requires)``."""
        plan = {
            "entries": [
                {"providers": [{"id": each} for each in providers], "requires": requires}
                for providers, requires in entries
            ]
        }
        return BuildInputs(
            platform_api=api,
            app_dir=self.app_dir,
            layers_dir=self.layers_dir,
            buildpacks_dir=self.root / "buildpacks",
            platform_dir=self.platform_dir,
            build_config_dir=self.build_config_dir,
            group=Group.model_validate({"group": self._group, "group-extensions": list(extensions)}),
            plan=Plan.model_validate(plan),
            process_env={"PATH": os.environ["PATH"], **(env or {})},
            **given,
        )

    def build(self, **given):
        """Build with real processes."""
        return build(self.inputs(**given), run=run_process, output=self._print)

    def _print(self, chunk: bytes) -> None:
        self.printed += chunk

    def metadata_toml(self, *, api: PlatformApi = LATEST_PLATFORM_API, **given) -> str:
        """Build and return metadata.toml."""
        built = self.build(api=api, **given)
        path = metadata_path(self.layers_dir)
        save_metadata(path, built.metadata, api)
        return path.read_text()

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that the script of the fixture ``dump`` saw in the buildpack."""
        text = (self.layers_dir / name.replace("/", "_") / "dump").read_bytes().decode()
        return dict(line.partition("=")[::2] for line in text.split("\0") if line)

    def tree(self, *parts: str) -> list[str]:
        """Return the files below a directory of the layers."""
        root = self.layers_dir.joinpath(*parts)
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


@pytest.fixture
def builder(tmp_path) -> Builder:
    return Builder(tmp_path)


@pytest.fixture
def dump() -> str:
    """A script that notes its environment."""
    return 'env -0 > "$L/dump"'


@pytest.fixture
def sbom_formats() -> str:
    return SBOM_FORMATS
