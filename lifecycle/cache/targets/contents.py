"""What a cache in BuildKit's format is written from: the steps of this build, their blobs and how they are packed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.targets.buildkit_manifest import (
    CONFIG_TYPE,
    DIFF_ID_ANNOTATION,
    Variant,
    cache_config,
    document_descriptor,
    manifest_bytes,
)
from lifecycle.cache.targets.cache_index import INDEX_TYPE, CachedBuild, SbomLayer
from lifecycle.cache.targets.cache_index import dumps as index_bytes
from lifecycle.errors import InvalidInputError
from lifecycle.images.assembly import OCI_TYPES, blob_descriptor, oci_type
from lifecycle.images.store import BlobSource, ReusedLayer
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.layers.blob import LayerBlob, write_blob
from lifecycle.oci.manifest import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cache.store import ExportedSteps
    from lifecycle.images.store import Image
    from lifecycle.layers.blob import Compression
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.step_record import LayerRecord, StepRecord
    from lifecycle.oci.digest import DiffId, Digest

MIN: Final = "min"
MAX: Final = "max"

_COMPRESSIONS: Final[Mapping[str, Compression]] = {"gzip": "gzip", "zstd": "zstd", "uncompressed": "none"}
_MEDIA_TYPES: Final[Mapping[Compression, str]] = {
    "gzip": OCI_LAYER_GZIP,
    "zstd": OCI_LAYER_ZSTD,
    "none": OCI_LAYER,
}
_LEVELS: Final[Mapping[Compression, tuple[int, range]]] = {
    "gzip": (1, range(10)),
    "zstd": (3, range(1, 23)),
    "none": (0, range(23)),
}
_SBOMS_IN_MIN: Final = frozenset({"launch", "cache"})


@dataclass(frozen=True, slots=True)
class Packing:
    """How layers are packed: new ones, and with ``force`` those too that are packed otherwise already."""

    compression: Compression = "gzip"
    level: int = 1
    force: bool = False

    def pack(self, source: LayerSource, work_dir: Path) -> LayerBlob:
        """Store a new layer in ``work_dir``."""
        return write_blob(source, work_dir, compression=self.compression, level=self.level)


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What a value of ``-cache-to`` says of the cache's content."""

    mode: str = MIN
    variant: Variant = field(default_factory=Variant)
    packing: Packing = field(default_factory=Packing)
    ignore_error: bool = False

    @classmethod
    def of(cls, spec: CacheSpec) -> TargetOptions:
        """Read them with buildx's defaults; raise ``InvalidInputError`` for what does not go together."""
        compression = _COMPRESSIONS[spec.get("compression") or "gzip"]
        level, levels = _LEVELS[compression]
        if text := spec.get("compression-level"):
            level = int(text)
            if level not in levels:
                raise InvalidInputError(
                    f"-cache-to {spec}: compression-level={level} is not between {levels[0]} and {levels[-1]}"
                )
        oci_types = spec.enabled("oci-mediatypes", default=True)
        image_manifest = spec.enabled("image-manifest", default=oci_types)
        if image_manifest and not oci_types:
            raise InvalidInputError(
                f"-cache-to {spec}: an image manifest of a cache has OCI media types",
                remedy="take out oci-mediatypes=false, or add image-manifest=false",
            )
        return cls(
            mode=spec.get("mode") or MIN,
            variant=Variant(image_manifest, oci_types),
            packing=Packing(compression, level, spec.enabled("force-compression", default=False)),
            ignore_error=spec.enabled("ignore-error", default=False),
        )

    def keeps(self, layer: LayerRecord) -> bool:
        """Say whether the contents of a layer go to the cache."""
        types = layer.types
        return types.launch or types.cache or (self.mode == MAX and types.build)


