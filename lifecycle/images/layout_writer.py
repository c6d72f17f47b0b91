"""Puts an image into the directory of an OCI layout: blobs first, then index.json by rename.

A killed writer leaves the old image.  All media types are those of OCI, also where an image was taken from Docker,
for readers of layouts refuse others.  Spec: OCI image-spec image-layout.md.  Reference: the bytes of oci-layout and
index.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError, VerificationError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.assembly import OCI_TYPES, blob_descriptor, layers_of, manifest_of, oci_type
from lifecycle.images.layout_files import INDEX, DirectoryFiles, blob_name
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.gojson import Struct
from lifecycle.oci.manifest import OCI_INDEX, REF_NAME, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob

_LAYOUT_VERSION = b'{\n    "imageLayoutVersion": "1.0.0"\n}'


def write_blobs(path: Path, image: NewImage, *, annotations: Mapping[str, str] | None = None) -> Manifest:
    """Write everything that ``image`` consists of but index.json, and return its manifest.

    Blobs of the base that the base itself lacks are left out.
    """
    layers = [
        _copy_layer(path, layer, sparse=layer.image is image.base)
        if isinstance(layer, ReusedLayer)
        else _add_layer(path, layer)
        for layer in layers_of(image, where=path)
    ]
    config = image.config.dumps()
    manifest = manifest_of(image, config, layers, types=OCI_TYPES, annotations=annotations)
    for document in (config, manifest.dumps()):
        write_atomic(path / blob_name(digest_of(document)), document)
    return manifest


def write_index(path: Path, descriptors: Sequence[Descriptor]) -> None:
    """Make ``path`` a layout with these images, in one step."""
    index = Struct(schemaVersion=2, mediaType=OCI_INDEX, manifests=[descriptor.struct() for descriptor in descriptors])
    write_atomic(path / "oci-layout", _LAYOUT_VERSION)
    write_atomic(path / INDEX, json.dumps(index, indent=3, ensure_ascii=False).encode())


def add_blob(path: Path, descriptor: Descriptor, source: LayerBlob | ReusedLayer) -> None:
    """Write the blob of a layer, as it is stored, unless the layout has it; raise ``LifecycleError``."""
    if not isinstance(source, ReusedLayer):
        _add_layer(path, source)
    elif not _holds(path, descriptor):
        if not isinstance(source.image, BlobSource):
            raise ImageError(f"keeps no blob of {source.diff_id}", where=source.image.name)
        write_atomic(path / blob_name(descriptor.digest), source.image.blob(descriptor))


def manifest_descriptor(manifest: Manifest, *, ref_name: str) -> Descriptor:
    """Return what index.json says of an image of that name."""
    data = manifest.dumps()
    return Descriptor(manifest.media_type, len(data), digest_of(data), annotations={REF_NAME: ref_name})


def _copy_layer(path: Path, layer: ReusedLayer, *, sparse: bool) -> Descriptor:
    """Take over a layer as it is stored, or uncompressed from an image that has no stored form."""
    image = layer.image
    descriptor = layer_descriptor(image, layer.diff_id)
    if not isinstance(image, BlobSource):
        return _add_uncompressed(path, layer.diff_id, image.layer(layer.diff_id))
    if not _holds(path, descriptor) and not (sparse and not image.has_blob(descriptor)):
        write_atomic(path / blob_name(descriptor.digest), image.blob(descriptor))
    return replace(descriptor, media_type=oci_type(descriptor.media_type))


def _add_layer(path: Path, blob: LayerBlob) -> Descriptor:
    descriptor = blob_descriptor(blob, OCI_TYPES)
    if not _holds(path, descriptor):
        target = path / blob_name(descriptor.digest)
        if not _link(blob.path, target):
            chunks = DirectoryFiles(blob.path.parent).chunks(blob.path.name)
            write_atomic(target, verified(chunks, digest=blob.digest, size=blob.size, where=str(blob.path)))
    return descriptor


def _add_uncompressed(path: Path, diff_id: DiffId, tar: Iterator[bytes]) -> Descriptor:
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in tar:
            size += len(chunk)
            yield chunk

    write_atomic(path / blob_name(Digest(diff_id)), counted())
    return Descriptor(OCI_TYPES.tar, size, Digest(diff_id))


def _holds(path: Path, descriptor: Descriptor) -> bool:
    """Say whether the layout has the blob already, whole and right."""
    files = DirectoryFiles(path)
    name = blob_name(descriptor.digest)
    if files.size(name) != descriptor.size:
        return False
    try:
        _exhaust(verified(files.chunks(name), digest=descriptor.digest, size=descriptor.size, where=name))
    except VerificationError:
        return False
    return True


def _exhaust(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass


def _link(source: Path, target: Path) -> bool:
    """Let ``target`` be the file ``source``, if they lie on one file system."""
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, temporary, follow_symlinks=False)
        try:
            temporary.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
    except OSError:
        return False
    return True
