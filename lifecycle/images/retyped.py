"""Layers of other images on their way into one of another kind: the same blobs under the media types of that kind."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.images.assembly import media_types
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer

if TYPE_CHECKING:
    from lifecycle.images.store import Image


def retyped(layer: ReusedLayer, base: Image) -> ReusedLayer:
    """Return a layer to put on ``base``, so that an image does not tell from which kind of image its layers came."""
    image = layer.image
    types = media_types(NewImage(base, (), base.config))
    manifest = image.manifest
    layers = tuple(replace(each, media_type=types.same_kind(each.media_type)) for each in manifest.layers)
    if layers == manifest.layers or not isinstance(image, BlobSource) or not is_dataclass(image):
        return layer
    return ReusedLayer(replace(image, manifest=replace(manifest, layers=layers)), layer.diff_id)
