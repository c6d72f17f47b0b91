"""The cache format of BuildKit: a manifest or index of blobs, and a configuration that says what made which.

The configuration lists chains of blobs, each by its parent's position, and records, each with its digest, the records
it was made from and the chain it gave.  BuildKit leaves out a ``parent`` of 0, so a missing one means 0, and refuses
manifests and configurations of more than 1 MiB.  One record stands for each step, one for each of its layers.
Facts: moby/buildkit cache/remotecache/v1 (types/spec.go, parse.go, utils.go), cache/remotecache/{import,export}.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.model.step_record import layer_key
from lifecycle.oci.digest import Digest, digest_of, is_digest
from lifecycle.oci.gojson import Struct
from lifecycle.oci.gojson import dumps as go_json
from lifecycle.oci.manifest import (
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    read_index,
    read_manifest,
    read_object,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cache.targets.cache_index import CachedBuild
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import DiffId

CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0"
DIFF_ID_ANNOTATION = "containerd.io/uncompressed"
LARGEST = 1 << 20
"""Bytes of a manifest or a configuration that BuildKit still reads."""

_NO_PARENT = -1
_NO_TIME = "0001-01-01T00:00:00Z"
"""BuildKit's word for a time that is not known; a real one would make equal caches differ."""

_DOCKER_TYPES = {
    OCI_LAYER: DOCKER_LAYER,
    OCI_LAYER_GZIP: DOCKER_LAYER_GZIP,
    OCI_LAYER_ZSTD: f"{DOCKER_LAYER}.zstd",
}
_OCI_TYPES = {docker: oci for oci, docker in _DOCKER_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Variant:
    """How the blobs are listed: as an image manifest or as an index, with OCI's media types or Docker's."""

    image_manifest: bool = True
    oci_types: bool = True

    @property
    def media_type(self) -> str:
        """The type of the manifest or index."""
        if self.image_manifest:
            return OCI_MANIFEST
        return OCI_INDEX if self.oci_types else DOCKER_INDEX

    def typed(self, blob: Descriptor) -> Descriptor:
        """Return the descriptor of a layer with this variant's type."""
        types = _OCI_TYPES if self.oci_types else _DOCKER_TYPES
        return replace(blob, media_type=types.get(blob.media_type, blob.media_type))


@dataclass(frozen=True, slots=True)
class Record:
    """A record: ``inputs`` are positions of other records, ``chain`` the position of the layer on top, if any."""

    digest: str
    inputs: tuple[tuple[int, ...], ...] = ()
    chain: int | None = None
    positions: tuple[int, ...] = ()


class _Config:
    """Layers and records in the order in which they are found, each once."""

    def __init__(self) -> None:
        self.layers: list[tuple[str, int]] = []
        self.records: list[Record] = []
        self._layers: dict[tuple[str, int], int] = {}
        self._records: dict[Record, int] = {}

    def layer(self, blob: Digest, parent: int) -> int:
        """Return the position of a blob on top of another layer."""
        if (blob, parent) not in self._layers:
            self._layers[blob, parent] = len(self.layers)
            self.layers.append((blob, parent))
        return self._layers[blob, parent]

    def record(self, record: Record) -> int:
        """Return the position of a record."""
        if record not in self._records:
            self._records[record] = len(self.records)
            self.records.append(record)
        return self._records[record]


def cache_config(builds: Sequence[CachedBuild], *, index: Digest) -> bytes:
    """Return the configuration; ``index`` names our own document.  Raises ``CacheError`` if it gets too large."""
    config = _Config()
    for build in builds:
        _add_build(config, build)
    fields = _sorted_fields(config)
    fields["cnb"] = Struct(v=1, index=index)
    return checked_size(go_json(fields).encode(), what="configuration")


def checked_size(data: bytes, *, what: str) -> bytes:
    """Return ``data``, a document that BuildKit is to read; raise ``CacheError`` if it would not."""
    if len(data) > LARGEST:
        raise CacheError(
            f"would have a {what} of {len(data)} bytes, and BuildKit reads {LARGEST}",
            remedy="use mode=min, or leave out merge=true",
        )
    return data


def inline_records(build: CachedBuild, layers: Sequence[DiffId]) -> bytes:
    """Return the records of an inline cache, whose layers are those of the image, listed by diffID."""
    position = {diff_id: index for index, diff_id in enumerate(layers)}
    records: list[Record] = []
    held: tuple[int, ...] = ()
    for step in build.steps:
        own = tuple(position[each.diff_id] for each in step.layers if each.diff_id and each.diff_id in position)
        held += own
        inputs = ((len(records) - 1,),) if records else ()
        records.append(Record(step_digest(step), inputs, positions=held))
    return go_json([_record_struct(each) for each in records]).encode()


def step_digest(step: StepRecord) -> Digest:
    """Return the digest by which BuildKit's records call a step: its key, or that of its record if it has none."""
    return step.key or step.digest


def manifest_bytes(variant: Variant, blobs: Sequence[Descriptor], config: Descriptor) -> bytes:
    """Return the manifest or index of ``blobs``; raise ``CacheError`` if it gets too large."""
    if variant.image_manifest:
        data = Manifest(OCI_MANIFEST, config, tuple(blobs)).dumps()
    else:
        listed = [each.struct() for each in (*blobs, config)]
        data = go_json(Struct(schemaVersion=2, mediaType=variant.media_type, manifests=listed)).encode()
    return checked_size(data, what="manifest")


@dataclass(frozen=True, slots=True)
class CacheManifest:
    """What a manifest or index of a cache names: its configuration and its blobs."""

    config: Descriptor
    blobs: tuple[Descriptor, ...]


def read_cache_manifest(data: bytes, *, where: str) -> CacheManifest | None:
    """Read either variant, ``None`` where there is no cache configuration."""
    value = read_object(data, where=where)
    if isinstance(value.get("manifests"), list):
        listed = read_index(data, where=where)
        config = next((each for each in listed if each.media_type == CONFIG_TYPE), None)
        blobs = tuple(each for each in listed if each.media_type != CONFIG_TYPE)
    else:
        manifest = read_manifest(data, where=where)
        config = manifest.config if manifest.config.media_type == CONFIG_TYPE else None
        blobs = manifest.layers
    return None if config is None else CacheManifest(config, blobs)


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """A configuration: each layer's blob and its parent's position, -1 without one; its records; our document."""

    layers: tuple[tuple[str, int], ...]
    records: tuple[Record, ...]
    index: Digest | None


def read_cache_config(data: bytes, *, where: str) -> CacheConfig:
    """Read a configuration, of whoever wrote it; members that are not known are ignored.

    Raises ``CorruptImageError``.
    """
    value = read_object(data, where=where)
    try:
        layers = tuple((str(each["blob"]), _position(each.get("parent", 0))) for each in value.get("layers") or ())
        records = tuple(map(_read_record, value.get("records") or ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptImageError(f"is no cache configuration: {error}", where=where) from error
    if any(not _NO_PARENT <= parent < len(layers) for _, parent in layers):
        raise CorruptImageError("is no cache configuration: a parent is not among its layers", where=where)
    own = value.get("cnb")
    index = own.get("index") if isinstance(own, dict) and own.get("v") == 1 else None
    return CacheConfig(layers, records, Digest(index) if isinstance(index, str) and is_digest(index) else None)


def _add_build(config: _Config, build: CachedBuild) -> None:
    top, before = _NO_PARENT, None
    for step in build.steps:
        for layer in step.layers:
            if layer.blob is not None:
                top = config.layer(layer.blob.digest, top)
        inputs = () if before is None else ((before,),)
        before = config.record(Record(step_digest(step), inputs, None if top == _NO_PARENT else top))
        for layer in step.layers:
            if layer.blob is not None:
                own = config.layer(layer.blob.digest, _NO_PARENT)
                config.record(Record(layer_key(step_digest(step), layer.name), ((before,),), own))


def _sorted_fields(config: _Config) -> Struct:
    """Return layers and records in BuildKit's order, positions as they are in it."""
    layer_order = sorted(range(len(config.layers)), key=lambda each: config.layers[each])
    record_order = sorted(range(len(config.records)), key=lambda each: (config.records[each].digest, each))
    new_layer = {old: new for new, old in enumerate(layer_order)} | {_NO_PARENT: _NO_PARENT}
    new_record = {old: new for new, old in enumerate(record_order)}
    layers = [
        Struct(blob=blob, parent=new_layer[parent]) if new_layer[parent] else Struct(blob=blob)
        for blob, parent in (config.layers[old] for old in layer_order)
    ]
    records = []
    for old in record_order:
        record = config.records[old]
        inputs = tuple(tuple(sorted(new_record[each] for each in slot)) for slot in record.inputs)
        chain = None if record.chain is None else new_layer[record.chain]
        records.append(_record_struct(replace(record, inputs=inputs, chain=chain)))
    fields = Struct()
    if layers:
        fields["layers"] = layers
    if records:
        fields["records"] = records
    return fields


def _record_struct(record: Record) -> Struct:
    fields = Struct()
    if record.chain is not None:
        fields["layers"] = [Struct(layer=record.chain, createdAt=_NO_TIME)]
    if record.positions:
        fields["chains"] = [Struct(layers=list(record.positions), createdAt=_NO_TIME)]
    fields["digest"] = record.digest
    if record.inputs:
        fields["inputs"] = [[Struct(link=each) for each in slot] for slot in record.inputs]
    return fields


def _read_record(value: Any) -> Record:
    results = value.get("layers") or ()
    chains = value.get("chains") or ()
    return Record(
        str(value.get("digest", "")),
        tuple(tuple(_position(each.get("link", 0)) for each in slot) for slot in value.get("inputs") or ()),
        _position(results[0].get("layer", 0)) if results else None,
        tuple(map(_position, chains[0].get("layers") or ())) if chains else (),
    )


def _position(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no position")  # noqa: TRY004  # of the file, not of a caller
    return value


def document_descriptor(data: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of a document."""
    return Descriptor(media_type, len(data), digest_of(data))
