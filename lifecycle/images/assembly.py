"""What an image to write consists of, the same in every store that keeps blobs.

Manifest and new layers have the media types of the base's kind, without a base those of OCI; layers of the base
and reused ones keep their descriptors.  Spec: OCI image-spec manifest.md; Docker Image Manifest Version 2,
Schema 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import LONGEST_MAGIC, packing
from lifecycle.oci.digest import Digest, digest_of
from lifecycle.oci.manifest import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Manifest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob

_OCI_LAYERS = {DOCKER_LAYER: OCI_LAYER, DOCKER_LAYER_GZIP: OCI_LAYER_GZIP}
_DOCKER_LAYERS = {oci: docker for docker, oci in _OCI_LAYERS.items()}


@dataclass(frozen=True, slots=True)
class MediaTypes:
    """Which media types an image is written with."""

    manifest: str
    config: str

    @property
    def docker(self) -> bool:
        """Whether they are those of Docker."""
        return self.manifest == DOCKER_MANIFEST

    @property
    def tar(self) -> str:
        """The type of an uncompressed layer."""
        return DOCKER_LAYER if self.docker else OCI_LAYER

    def same_kind(self, media_type: str) -> str:
        """Return the type of a layer in an image of this kind; Docker has none for zstd."""
        return (_DOCKER_LAYERS if self.docker else _OCI_LAYERS).get(media_type, media_type)

    def layer(self, path: Path) -> str:
        """Return the type of a new layer by the first bytes of its file; raise ``ImageError`` if it has none."""
        try:
            with path.open("rb") as file:
                how = packing(file.read(LONGEST_MAGIC))
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=path) from error
        match how:
            case "zstd":
                # Docker has no type of its own for it.
                return OCI_LAYER_ZSTD
            case "gzip":
                return DOCKER_LAYER_GZIP if self.docker else OCI_LAYER_GZIP
            case "none":
                return self.tar


OCI_TYPES = MediaTypes(OCI_MANIFEST, OCI_CONFIG)
"""The types of images in OCI layouts, whose readers know no others."""


def media_types(image: NewImage) -> MediaTypes:
    """Return the types of the base's kind, or those of OCI."""
    if image.base is None:
        return OCI_TYPES
    base = image.base.manifest
    return MediaTypes(base.media_type or OCI_MANIFEST, base.config.media_type)


def layers_of(image: NewImage, *, where: str | PathLike[str]) -> tuple[LayerBlob | ReusedLayer, ...]:
    """Return all layers, those of the base first; raise ``ImageError`` if the configuration lists others."""
    base = () if image.base is None else tuple(ReusedLayer(image.base, each) for each in image.base.config.diff_ids)
    layers = (*base, *image.layers)
    if image.config.diff_ids != tuple(layer.diff_id for layer in layers):
        raise ImageError("has a configuration that does not list its layers", where=where)
    return layers


def blob_descriptor(blob: LayerBlob, types: MediaTypes) -> Descriptor:
    """Return the descriptor of a new layer."""
    return Descriptor(types.layer(blob.path), blob.size, Digest(blob.digest))


def config_descriptor(config: bytes, types: MediaTypes) -> Descriptor:
    """Return the descriptor of a configuration."""
    return Descriptor(types.config, len(config), digest_of(config))


def oci_type(media_type: str) -> str:
    """Return the OCI type of a layer that has Docker's type."""
    return _OCI_LAYERS.get(media_type, media_type)


def manifest_of(
    image: NewImage,
    config: bytes,
    layers: Sequence[Descriptor],
    *,
    types: MediaTypes,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Return the manifest: the base's annotations stay, but for its name in the layout where it lay."""
    kept = {} if image.base is None else dict(image.base.manifest.annotations)
    kept.pop(REF_NAME, None)
    return Manifest(types.manifest, config_descriptor(config, types), tuple(layers), {**kept, **(annotations or {})})
