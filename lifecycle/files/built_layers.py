"""What a buildpack left in its directory ``<layers>/<id with / as _>``: its layers and its store.

Spec: buildpack.md "Layer Content Metadata (TOML)", "store.toml (TOML)".
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.codec import load
from lifecycle.model.ids import directory_name, is_layer_name
from lifecycle.model.layer import LayerMetadata, Store

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.model.group import GroupElement

_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class BuiltLayer:
    """A layer: its directory, which may be missing, and its ``<layer>.toml``, empty where that is missing."""

    name: str
    path: Path
    metadata: LayerMetadata
    has_contents: bool


@dataclass(frozen=True, slots=True)
class BuiltLayers:
    """The layers of a buildpack sorted by the bytes of their names, and what is malformed among them."""

    buildpack: GroupElement
    directory: Path
    layers: tuple[BuiltLayer, ...]
    malformed: tuple[tuple[str, InvalidFileError], ...]
    store: Store | None


def read_built_layers(layers_dir: Path, buildpack: GroupElement) -> BuiltLayers:
    """Read the layers of a buildpack; none where its directory is missing.

    A malformed ``<layer>.toml`` is reported in the result; a malformed store.toml raises
    ``InvalidFileError``.
    """
    directory = layers_dir / directory_name(buildpack.id)
    layers: list[BuiltLayer] = []
    malformed: list[tuple[str, InvalidFileError]] = []
    for name in _names(directory):
        path = directory / name
        try:
            toml_path = directory / (name + _SUFFIX)
            metadata = load(LayerMetadata, toml_path, missing_ok=True, regular=True) or LayerMetadata()
            layers.append(BuiltLayer(name, path, metadata, has_directory(path)))
        except InvalidFileError as error:
            malformed.append((name, error))
    store = load(Store, directory / "store.toml", missing_ok=True, regular=True)
    return BuiltLayers(buildpack, directory, tuple(layers), tuple(malformed), store)


def has_directory(path: Path) -> bool:
    """Say whether there is a directory to make a layer of; an unreadable one counts, to fail later."""
    try:
        os.scandir(path).close()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _names(directory: Path) -> list[str]:
    names = set()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    names.add(entry.name)
                elif entry.name.endswith(_SUFFIX):
                    names.add(entry.name.removesuffix(_SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=directory) from error
    return sorted(filter(is_layer_name, names), key=os.fsencode)
