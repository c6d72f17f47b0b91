"""Imports modules from the executable that carries them; it is the first module that runs there.

``_carried`` is the interpreter's own (native/python_main.c).  Nothing of this package can be imported here, for what is
imported here is imported before there is an importer.  The index is made by ``lifecycle.dist.executable``.
"""

from __future__ import annotations

import _frozen_importlib  # importlib itself would be imported before there is an importer
import _frozen_importlib_external
import marshal
import sys

import _carried  # type: ignore[import-not-found]  # part of the interpreter in the executable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import CodeType, ModuleType
    from typing import Any

_CONTENTS: memoryview = _carried.contents()


def _part(offset: int, size: int) -> memoryview:
    return _CONTENTS[offset : offset + size]


_INDEX = marshal.loads(_part(*_carried.index_span()))  # noqa: S302  # of this very file
_MODULES: dict[str, tuple[bool, str, int, int]] = _INDEX["modules"]
_EXTENSIONS: dict[str, tuple[str, int, int, tuple[str, ...]]] = _INDEX["extensions"]
_LIBRARIES: dict[str, tuple[int, int, tuple[str, ...]]] = _INDEX["libraries"]
_FILES: dict[str, tuple[int, int]] = _INDEX["files"]
_ROOT = f"{sys.executable}/"
"""Paths of modules and files look as if the executable were a directory, as in a zipped application."""


class CarriedLoader:
    """Loads a module from its code in the executable."""

    def __init__(self, path: str, offset: int, size: int) -> None:
        self._path = path
        self._span = offset, size

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to importlib."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102  # that is what importing is

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the protocol of importlib
        """Return the module's code."""
        code: CodeType = marshal.loads(_part(*self._span))  # noqa: S302
        return code

    def get_source(self, fullname: str) -> None:
        """Return nothing: tracebacks have no lines of text."""

    def get_data(self, path: str) -> bytes:
        """Return a file beside modules; raises ``OSError``."""
        found = _FILES.get(path.removeprefix(_ROOT))
        if found is None:
            raise FileNotFoundError(path)
        return bytes(_part(*found))

    def get_resource_reader(self, fullname: str) -> CarriedFiles:  # noqa: ARG002  # likewise
        """Return what ``importlib.resources.files`` and ``as_file`` work with."""
        import importlib.resources  # noqa: PLC0415  # which asks, so it is there

        as_file: Any = importlib.resources.as_file
        as_file.register(CarriedFiles, _path_in_memory)
        return CarriedFiles(self._path.rpartition("/")[0])


class CarriedFiles:
    """A file or directory of a carried package: as much of ``Traversable`` as libraries use."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path.rpartition("/")[2]

    def files(self) -> CarriedFiles:
        """Return the package's directory."""
        return self

    def iterdir(self) -> Iterator[CarriedFiles]:
        """Yield what is in the directory."""
        start = f"{self.path}/"
        for name in sorted({path[len(start) :].partition("/")[0] for path in _FILES if path.startswith(start)}):
            yield CarriedFiles(start + name)

    def joinpath(self, *parts: str) -> CarriedFiles:
        """Return what is below."""
        return CarriedFiles("/".join((self.path, *parts)))

    __truediv__ = joinpath

    def is_file(self) -> bool:
        """Say whether it is a file."""
        return self.path in _FILES

    def is_dir(self) -> bool:
        """Say whether it is a directory."""
        return not self.is_file() and next(self.iterdir(), None) is not None

    def read_bytes(self) -> bytes:
        """Return a file's content; raises ``FileNotFoundError``."""
        if self.path not in _FILES:
            raise FileNotFoundError(self.path)
        return bytes(_part(*_FILES[self.path]))

    def read_text(self, encoding: str | None = None) -> str:
        """Return a file's text; raises ``FileNotFoundError``, ``UnicodeDecodeError``."""
        return self.read_bytes().decode(encoding or "utf-8")


def _path_in_memory(file: CarriedFiles) -> AbstractContextManager[Path]:
    """Let a file be opened by a path, without a copy on disk: there may be no place for one, or another user's only."""
    import contextlib  # noqa: PLC0415  # not before there is an importer
    import pathlib  # noqa: PLC0415  # likewise

    return contextlib.nullcontext(pathlib.Path(_carried.library_path(file.name, *_FILES[file.path])))


class CarriedFinder:
    """Finds modules in the executable's index."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a carried module, ``None`` for any other."""
        del path, target
        found = _MODULES.get(fullname)
        if found is None:
            return _extension(fullname)
        is_package, relative, offset, size = found
        loader: Any = CarriedLoader(relative, offset, size)
        spec = _frozen_importlib.ModuleSpec(fullname, loader, origin=_ROOT + relative)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [(_ROOT + relative).rpartition("/")[0]]
        return spec


def _extension(fullname: str) -> ModuleSpec | None:
    found = _EXTENSIONS.get(fullname)
    if found is None:
        return None
    name, offset, size, needed = found
    for each in needed:
        _load(each)
    path = _carried.library_path(name, offset, size)
    loader = _frozen_importlib_external.ExtensionFileLoader(fullname, path)
    return _frozen_importlib_external.spec_from_file_location(fullname, path, loader=loader)


_LOADED: set[str] = set()


def _load(soname: str) -> None:
    """Load a library and what it needs, once; what is not carried came with the interpreter."""
    if soname in _LOADED or soname not in _LIBRARIES:
        return
    _LOADED.add(soname)
    offset, size, needed = _LIBRARIES[soname]
    for each in needed:
        _load(each)
    _carried.load_library(_carried.library_path(soname, offset, size))


def install() -> None:
    """Import from the executable alone from now on."""
    sys.meta_path[:] = [_frozen_importlib.BuiltinImporter, CarriedFinder, _frozen_importlib.FrozenImporter]
    sys.path_hooks.clear()
