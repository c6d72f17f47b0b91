"""What a step left on this builder, on its way to a record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.step_manifest import FILE_TYPE, StepManifest
from lifecycle.errors import CacheError, InvalidFileError
from lifecycle.files.built_layers import has_directory
from lifecycle.files.codec import read_toml
from lifecycle.files.env_dir import read_layer_environment
from lifecycle.files.layers_dir import read_build_outputs
from lifecycle.files.regular_file import open_file
from lifecycle.layers.blob import write_blob
from lifecycle.layers.source import PathMapping, diff_id, directory_layer
from lifecycle.model.canonical import canonical_digest
from lifecycle.model.layer import LayerMetadata
from lifecycle.model.step_record import LayerRecord, StepRecord
from lifecycle.oci.digest import Digest
from lifecycle.oci.manifest import OCI_LAYER_GZIP, Descriptor
from lifecycle.rules.environment import with_layer
from lifecycle.rules.sbom import is_sbom_name
from lifecycle.rules.step_key import build_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.cache.distributed.model import FinishedStep
    from lifecycle.files.layers_dir import WrittenLayer
    from lifecycle.images.store import ReusedLayer
    from lifecycle.layers.source import LayerSource

_TOML_FILES = ("launch.toml", "build.toml", "store.toml")
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlaces:
    """Where layers are on disk, by a name without links, and in images, and who owns them there."""

    layers_dir: Path
    image_layers_dir: PurePosixPath | None = None
    uid: int
    gid: int
    normalise_ancestors: bool = False

    def source(self, path: Path) -> LayerSource:
        """Return the layer that a directory makes."""
        root = self.image_layers_dir or PurePosixPath(self.layers_dir)
        mapping = PathMapping(self.layers_dir, root, self.normalise_ancestors)
        return directory_layer(path, uid=self.uid, gid=self.gid, mapping=mapping)

    def in_image(self, path: Path) -> PurePosixPath:
        """Return the place of a path in images."""
        return (self.image_layers_dir or PurePosixPath(self.layers_dir)) / path.relative_to(self.layers_dir)


@dataclass(frozen=True, slots=True)
class OwnStep:
    """``record`` has no blobs yet; ``sources`` make the layers, ``files`` are SBOM files; both by name."""

    record: StepRecord
    sources: Mapping[str, LayerSource]
    files: Mapping[str, Descriptor]
    directory: Path

    def packed(self, work_dir: Path) -> tuple[StepManifest, dict[Digest, Callable[[], Iterator[bytes]]]]:
        """Store the layers in ``work_dir``; return the step with its blobs, and how to read each from its beginning."""
        layers, chunks = [], dict[Digest, "Callable[[], Iterator[bytes]]"]()
        for layer in self.record.layers:
            if layer.name not in self.sources:
                layers.append(layer)
                continue
            blob = write_blob(self.sources[layer.name], work_dir)
            if blob.diff_id != layer.diff_id:
                raise CacheError(f"layer {layer.name} changed while it was read", where=self.directory)
            layers.append(replace(layer, blob=Descriptor(OCI_LAYER_GZIP, blob.size, blob.digest)))
            chunks[blob.digest] = blob.chunks
        for name, file in self.files.items():
            chunks[file.digest] = partial(_chunks, self.directory / name)
        return StepManifest(self.record.keeping(tuple(layers)), self.files), chunks


def read_own_step(step: FinishedStep, places: LayerPlaces) -> OwnStep:
    """Read what a step left; layers for the next build alone are not part of it.

    Raises ``InvalidFileError`` for what can't be read, ``CacheError`` for a layer without contents that is nowhere.
    """
    outputs = read_build_outputs(step.directory)
    directory = places.layers_dir / step.directory.name
    environment = step.environment
    layers, sources = [], {}
    for written in outputs.layers:
        if step.environment_after is None and written.types.build:
            environment = with_layer(environment, read_layer_environment(written.path))
        if not (written.types.launch or written.types.build):
            continue
        layer, source = _layer(directory, written, step.reused.get(written.name), places)
        layers.append(layer)
        if source is not None:
            sources[written.name] = source
    files = {name: _descriptor(directory / name) for name in outputs.file_names if is_sbom_name(name)}
    tables = {name: read_toml(directory / name, missing_ok=True, regular=True) for name in _TOML_FILES}
    kept = {layer.name for layer in layers}
    record = StepRecord(
        buildpack=step.buildpack,
        layers=tuple(sorted(layers, key=lambda each: each.name)),
        key=step.key,
        inputs=step.inputs,
        outputs={name: table for name, table in tables.items() if table is not None},
        app_after=step.app_after,
        environment_after=step.environment_after or canonical_digest(build_environment(environment)),
        facts=step.facts,
    )
    shared = {name: each for name, each in files.items() if belongs_to_step(name, kept)}
    return OwnStep(record, sources, shared, directory)


def belongs_to_step(file_name: str, layers: set[str]) -> bool:
    """Say whether an SBOM file is of the step or of one of these layers."""
    return file_name.partition(".")[0] in layers | {"launch", "build"}


@dataclass(frozen=True, slots=True)
class _TarOfImage:
    layer: ReusedLayer

    def chunks(self) -> Iterator[bytes]:
        return self.layer.image.layer(self.layer.diff_id)


def _layer(
    directory: Path, written: WrittenLayer, reused: ReusedLayer | None, places: LayerPlaces
) -> tuple[LayerRecord, LayerSource | None]:
    path = directory / written.name
    table = read_toml(path.with_name(f"{written.name}.toml"), regular=True)
    record = LayerRecord(written.name, written.types, LayerMetadata.model_validate(table).metadata)
    if has_directory(path):
        source: LayerSource = places.source(path)
    elif written.types.launch and reused is not None:
        source = _TarOfImage(reused)
    elif written.types.launch:
        raise CacheError("has no contents, and no image is known to have them", where=path)
    else:
        return record, None
    found, size = diff_id(source)
    return replace(record, diff_id=found, size=size), source


def _descriptor(path: Path) -> Descriptor:
    hasher, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        hasher.update(chunk)
        size += len(chunk)
    return Descriptor(FILE_TYPE, size, Digest(f"sha256:{hasher.hexdigest()}"))


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with open_file(path) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
