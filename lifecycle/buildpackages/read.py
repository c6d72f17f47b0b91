"""Modules from where they are kept: directories, and the layers of packages."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.files.codec import load
from lifecycle.layers.extract import extract
from lifecycle.model.buildpackage import ModuleKind, PublishedBuildpack, PublishedExtension, PublishedInfo
from lifecycle.model.ids import directory_name
from lifecycle.rules.buildpackage import Module, PackageContents, read_package

if TYPE_CHECKING:
    from os import PathLike

    from lifecycle.images.store import Image
    from lifecycle.oci.digest import DiffId

CNB = ".cnb"
"""How the names of files end that are packages."""

DOCKER = "docker://"
"""How the URIs of packages begin that are images in a registry."""


def readable_uri(uri: str, *, where: str | PathLike[str] | None = None) -> str:
    """Return where a URI leads, a path, ``docker://NAME`` or ``""``; raise ``InvalidInputError`` for any other."""
    if "://" in uri and not uri.startswith(("file://", DOCKER)):
        raise InvalidInputError(
            f"{uri} can't be fetched from there", where=where, remedy="fetch it, and name the file or directory"
        )
    return uri.removeprefix("file://")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is an image somewhere."""

    image: Image
    contents: PackageContents

    @property
    def main(self) -> Module:
        """The module that it is of, with all that the labels tell of it."""
        told = self.contents.main
        module = next(
            each for each, _ in self.contents.layers if (each.info.id, each.info.version) == (told.id, told.version)
        )
        return replace(module, info=PublishedInfo.model_validate(told.model_dump(exclude={"stacks"})))

    def unpack(self, directory: Path) -> dict[str, Path]:
        """Unpack all modules below ``directory``, a new one; return where each is by ``<id>@<version>``.

        Raises ``UnsafeArchiveError`` for a layer that has more than modules, ``VerificationError`` for other bytes
        than the image says, ``InvalidFileError`` where a module is not in its layer.
        """
        kind = self.contents.kind
        for diff_id in dict.fromkeys(diff_id for _, diff_id in self.contents.layers):
            # Beside each other first, for a layer may have a file where another has a directory.
            with tempfile.TemporaryDirectory(prefix=".layer-", dir=directory) as staging:
                extract(
                    self.image.layer(diff_id),
                    root=PurePosixPath(kind.directory),
                    target=Path(staging) / "modules",
                    where=f"layer {diff_id} of {self.image.name}",
                )
                for found in sorted((Path(staging) / "modules").glob("*/*")):
                    place = directory / found.parent.name / found.name
                    place.parent.mkdir(exist_ok=True)
                    if not place.exists():
                        found.rename(place)
        found_at = {}
        for module, _ in self.contents.layers:
            root = directory / directory_name(module.info.id) / module.info.version
            if not (root / kind.descriptor).is_file():
                raise InvalidFileError(f"does not have the {kind} {module} in its layer", where=self.image.name)
            found_at[str(module)] = root
        return found_at


@dataclass(frozen=True, slots=True)
class LayerOfPackage:
    """One layer of a package."""

    package: Package
    diff_id: DiffId


@dataclass(frozen=True, slots=True)
class FoundModule:
    """A module and where its files are."""

    module: Module
    place: Path | LayerOfPackage


def open_package(image: Image) -> Package:
    """Return the package that ``image`` is; raise ``CorruptImageError`` if it is none."""
    return Package(image, read_package(image.config.labels, image.config.diff_ids, where=image.name))


def kind_of(root: Path) -> ModuleKind:
    """Return what a directory is of; raise ``InvalidFileError`` if it has neither descriptor or both."""
    kinds = [kind for kind in ModuleKind if (root / kind.descriptor).is_file()]
    if len(kinds) == 1:
        return kinds[0]
    has = "has both buildpack.toml and extension.toml" if kinds else "has neither buildpack.toml nor extension.toml"
    raise InvalidFileError(has, where=root, remedy="name the directory of one buildpack or extension")


def read_module(root: Path) -> Module:
    """Read the descriptor of the module in ``root``; raise ``InvalidFileError``."""
    if kind_of(root) is ModuleKind.EXTENSION:
        extension = load(PublishedExtension, root / ModuleKind.EXTENSION.descriptor)
        return Module(ModuleKind.EXTENSION, extension.extension, extension.api, extension.targets)
    found = load(PublishedBuildpack, root / ModuleKind.BUILDPACK.descriptor)
    return Module(ModuleKind.BUILDPACK, found.buildpack, found.api, found.targets, found.stacks, found.order)
