"""What images have in common wherever their blobs are kept: which blob is a layer, and its way back to a tar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import CorruptImageError
from lifecycle.images.store import BlobSource, Image
from lifecycle.layers.blob import decompressed
from lifecycle.oci.digest import verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Descriptor, Manifest

MAX_DOCUMENT = 16 * 1024 * 1024
"""How large an index, a manifest or a configuration may be, in bytes."""

MAX_NESTING = 4
"""How deep an index may lie in others."""


class StoredImage(Image, BlobSource, Protocol):
    """An image whose blobs can be had as they are stored."""


def layer_descriptor(image: Image, diff_id: DiffId) -> Descriptor:
    """Return the descriptor of a layer; raise ``CorruptImageError`` if the image has no such layer."""
    if diff_id not in image.config.diff_ids:
        raise CorruptImageError(f"has no layer {diff_id}", where=image.name)
    return image.manifest.layers[image.config.diff_ids.index(diff_id)]


def layer_tar(image: StoredImage, diff_id: DiffId) -> Iterator[bytes]:
    """Yield the tar of a layer from its blob, verified while it is read."""
    descriptor = layer_descriptor(image, diff_id)
    tar = decompressed(image.blob(descriptor), where=f"{image.name} {descriptor.digest}")
    return verified(tar, digest=diff_id, size=None, where=f"{image.name} {diff_id}")


def check_layer_count(manifest: Manifest, config: ImageConfig, *, where: str) -> None:
    """Raise ``CorruptImageError`` unless the manifest has one layer for each diffID."""
    if len(config.diff_ids) != len(manifest.layers):
        raise CorruptImageError(
            f"has {len(manifest.layers)} layers, but its configuration lists {len(config.diff_ids)}", where=where
        )
