"""Puts an image into the directory of an OCI layout: blobs first, then index.json by rename.

A killed writer leaves the old image.  New layers have the media types of the base's kind, without a base
those of OCI.  Spec: OCI image-spec image-layout.md.  Reference: the bytes of oci-layout and index.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ImageError, VerificationError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.layout_files import INDEX, DirectoryFiles, blob_name
from lifecycle.images.store import BlobSource, Image, NewImage, ReusedLayer
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.gojson import Struct
from lifecycle.oci.manifest import (
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

_LAYOUT_VERSION = b'{\n    "imageLayoutVersion": "1.0.0"\n}'
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def write_blobs(path: Path, image: NewImage, *, annotations: Mapping[str, str] | None = None) -> Manifest:
    """Write everything that ``image`` consists of but index.json, and return its manifest.

    Blobs of the base that the base itself lacks are left out.
    """
    _check_diff_ids(image, path)
    base = None if image.base is None else image.base.manifest
    media_type = base.media_type or OCI_MANIFEST if base is not None else OCI_MANIFEST
    docker = media_type == DOCKER_MANIFEST
    layers: list[Descriptor] = []
    if image.base is not None:
        layers += [
            _copy_layer(path, image.base, diff_id, docker=docker, sparse=True) for diff_id in image.base.config.diff_ids
        ]
    for layer in image.layers:
        if isinstance(layer, ReusedLayer):
            layers.append(_copy_layer(path, layer.image, layer.diff_id, docker=docker, sparse=False))
        else:
            layers.append(_add_layer(path, layer, docker=docker))
    config = _add_document(path, image.config.dumps(), OCI_CONFIG if base is None else base.config.media_type)
    manifest = Manifest(
        media_type, config, tuple(layers), {**(base.annotations if base else {}), **(annotations or {})}
    )
    _add_document(path, manifest.dumps(), media_type)
    return manifest


def write_index(path: Path, descriptors: Sequence[Descriptor]) -> None:
    """Make ``path`` a layout with these images, in one step."""
    index = Struct(schemaVersion=2, mediaType=OCI_INDEX, manifests=[descriptor.struct() for descriptor in descriptors])
    write_atomic(path / "oci-layout", _LAYOUT_VERSION)
    write_atomic(path / INDEX, json.dumps(index, indent=3, ensure_ascii=False).encode())


def manifest_descriptor(manifest: Manifest, *, ref_name: str) -> Descriptor:
    """Return what index.json says of an image of that name."""
    data = manifest.dumps()
    return Descriptor(manifest.media_type, len(data), digest_of(data), annotations={REF_NAME: ref_name})


def _check_diff_ids(image: NewImage, path: Path) -> None:
    base = image.base.config.diff_ids if image.base is not None else ()
    if image.config.diff_ids != (*base, *(layer.diff_id for layer in image.layers)):
        raise ImageError("has a configuration that does not list its layers", where=path)


def _copy_layer(path: Path, image: Image, diff_id: DiffId, *, docker: bool, sparse: bool) -> Descriptor:
    """Take over a layer as it is stored, or uncompressed from an image that has no stored form."""
    if diff_id not in image.config.diff_ids:
        raise CorruptImageError(f"has no layer {diff_id}", where=image.name)
    if not isinstance(image, BlobSource):
        return _add_uncompressed(path, diff_id, image.layer(diff_id), docker=docker)
    descriptor = image.manifest.layers[image.config.diff_ids.index(diff_id)]
    if not _holds(path, descriptor) and not (sparse and not image.has_blob(descriptor)):
        write_atomic(path / blob_name(descriptor.digest), image.blob(descriptor))
    return descriptor


def _add_layer(path: Path, blob: LayerBlob, *, docker: bool) -> Descriptor:
    descriptor = Descriptor(_layer_type(blob.path, docker=docker), blob.size, Digest(blob.digest))
    if not _holds(path, descriptor):
        target = path / blob_name(descriptor.digest)
        if not _link(blob.path, target):
            chunks = DirectoryFiles(blob.path.parent).chunks(blob.path.name)
            write_atomic(target, verified(chunks, digest=blob.digest, size=blob.size, where=str(blob.path)))
    return descriptor


def _add_uncompressed(path: Path, diff_id: DiffId, tar: Iterator[bytes], *, docker: bool) -> Descriptor:
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in tar:
            size += len(chunk)
            yield chunk

    write_atomic(path / blob_name(Digest(diff_id)), counted())
    return Descriptor(DOCKER_LAYER if docker else OCI_LAYER, size, Digest(diff_id))


def _add_document(path: Path, data: bytes, media_type: str) -> Descriptor:
    descriptor = Descriptor(media_type, len(data), digest_of(data))
    write_atomic(path / blob_name(descriptor.digest), data)
    return descriptor


def _layer_type(blob: Path, *, docker: bool) -> str:
    with blob.open("rb") as file:
        start = file.read(len(_ZSTD))
    if start == _ZSTD:
        return OCI_LAYER_ZSTD
    if start.startswith(_GZIP):
        return DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP
    return DOCKER_LAYER if docker else OCI_LAYER


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
