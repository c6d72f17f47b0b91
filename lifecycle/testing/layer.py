"""The layers that a build left, as values that tests compare."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.files.codec import load
from lifecycle.files.layers_dir import read_build_outputs
from lifecycle.layers.source import PathMapping, diff_id, directory_layer
from lifecycle.model.ids import directory_name
from lifecycle.model.layer import LayerMetadata
from lifecycle.testing.place import IMAGE_LAYERS, OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.oci.digest import DiffId

_ENV_DIRS = ("env", "env.build", "env.launch")


@dataclass(slots=True)
class LayersDir:
    """Where the layers of a build are now: a later build of the same place moves them aside."""

    path: Path


@dataclass(frozen=True, slots=True, repr=False)
class Layer:
    """A layer as its buildpack left it.

    ``types`` are those of its flags that are true, ``metadata`` its ``[metadata]``, ``env`` the files of its env
    directories by path below it, ``files`` the paths of all its files and links below it, sorted; ``sboms`` the names
    of its SBOM files.  ``has_contents`` is false for a layer that is kept by its metadata alone.
    """

    name: str
    buildpack_id: str
    types: frozenset[str]
    metadata: Mapping[str, Any]
    env: Mapping[str, str]
    files: tuple[str, ...]
    sboms: tuple[str, ...]
    has_contents: bool
    _at: LayersDir

    @property
    def id(self) -> str:
        """How messages call it."""
        return f"{self.buildpack_id}:{self.name}"

    @property
    def launch(self) -> bool:
        """Whether the running app has it."""
        return "launch" in self.types

    @property
    def build(self) -> bool:
        """Whether later buildpacks have it."""
        return "build" in self.types

    @property
    def cache(self) -> bool:
        """Whether the next build has it."""
        return "cache" in self.types

    @property
    def path(self) -> Path:
        """Its directory now."""
        return self._at.path / directory_name(self.buildpack_id) / self.name

    @property
    def diff_id(self) -> DiffId:
        """Its digest in an image: of names, modes, links and contents."""
        mapping = PathMapping(self._at.path, IMAGE_LAYERS, normalise_ancestors=True)
        return diff_id(directory_layer(self.path, uid=OWNER, gid=OWNER, mapping=mapping))[0]

    def read(self, name: str) -> str:
        """Return the text of a file of it; raise ``KeyError`` that names those there are."""
        if not (self.path / name).is_file():
            raise KeyError(f"layer {self.name} has no file {name!r}; there are {', '.join(self.files) or 'none'}")
        return (self.path / name).read_text(encoding="utf-8", errors="surrogateescape")

    def __repr__(self) -> str:
        types = " ".join(sorted(self.types)) or "ignored"
        contents = f"{len(self.files)} files" if self.has_contents else "no contents"
        return f"<layer {self.id}: {types}; {contents}; metadata {dict(self.metadata)}; env {dict(self.env)}>"


@dataclass(frozen=True, slots=True, repr=False)
class Layers(Mapping[str, Layer]):
    """The layers of a build by name, or by ``<buildpack id>:<name>`` where two buildpacks have one of that name."""

    all: tuple[Layer, ...] = field(default=())

    def __getitem__(self, name: str) -> Layer:
        found = [layer for layer in self.all if name in {layer.name, layer.id}]
        if len(found) != 1:
            problem = f"several layers are called {name!r}" if found else f"no layer is called {name!r}"
            raise KeyError(f"{problem}; there are {', '.join(layer.id for layer in self.all) or 'none'}")
        return found[0]

    def __iter__(self) -> Iterator[str]:
        names = [layer.name for layer in self.all]
        return iter([layer.name if names.count(layer.name) == 1 else layer.id for layer in self.all])

    def __len__(self) -> int:
        return len(self.all)

    def __repr__(self) -> str:
        return f"<layers {', '.join(map(repr, self.all)) or 'none'}>"


def read_layers(at: LayersDir, buildpack_ids: Iterable[str]) -> Layers:
    """Return the layers of the buildpacks in their order."""
    found = []
    for buildpack_id in buildpack_ids:
        directory = at.path / directory_name(buildpack_id)
        if not directory.is_dir():
            continue
        outputs = read_build_outputs(directory)
        for written in outputs.layers:
            metadata = load(LayerMetadata, directory / f"{written.name}.toml")
            found.append(
                Layer(
                    name=written.name,
                    buildpack_id=buildpack_id,
                    types=frozenset(metadata.types.names()),
                    metadata=metadata.metadata or {},
                    env=_env_files(written.path),
                    files=tuple(files_below(written.path)),
                    sboms=tuple(name for name in outputs.file_names if name.startswith(f"{written.name}.sbom.")),
                    has_contents=written.path.is_dir(),
                    _at=at,
                )
            )
    return Layers(tuple(found))


def files_below(directory: Path) -> list[str]:
    """Return the paths of all files and links below a directory, sorted; none if it is missing."""
    found = []
    for parent, directories, names in os.walk(directory):
        links = [name for name in directories if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        found += [os.path.relpath(os.path.join(parent, name), directory) for name in (*names, *links)]  # noqa: PTH118
    return sorted(found)


def _env_files(layer: Path) -> dict[str, str]:
    return {
        f"{name}/{file}": (layer / name / file).read_text(encoding="utf-8", errors="surrogateescape")
        for name in _ENV_DIRS
        for file in files_below(layer / name)
    }
