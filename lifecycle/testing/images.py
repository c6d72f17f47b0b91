"""An image store in memory, for tests.

It keeps the contract of ``ImageStore`` in full: layers are verified, names appear whole, digests are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError, ImageError
from lifecycle.images.store import BlobSource, ReusedLayer, WrittenImage
from lifecycle.layers.blob import decompressed
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_LAYER,
    Descriptor,
    Manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.images.store import Image, NewImage

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """An image whose layers are in ``blobs``, as stored, by digest; without some of them it is sparse."""

    name: str
    reference: str
    config: ImageConfig
    manifest: Manifest
    blobs: Mapping[Digest, bytes]

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        descriptor = _descriptor_of(self, diff_id)
        where = f"{self.name} {diff_id}"
        return verified(decompressed(self.blob(descriptor)), digest=diff_id, size=None, where=where)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether the blob is there."""
        return descriptor.digest in self.blobs

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, verified while they are read."""
        data = self.blobs.get(descriptor.digest)
        if data is None:
            raise CorruptImageError(f"lacks the blob {descriptor.digest}", where=self.name)
        chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
        return verified(chunks, digest=descriptor.digest, size=descriptor.size, where=self.name)


@dataclass(slots=True)
class MemoryImages:
    """Images by name.

    ``has_digests`` makes it report as a registry does, otherwise as a daemon.  Names in ``unwritable`` fail
    to be written and names in ``unreadable`` to be read.
    """

    has_digests: bool = True
    unwritable: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()
    images: dict[str, MemoryImage] = field(default_factory=dict)

    def put(
        self,
        name: str,
        *,
        layers: Sequence[bytes] = (),
        architecture: str = "amd64",
        os: str = "linux",
        **config: Any,
    ) -> MemoryImage:
        """Make an image of the given tars; ``config`` are further fields of ``ImageConfig``."""
        descriptors = tuple(Descriptor(OCI_LAYER, len(tar), digest_of(tar)) for tar in layers)
        diff_ids = tuple(DiffId(digest_of(tar)) for tar in layers)
        image_config = ImageConfig(architecture=architecture, os=os, diff_ids=diff_ids, **config)
        blobs = {digest_of(tar): tar for tar in layers}
        self.images[name] = self._image(name, image_config, descriptors, blobs)
        return self.images[name]

    def find(self, name: str) -> MemoryImage | None:
        """Return the image of that name or reference."""
        if name in self.unreadable:
            return None
        by_reference = {image.reference: image for image in self.images.values()}
        return self.images.get(name) or by_reference.get(name)

    def readable(self, name: str) -> bool:
        """Say whether there is an image of that name that may be read."""
        return self.find(name) is not None

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` for the first unwritable name."""
        for name in names:
            if name in self.unwritable:
                raise ImageError("may not be written", where=name)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write ``image`` under every name but the unwritable ones."""
        blobs: dict[Digest, bytes] = {}
        descriptors: list[Descriptor] = []
        base = () if image.base is None else image.base.config.diff_ids
        for layer in (
            *(ReusedLayer(image.base, diff_id) for diff_id in base if image.base is not None),
            *image.layers,
        ):
            if isinstance(layer, ReusedLayer):
                descriptor = _descriptor_of(layer.image, layer.diff_id)
                data = _stored(layer.image, layer.diff_id, descriptor)
            else:
                descriptor = Descriptor(DOCKER_LAYER_GZIP, layer.size, Digest(layer.digest))
                data = b"".join(layer.chunks())
            if data is not None:
                chunks = verified([data], digest=descriptor.digest, size=descriptor.size, where=names[0])
                blobs[descriptor.digest] = b"".join(chunks)
            descriptors.append(descriptor)
        if image.config.diff_ids != (*base, *(layer.diff_id for layer in image.layers)):
            raise ImageError("has a configuration that does not list its layers", where=names[0])
        written = tuple(name for name in names if name not in self.unwritable)
        for name in written:
            self.images[name] = self._image(name, image.config, tuple(descriptors), blobs)
        sample = self._image(names[0], image.config, tuple(descriptors), blobs)
        data = sample.manifest.dumps()
        return WrittenImage(
            names=written,
            reference=sample.reference,
            image_id=sample.manifest.config.digest,
            digest=digest_of(data) if self.has_digests else "",
            manifest_size=len(data) if self.has_digests else 0,
            failures={name: "may not be written" for name in names if name in self.unwritable},
        )

    def _image(
        self, name: str, config: ImageConfig, layers: tuple[Descriptor, ...], blobs: Mapping[Digest, bytes]
    ) -> MemoryImage:
        data = config.dumps()
        manifest = Manifest(DOCKER_MANIFEST, Descriptor(DOCKER_CONFIG, len(data), digest_of(data)), layers)
        if self.has_digests:
            reference = f"{name.partition('@')[0]}@{digest_of(manifest.dumps())}"
        else:
            reference = digest_of(data).removeprefix("sha256:")
        return MemoryImage(name, reference, config, manifest, blobs)


def _descriptor_of(image: Image, diff_id: DiffId) -> Descriptor:
    if diff_id not in image.config.diff_ids:
        raise CorruptImageError(f"lacks the layer {diff_id}", where=image.name)
    return image.manifest.layers[image.config.diff_ids.index(diff_id)]


def _stored(image: Image, diff_id: DiffId, descriptor: Descriptor) -> bytes | None:
    """Return the bytes of a layer as its image stores them, ``None`` where the image is sparse."""
    if not isinstance(image, BlobSource):
        return b"".join(image.layer(diff_id))
    return b"".join(image.blob(descriptor)) if image.has_blob(descriptor) else None