@dataclass(frozen=True, slots=True)
class Prepared:
    """This build as the cache will hold it, and each of its blobs with what has those bytes."""

    build: CachedBuild
    blobs: Mapping[Digest, tuple[Descriptor, LayerBlob | ReusedLayer]]


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of a cache, from which it is found bottom-up: our index, the configuration, the manifest."""

    index: bytes
    config: bytes
    manifest: bytes
    media_type: str

    @property
    def config_descriptor(self) -> Descriptor:
        """The descriptor of the configuration."""
        return document_descriptor(self.config, CONFIG_TYPE)

    @property
    def index_descriptor(self) -> Descriptor:
        """The descriptor of our index."""
        return document_descriptor(self.index, INDEX_TYPE)

    @property
    def manifest_descriptor(self) -> Descriptor:
        """The descriptor of the manifest."""
        return document_descriptor(self.manifest, self.media_type)


def prepare(exported: ExportedSteps, options: TargetOptions, *, work_dir: Path) -> Prepared:
    """Choose what the mode keeps, and pack in ``work_dir`` what has to be packed otherwise or has no blob yet."""
    blobs: dict[Digest, tuple[Descriptor, LayerBlob | ReusedLayer]] = {}
    known: dict[DiffId, Descriptor] = {}

    def stored(diff_id: DiffId) -> Descriptor | None:
        if diff_id not in known and diff_id in exported.blobs:
            descriptor, source = _stored(exported.blobs[diff_id], options, work_dir)
            known[diff_id] = replace(options.variant.typed(descriptor), annotations={DIFF_ID_ANNOTATION: diff_id})
            blobs[descriptor.digest] = known[diff_id], source
        return known.get(diff_id)

    def kept(layer: LayerRecord) -> LayerRecord:
        blob = stored(layer.diff_id) if layer.diff_id is not None and options.keeps(layer) else None
        return replace(layer, blob=blob)

    sboms = {}
    for place, diff_id in exported.sboms.items():
        blob = stored(diff_id) if options.mode == MAX or place in _SBOMS_IN_MIN else None
        if blob is not None:
            sboms[place] = SbomLayer(diff_id, blob)
    steps = tuple(
        replace(_of_mode(step, options), layers=tuple(kept(layer) for layer in step.layers)) for step in exported.steps
    )
    detected = exported.detected if options.mode == MAX else {}
    return Prepared(CachedBuild(options.mode, steps, sboms, detected), blobs)


def documents(builds: Sequence[CachedBuild], variant: Variant) -> Documents:
    """Return the documents of a cache with these builds; raise ``CacheError`` if BuildKit could not read them."""
    index = index_bytes(tuple(builds))
    index_descriptor = document_descriptor(index, INDEX_TYPE)
    config = cache_config(builds, index=index_descriptor.digest)
    listed = {
        blob.digest: replace(variant.typed(blob), annotations={DIFF_ID_ANNOTATION: diff_id})
        for build in builds
        for diff_id, blob in build.layers()
    }
    blobs = [*(listed[digest] for digest in sorted(listed)), index_descriptor]
    manifest = manifest_bytes(variant, blobs, document_descriptor(config, CONFIG_TYPE))
    return Documents(index, config, manifest, variant.media_type)


def _of_mode(step: StepRecord, options: TargetOptions) -> StepRecord:
    """Return the step with the files that the mode keeps: store.toml is a cache's business in any mode."""
    if options.mode == MAX:
        return step
    return replace(step, outputs={name: each for name, each in step.outputs.items() if name == "store.toml"})


@dataclass(frozen=True, slots=True)
class _LayerOfImage:
    image: Image
    diff_id: DiffId

    def chunks(self) -> Iterator[bytes]:
        return self.image.layer(self.diff_id)


@dataclass(frozen=True, slots=True)
class _Unpacked:
    blob: LayerBlob

    def chunks(self) -> Iterator[bytes]:
        return self.blob.uncompressed()


def _stored(
    source: LayerBlob | ReusedLayer, options: TargetOptions, work_dir: Path
) -> tuple[Descriptor, LayerBlob | ReusedLayer]:
    """Return a layer's descriptor, with OCI's types, and what has its bytes."""
    packing = options.packing
    if isinstance(source, LayerBlob):
        descriptor = blob_descriptor(source, OCI_TYPES)
        if not packing.force or descriptor.media_type == _MEDIA_TYPES[packing.compression]:
            return descriptor, source
        tar: LayerSource = _Unpacked(source)
    else:
        tar = _LayerOfImage(source.image, source.diff_id)
        if isinstance(source.image, BlobSource):
            found = layer_descriptor(source.image, source.diff_id)
            descriptor = Descriptor(oci_type(found.media_type), found.size, found.digest)
            if not packing.force or descriptor.media_type == _MEDIA_TYPES[packing.compression]:
                return descriptor, source
    packed = packing.pack(tar, work_dir)
    return blob_descriptor(packed, OCI_TYPES), packed
