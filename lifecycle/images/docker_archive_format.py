"""The tar that ``docker save`` writes and ``docker load`` reads, as a stream out and as files in.

Written as the reference does it: ``<hex>.json`` is the configuration, ``/sha256:<diffID>.tar`` an uncompressed
layer, an empty ``blank_<index>`` a layer that the daemon has, and manifest.json comes last.  Read in every form
that Docker and podman have written: layers in directories of their own, links between them, or the blobs of an
OCI layout.  Reference: imgutil, local store.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lifecycle.errors import CorruptImageError, ImageError, InvalidInputError, VerificationError
from lifecycle.images.layout_files import CHUNK
from lifecycle.images.store import ReusedLayer
from lifecycle.images.stored_image import MAX_DOCUMENT
from lifecycle.layers.blob import decompressed, packing
from lifecycle.oci.config import read_config
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.gojson import dumps
from lifecycle.oci.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, Manifest
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.config import ImageConfig

MANIFEST = "manifest.json"

_DIGITS = re.compile(r"[0-9a-f]{64}")


@runtime_checkable
class SizedLayers(Protocol):
    """What an image offers if it knows how large its uncompressed layers are."""

    def layer_size(self, diff_id: DiffId) -> int | None:
        """Return the bytes of the tar, ``None`` if they are not known before it is read."""
        ...


def full_name(name: str) -> str:
    """Return ``registry/repository:tag`` with all defaults, or what is no reference as it is."""
    try:
        return parse_reference(name).name
    except InvalidInputError:
        return name


def archive_chunks(
    config: ImageConfig, layers: Sequence[LayerBlob | ReusedLayer], *, names: Sequence[str], omitted: int = 0
) -> Iterator[bytes]:
    """Yield an archive with one image; the first ``omitted`` layers are left to the daemon that has them.

    Raises what reading a layer raises, and ``VerificationError`` where a layer has another size than promised.
    """
    data = config.dumps()
    config_name = f"{_hex(digest_of(data))}.json"
    yield from member(config_name, len(data), [data])
    members: list[str] = []
    for index, layer in enumerate(layers):
        name = f"blank_{index}" if index < omitted else f"/{layer.diff_id}.tar"
        if name not in members:
            yield from member(name, 0, []) if index < omitted else _layer(name, layer)
        members.append(name)
    listed = {"Config": config_name, "Layers": members, "RepoTags": [full_name(name) for name in names]}
    manifest = dumps([listed]).encode()
    yield from member(MANIFEST, len(manifest), [manifest])
    yield bytes(2 * tarfile.BLOCKSIZE)


def _layer(name: str, layer: LayerBlob | ReusedLayer) -> Iterator[bytes]:
    if not isinstance(layer, ReusedLayer):
        yield from member(name, layer.uncompressed_size, layer.uncompressed())
        return
    tar = layer.image.layer(layer.diff_id)
    size = layer.image.layer_size(layer.diff_id) if isinstance(layer.image, SizedLayers) else None
    if size is not None:
        yield from member(name, size, tar)
        return
    try:
        with tempfile.TemporaryFile() as file:
            file.writelines(tar)
            size = file.tell()
            file.seek(0)
            yield from member(name, size, iter(lambda: file.read(CHUNK), b""))
    except OSError as error:
        raise ImageError(
            f"can't hold a layer of {layer.image.name}: {error.strerror}",
            where=tempfile.gettempdir(),
            remedy="set TMPDIR to a directory with more room",
        ) from error


def member(name: str, size: int, chunks: Iterator[bytes] | Sequence[bytes]) -> Iterator[bytes]:
    """Yield a file of a tar; raise ``VerificationError`` where ``chunks`` are not ``size`` bytes."""
    header = tarfile.TarInfo(name)
    header.size = size
    yield header.tobuf(tarfile.GNU_FORMAT)
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            break
        yield chunk
    if seen != size:
        raise VerificationError(f"has {'more' if seen > size else 'less'} than the promised {size} bytes", where=name)
    yield bytes(-size % tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """One image that manifest.json lists; ``layers`` are the files of its layers by diffID.

    ``config_data`` are the bytes of its configuration.
    """

    names: tuple[str, ...]
    image_id: str
    config: ImageConfig
    layers: Mapping[DiffId, str]
    config_data: bytes

    def manifest(self, files: LayoutFiles) -> Manifest:
        """Return a manifest of Docker's kind, in which a layer is its uncompressed tar."""
        layers = tuple(
            Descriptor(DOCKER_LAYER, files.size(self.layers[diff_id]) or 0, Digest(diff_id))
            for diff_id in self.config.diff_ids
        )
        return Manifest(
            DOCKER_MANIFEST, Descriptor(DOCKER_CONFIG, len(self.config_data), Digest(self.image_id)), layers
        )


def read_entries(files: LayoutFiles) -> tuple[SavedEntry, ...]:
    """Return the images of an archive; raise ``CorruptImageError`` where it is none or lacks a part."""
    if files.size(MANIFEST) is None:
        raise CorruptImageError(
            f"is not a Docker archive: it has no {MANIFEST}", where=files.where, remedy="make it with 'docker save'"
        )
    where = f"{files.where} {MANIFEST}"
    try:
        listed = json.loads(_document(files, MANIFEST))
    except (ValueError, RecursionError) as error:
        raise CorruptImageError(f"is not JSON: {error}", where=where) from error
    if not isinstance(listed, list):
        raise CorruptImageError("is not a list of images", where=where)
    return tuple(_entry(files, each, where) for each in listed)


def saved_layer(files: LayoutFiles, name: str, diff_id: DiffId) -> Iterator[bytes]:
    """Yield the tar of a layer, compressed or not in the archive, verified while it is read."""
    where = f"{files.where} {name}"
    return verified(decompressed(files.chunks(name), where=where), digest=diff_id, size=None, where=where)


def saved_layer_size(files: LayoutFiles, name: str) -> int | None:
    """Return the size of a layer's tar, ``None`` where the archive has it compressed."""
    size = files.size(name)
    start = next(files.chunks(name), b"")
    return size if packing(start) == "none" else None


def _entry(files: LayoutFiles, value: object, where: str) -> SavedEntry:
    entry: Mapping[str, Any] = value if isinstance(value, dict) else {}
    config_name, names, layers = entry.get("Config"), entry.get("RepoTags") or [], entry.get("Layers") or []
    if not isinstance(config_name, str) or not _are_texts(names) or not _are_texts(layers):
        raise CorruptImageError("has an entry without Config, RepoTags and Layers", where=where)
    data = _document(files, _member_name(config_name))
    image_id = digest_of(data)
    promised = _DIGITS.search(config_name)
    if promised is not None and promised.group() != _hex(image_id):
        raise CorruptImageError(f"has the digest {image_id}", where=f"{files.where} {config_name}")
    config = read_config(data, where=f"{files.where} {config_name}")
    if len(config.diff_ids) != len(layers):
        raise CorruptImageError(
            f"lists {len(layers)} layers, but the configuration {len(config.diff_ids)}", where=where
        )
    paths = map(_member_name, layers)
    return SavedEntry(tuple(names), image_id, config, dict(zip(config.diff_ids, paths, strict=True)), config_data=data)


def _member_name(text: str) -> str:
    """Return the name that a file has among those of the archive, which are all relative."""
    return os.path.normpath(text).lstrip("/")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _document(files: LayoutFiles, name: str) -> bytes:
    if (files.size(name) or 0) > MAX_DOCUMENT:
        raise CorruptImageError(f"is larger than {MAX_DOCUMENT} bytes", where=f"{files.where} {name}")
    return b"".join(files.chunks(name))


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
