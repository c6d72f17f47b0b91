"""Buildpacks and image extensions as they lie on disk: ``<dir>/<id with / as _>/<version>``.

Spec: platform.md "Buildpacks Directory Layout", "Image Extensions Directory Layout".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.codec import load
from lifecycle.model.api import BuildpackApi
from lifecycle.model.descriptor import BuildpackDescriptor, ExtensionDescriptor
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Buildpack:
    """A buildpack: its directory and what its buildpack.toml says."""

    root: Path
    descriptor: BuildpackDescriptor

    def __str__(self) -> str:
        return f"{self.descriptor.buildpack.id}@{self.descriptor.buildpack.version}"

    @property
    def api(self) -> BuildpackApi:
        """Its Buildpack API; raises ``BuildpackApiError`` unless supported."""
        return BuildpackApi.parse(self.descriptor.api, module=f"Buildpack '{self}'")


@dataclass(frozen=True, slots=True)
class Extension:
    """An image extension: its directory and what its extension.toml says."""

    root: Path
    descriptor: ExtensionDescriptor

    def __str__(self) -> str:
        return f"{self.descriptor.extension.id}@{self.descriptor.extension.version}"

    @property
    def api(self) -> BuildpackApi:
        """Its Buildpack API; raises ``BuildpackApiError`` unless supported."""
        return BuildpackApi.parse(self.descriptor.api, module=f"Extension '{self}'")


def read_buildpack(root: Path) -> Buildpack:
    """Read the buildpack in ``root``; raise ``InvalidFileError`` if its buildpack.toml is missing or malformed."""
    return Buildpack(root.absolute(), load(BuildpackDescriptor, root / "buildpack.toml"))


def read_extension(root: Path) -> Extension:
    """Read the extension in ``root``; raise ``InvalidFileError`` if its extension.toml is missing or malformed."""
    return Extension(root.absolute(), load(ExtensionDescriptor, root / "extension.toml"))


def find_buildpack(buildpacks_dir: Path, buildpack_id: str, version: str) -> Buildpack:
    """Find a buildpack by id and version; raise ``InvalidFileError`` that says what is there instead."""
    root = _find(buildpacks_dir, "buildpack", buildpack_id, version)
    return read_buildpack(root)


def find_extension(extensions_dir: Path, extension_id: str, version: str) -> Extension:
    """Find an extension by id and version; raise ``InvalidFileError`` that says what is there instead."""
    root = _find(extensions_dir, "extension", extension_id, version)
    return read_extension(root)


def _find(parent: Path, kind: str, module_id: str, version: str) -> Path:
    versions = parent / directory_name(module_id)
    root = versions / version
    if version and root.is_dir():
        return root
    try:
        present = sorted(path.name for path in versions.iterdir() if path.is_dir())
    except OSError:
        present = []
    there = f"it has {', '.join(present)}" if present else f"it has no {kind} of that id"
    wanted = f"{module_id}@{version}" if version else f"{module_id} (no version given)"
    raise InvalidFileError(
        f"{kind} {wanted} is not there; {there}", where=parent, remedy=f"correct the order or add the {kind}"
    )
