"""Buildpacks and image extensions under test, laid out for a build as a builder has them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.files.modules import Buildpack, Extension, read_buildpack, read_extension
from lifecycle.model.descriptor import OrderElement
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.testing.place import Place


@dataclass(frozen=True, slots=True, repr=False)
class TestedModule:
    """A buildpack or an image extension and how its executables run.

    ``in_process`` runs them in the test's process, for which they have to be Python; ``main`` stands for all of them
    then.  ``optional`` is what an order says of it.
    """

    __test__ = False

    module: Buildpack | Extension
    in_process: bool = False
    main: Callable[[], object] | None = None
    optional: bool = False

    @property
    def root(self) -> Path:
        """Its directory."""
        return self.module.root

    @property
    def id(self) -> str:
        """Its id."""
        return self._info.id

    @property
    def version(self) -> str:
        """Its version."""
        return self._info.version

    @property
    def element(self) -> OrderElement:
        """Itself in an order."""
        return OrderElement(id=self.id, version=self.version, optional=self.optional)

    @property
    def _info(self) -> OrderElement:
        module = self.module
        info = module.descriptor.extension if isinstance(module, Extension) else module.descriptor.buildpack
        return OrderElement(id=info.id, version=info.version)

    def __str__(self) -> str:
        return str(self.module)

    def __repr__(self) -> str:
        return f"<{self.module} in {self.root}>"


def read_module(root: Path | str, *, extension: bool = False) -> Buildpack | Extension:
    """Read the buildpack or the extension in ``root``; raise ``InvalidInputError`` if there is none."""
    path = Path(os.path.abspath(root))  # noqa: PTH100  # a link is named as it was given
    name = "extension.toml" if extension else "buildpack.toml"
    if not (path / name).is_file():
        kind = "an image extension" if extension else "a buildpack"
        problem = f"is not {kind}: it has no {name}" if path.is_dir() else "is not a directory"
        raise InvalidInputError(problem, where=path, remedy=f"name the directory of {kind}")
    return read_extension(path) if extension else read_buildpack(path)


def lay_out(place: Place, modules: list[TestedModule], *, copied: bool) -> dict[Path, TestedModule]:
    """Put the modules where phases look for them, links or copies; return them by their resolved directories.

    With a composite buildpack come those beside it that its order names.
    """
    found: dict[Path, TestedModule] = {}
    for each in (more for module in modules for more in (module, *_components(module))):
        parent = place.cnb / ("extensions" if isinstance(each.module, Extension) else "buildpacks")
        path = parent / directory_name(each.id) / each.version
        if not path.is_symlink() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            if copied:
                _copy(each.root, path)
            else:
                path.symlink_to(each.root)
        found.setdefault(path.resolve(), each)
    return found


def _components(module: TestedModule) -> Iterator[TestedModule]:
    if isinstance(module.module, Extension) or not module.module.descriptor.order:
        return
    wanted = {(each.id, each.version) for group in module.module.descriptor.order for each in group.group}
    for descriptor in sorted(module.root.parent.glob("*/buildpack.toml")):
        try:
            neighbour = TestedModule(read_buildpack(descriptor.parent), in_process=module.in_process)
        except InvalidFileError:
            continue
        if (neighbour.id, neighbour.version) in wanted:
            yield neighbour
            yield from _components(neighbour)


def _copy(source: Path, target: Path) -> None:
    """Copy a buildpack as packaging does: links stay links, but what lies outside of it is copied into it."""
    root = source.resolve()

    def outside(path: Path) -> bool:
        return path.is_symlink() and not path.resolve().is_relative_to(root)

    def copy(directory: Path, into: Path) -> None:
        into.mkdir()
        for path in directory.iterdir():
            if path.name in {".git", "__pycache__"}:
                continue
            followed = path.resolve() if outside(path) else path
            if followed.is_symlink():
                (into / path.name).symlink_to(followed.readlink())
            elif followed.is_dir():
                copy(followed, into / path.name)
            else:
                shutil.copy(followed, into / path.name)

    copy(root, target)
