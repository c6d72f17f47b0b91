"""An image store in memory, for tests.

It keeps the contract of ``ImageStore`` in full: layers are verified, names appear whole, digests are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError, ImageError
from lifecycle.images.store import Image, NewImage, ReusedLayer, WrittenImage
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

    from lifecycle.layers.blob import LayerBlob

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """An image whose layers are held uncompressed."""

    name: str
    reference: str
    config: ImageConfig
    manifest: Manifest
    layers: Mapping[DiffId, bytes]

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer; a missing one raises ``CorruptImageError``."""
        data = self.layers.get(diff_id)
        if data is None:
            raise CorruptImageError(f"lacks the layer {diff_id}", where=self.name)
        chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
        return verified(chunks, digest=diff_id, size=len(data), where=f"{self.name} {diff_id}")


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
        tars = {DiffId(digest_of(tar)): tar for tar in layers}
        descriptors = tuple(Descriptor(OCI_LAYER, len(tar), digest_of(tar)) for tar in layers)
        diff_ids = tuple(DiffId(digest_of(tar)) for tar in layers)
        image_config = ImageConfig(architecture=architecture, os=os, diff_ids=diff_ids, **config)
        image = self._image(name, image_config, descriptors, tars)
        self.images[name] = image
        return image

    def find(self, name: str) -> MemoryImage | None:
        """Return the image of that name or reference."""
        if name in self.unreadable:
            return None
        found = self.images.get(name)
        if found is not None:
            return found
        return next((image for image in self.images.values() if image.reference == name), None)

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
        tars: dict[DiffId, bytes] = {}
        descriptors: list[Descriptor] = []
        base_diff_ids: tuple[DiffId, ...] = ()
        if image.base is not None:
            base_diff_ids = image.base.config.diff_ids
            for diff_id in base_diff_ids:
                tars[diff_id] = b"".join(image.base.layer(diff_id))
            descriptors += image.base.manifest.layers
        for layer in image.layers:
            tars[layer.diff_id] = _tar(layer)
            descriptors.append(_descriptor(layer))
        expected = (*base_diff_ids, *(layer.diff_id for layer in image.layers))
        if image.config.diff_ids != expected:
            raise ImageError("has a configuration that does not list its layers", where=", ".join(names))
        written = []
        for name in names:
            if name not in self.unwritable:
                self.images[name] = self._image(name, image.config, tuple(descriptors), tars)
                written.append(name)
        sample = self._image(names[0], image.config, tuple(descriptors), tars)
        data = sample.manifest.dumps()
        return WrittenImage(
            names=tuple(written),
            reference=sample.reference,
            image_id=digest_of(image.config.dumps()),
            digest=digest_of(data) if self.has_digests else "",
            manifest_size=len(data) if self.has_digests else 0,
            failures={name: "may not be written" for name in names if name in self.unwritable},
        )

    def _image(
        self,
        name: str,
        config: ImageConfig,
        layers: tuple[Descriptor, ...],
        tars: Mapping[DiffId, bytes],
    ) -> MemoryImage:
        data = config.dumps()
        manifest = Manifest(DOCKER_MANIFEST, Descriptor(DOCKER_CONFIG, len(data), digest_of(data)), layers)
        if self.has_digests:
            reference = f"{name.partition('@')[0]}@{digest_of(manifest.dumps())}"
        else:
            reference = digest_of(data).removeprefix("sha256:")
        return MemoryImage(name, reference, config, manifest, tars)


def _tar(layer: LayerBlob | ReusedLayer) -> bytes:
    if isinstance(layer, ReusedLayer):
        return b"".join(layer.image.layer(layer.diff_id))
    return b"".join(layer.uncompressed())


def _descriptor(layer: LayerBlob | ReusedLayer) -> Descriptor:
    if isinstance(layer, ReusedLayer):
        return _reused_descriptor(layer.image, layer.diff_id)
    return Descriptor(DOCKER_LAYER_GZIP, layer.size, Digest(layer.digest))


def _reused_descriptor(image: Image, diff_id: DiffId) -> Descriptor:
    if diff_id not in image.config.diff_ids:
        raise CorruptImageError(f"lacks the layer {diff_id}", where=image.name)
    return image.manifest.layers[image.config.diff_ids.index(diff_id)]
