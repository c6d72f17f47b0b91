"""What ``bin/build`` left in the layers directory of its buildpack.

Spec: buildpack.md "Buildpack Interface" (outputs of build), "Layer Types".
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from lifecycle.errors import InvalidFileError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.codec import load
from lifecycle.files.regular_file import open_file
from lifecycle.model.ids import is_layer_name
from lifecycle.model.launch import Build, Launch
from lifecycle.model.layer import LayerMetadata, LayerTypes, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

M = TypeVar("M", bound=BaseModel)

_SUFFIX = ".toml"
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class WrittenLayer:
    """A layer that has a ``<layer>.toml``; its directory may be missing."""

    name: str
    path: Path
    types: LayerTypes

    @property
    def ignored(self) -> bool:
        """Whether nobody needs it.  Spec: buildpack.md "Ignored Layers"."""
        return not (self.types.launch or self.types.build or self.types.cache)


@dataclass(frozen=True, slots=True)
class BuildOutputs:
    """The files of a buildpack after its build; missing ones are empty.

    ``layers`` are in the order in which they change the environment, ``file_names`` are sorted.
    """

    layers: tuple[WrittenLayer, ...]
    launch: Launch
    build: Build
    file_names: tuple[str, ...]


def read_build_outputs(directory: Path) -> BuildOutputs:
    """Read what a buildpack left; raise ``InvalidFileError`` for a file that can't be read or is malformed.

    Reference: layers are sorted by the name of their file, so ``a-b.toml`` is before ``a.toml``.
    """
    names = _names(directory)
    layer_names = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
    layers = tuple(
        WrittenLayer(name, directory / name, _output(LayerMetadata, directory / (name + _SUFFIX)).types)
        for name in layer_names
        if is_layer_name(name) and not _is_directory(directory / (name + _SUFFIX))
    )
    if "store.toml" in names:
        _load(Store, directory / "store.toml")
    return BuildOutputs(
        layers,
        _output(Launch, directory / "launch.toml"),
        _output(Build, directory / "build.toml"),
        tuple(names),
    )


def set_aside(layer: WrittenLayer) -> None:
    """Rename the directory of a layer that nobody needs to ``<layer>.ignore``.

    Spec: buildpack.md "Ignored Layers".
    """
    ignored = layer.path.with_name(f"{layer.name}.ignore")
    try:
        layer.path.rename(ignored)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LifecycleError(
            f"can't be renamed to {ignored.name}: {error.strerror}",
            where=layer.path,
            remedy=f"the buildpack should write its types, or leave no {ignored.name}",
        ) from error


def create_directory(root: Path, *parts: str) -> Path:
    """Create a directory below ``root`` and return it; raise ``LifecycleError`` for a link on the way.

    Buildpacks can put links where the lifecycle is going to write.
    """
    path = root
    try:
        root.mkdir(parents=True, exist_ok=True)
        for part in parts:
            path /= part
            try:
                path.mkdir()
            except FileExistsError:
                if not stat.S_ISDIR(path.lstat().st_mode):
                    raise LifecycleError("is not a directory", where=path, remedy="remove it") from None
    except OSError as error:
        raise LifecycleError(f"can't be created: {error.strerror}", where=path) from error
    return path


def copy_output(source: Path, directory: Path, name: str, *, within: Path) -> None:
    """Copy a file of a buildpack to ``directory / name``; a link counts as the file that it points to.

    Raises ``InvalidFileError`` for a link out of ``within``, and for what is not a file.
    """
    write_atomic(directory / name, _contents(source, within.resolve()), fsync=False)


def _contents(source: Path, within: Path) -> Iterator[bytes]:
    try:
        real = source.resolve(strict=True)
        if not real.is_relative_to(within):
            raise InvalidFileError(f"is a link to {real}, which is outside {within}", where=source)
        with open_file(real) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=source) from error
    except RuntimeError as error:  # how Python 3.11 and 3.12 report a loop of links
        raise InvalidFileError("is a link to itself", where=source) from error


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory), key=os.fsencode)  # noqa: PTH208  # names, not paths
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=directory) from error


def _is_directory(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _output(model: type[M], path: Path) -> M:
    """Read a file that may be missing.  Reference: a link to nothing is a missing file."""
    try:
        path.stat()
    except FileNotFoundError:
        return model()
    except OSError:
        pass
    return _load(model, path)


def _load(model: type[M], path: Path) -> M:
    return load(model, path, hints=True, regular=True)
