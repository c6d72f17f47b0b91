"""Images for daemons that keep them in containerd's store, as blobs: an OCI layout with the blobs that are new.

Such a daemon takes from a layout what it lacks and finds the rest among its blobs by digest, which the older archive
can't express.  Which digests those are, only ``docker save`` tells; what it streams besides is passed over.
Spec: OCI image-spec image-layout.md.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError, DaemonError
from lifecycle.images.assembly import MediaTypes, blob_descriptor, config_descriptor, layers_of, media_types
from lifecycle.images.daemon.image import diff_ids_of, image_id_of
from lifecycle.images.docker_archive_format import SizedLayers, member
from lifecycle.images.layout_files import CHUNK, INDEX, blob_name
from lifecycle.images.store import BlobSource, ReusedLayer
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.oci.config import read_config
from lifecycle.oci.digest import Digest, digest_of
from lifecycle.oci.manifest import OCI_INDEX, REF_NAME, Descriptor, Manifest, read_manifest
from lifecycle.oci.reference import DEFAULT_REGISTRY, parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.images.daemon.client import DaemonClient
    from lifecycle.images.store import Image, NewImage
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.reference import Reference

IMAGE_NAME = "io.containerd.image.name"

_MAX_MANIFEST = 4 * 1024 * 1024


class KeptBlobs:
    """What the store has of images that others are built on; each is looked at once."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client
        self._manifests: dict[str, Manifest | None] = {}

    def of(self, image: NewImage) -> tuple[dict[DiffId, Descriptor], Manifest | None]:
        """Return the layers of an image to write that the store has, and a manifest of the kind it should be of."""
        layers: dict[DiffId, Descriptor] = {}
        kind: Manifest | None = None
        previous = {layer.image.reference: layer.image for layer in image.layers if isinstance(layer, ReusedLayer)}
        # The previous image stands on the same base mostly, which then needs no look, for a look takes time.
        for each in (*previous.values(), *([] if image.base is None else [image.base])):
            if all(diff_id in layers for diff_id in each.config.diff_ids):
                continue
            if each.reference not in self._manifests:
                self._manifests[each.reference] = self._look(each)
            manifest = self._manifests[each.reference]
            if manifest is not None:
                kind = manifest
                layers.update(zip(each.config.diff_ids, manifest.layers, strict=True))
        return layers, kind

    def _look(self, image: Image) -> Manifest | None:
        sizes: dict[str, int] = {}
        documents: dict[str, bytes] = {}
        try:
            inspected = self._client.inspect(image.reference)
            if inspected is None or diff_ids_of(inspected) != image.config.diff_ids:
                return None
            saved = self._client.save(image_id_of(inspected, where=image.name))
            stream = io.BufferedReader(_Stream(saved), CHUNK)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
                for entry in archive:
                    sizes[entry.name] = entry.size
                    file = archive.extractfile(entry) if entry.isreg() and entry.size <= _MAX_MANIFEST else None
                    data = b"" if file is None else file.read()
                    if data.startswith(b"{"):
                        documents[entry.name] = data
        except (DaemonError, tarfile.TarError):
            return None
        for name, data in documents.items():
            if name != blob_name(digest_of(data)):
                continue
            try:
                manifest = read_manifest(data, where=name)
                config = read_config(documents.get(blob_name(manifest.config.digest), b""), where=name)
            except CorruptImageError:
                continue
            is_whole = all(sizes.get(blob_name(layer.digest)) == layer.size for layer in manifest.layers)
            if is_whole and config.diff_ids == image.config.diff_ids and len(manifest.layers) == len(config.diff_ids):
                return manifest
        return None


class _Stream(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        target = memoryview(buffer)
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def layout_chunks(image: NewImage, kept: KeptBlobs, *, name: str) -> Iterator[bytes]:
    """Return an OCI layout with ``image`` under one name, without the blobs that the store has.

    Raises ``InvalidInputError`` at once for a name that is no tag, and while iterated what reading a layer raises.
    """
    # Not in the generator: that one runs when the daemon has begun to take the layout.
    return _layout_chunks(image, kept, parse_tag(name), where=name)


def _layout_chunks(image: NewImage, kept: KeptBlobs, reference: Reference, *, where: str) -> Iterator[bytes]:
    known, kind = kept.of(image)
    types = media_types(image) if kind is None else MediaTypes(kind.media_type, kind.config.media_type)
    descriptors: list[Descriptor] = []
    for layer in layers_of(image, where=where):
        if layer.diff_id in known:
            descriptors.append(known[layer.diff_id])
            continue
        if isinstance(layer, ReusedLayer):
            descriptor, chunks = _stored(layer, types)
        else:
            descriptor, chunks = blob_descriptor(layer, types), layer.chunks()
        if descriptor not in descriptors:
            yield from member(blob_name(descriptor.digest), descriptor.size, chunks)
        descriptors.append(descriptor)
    config = image.config.dumps()
    annotations = {} if kind is None else kind.annotations
    data = Manifest(types.manifest, config_descriptor(config, types), tuple(descriptors), annotations).dumps()
    context = reference.context.replace(f"{DEFAULT_REGISTRY}/", "docker.io/", 1)
    names = {IMAGE_NAME: f"{context}:{reference.tag}", REF_NAME: reference.tag or ""}
    listed = Descriptor(types.manifest, len(data), digest_of(data), annotations=names)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed.struct()]}
    for document in (config, data):
        yield from member(blob_name(digest_of(document)), len(document), [document])
    for file, content in ((INDEX, index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        text = json.dumps(content).encode()
        yield from member(file, len(text), [text])
    yield bytes(2 * tarfile.BLOCKSIZE)


def _stored(layer: ReusedLayer, types: MediaTypes) -> tuple[Descriptor, Iterator[bytes]]:
    """Return a layer of another store as it is stored there, or else its tar."""
    image, diff_id = layer.image, layer.diff_id
    if isinstance(image, BlobSource):
        descriptor = layer_descriptor(image, diff_id)
        return descriptor, image.blob(descriptor)
    size = image.layer_size(diff_id) if isinstance(image, SizedLayers) else None
    if size is None:
        size = sum(map(len, image.layer(diff_id)))
    return Descriptor(types.tar, size, Digest(diff_id)), image.layer(diff_id)
