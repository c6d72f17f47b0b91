"""One manifest for one content: which blobs an image is made of, whatever zlib compressed them.

The configuration of an image names the tars of all of its layers and everything else that it holds, so builders that
made the same configuration on the same base differ at most in how layers were compressed.  They agree on that as they
do on steps: the key is made of configuration and base, the record lists the blobs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.publish import MOST_GENERATIONS, fetch_publication, publish, take_or_close
from lifecycle.cache.distributed.tags import Closed
from lifecycle.cache.distributed.usage import announce, check_not_going, look, mark_used
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.images.assembly import blob_descriptor, media_types
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.layers.blob import LayerBlob, decompressed
from lifecycle.model.canonical import canonical, canonical_digest
from lifecycle.model.step_record import MEDIA_PREFIX
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.cache.distributed.repository import Repository

IMAGE_TYPE = f"{MEDIA_PREFIX}image.v1+json"


def settle_image(repository: Repository, image: NewImage, snapshot: frozenset[str] = frozenset()) -> NewImage:
    """Return the image with the blobs that all builders have for it; ``snapshot`` is the build's first listing.

    A record that is broken is closed, and a next generation begins.  Raises ``CacheError``,
    ``ImageError``, ``VerificationError``; the image is as good without.
    """
    layers = [layer for layer in image.layers if isinstance(layer, LayerBlob) or isinstance(layer.image, BlobSource)]
    if len(layers) != len(image.layers):
        return image
    key = image_key(image)
    own = {layer.diff_id: _descriptor(layer, image) for layer in layers}
    for _ in range(MOST_GENERATIONS):
        seen, names = look(repository.log, key, snapshot)
        decided, generation = seen.decided, seen.generation
        if decided is None:
            mine = _publication(key, own)
            blobs = {own[layer.diff_id].digest: _opened(layer, own) for layer in layers}
            publish(repository, mine, blobs, before_record=partial(announce, repository.log))
            check = partial(check_not_going, mine.digest)
            outcome = propose(repository.log, key, mine.digest, names=names, check=check)
            decided, generation = outcome.value, outcome.generation
            if decided == mine.digest:
                return image
        mark_used(repository.log, decided, names)
        take = partial(_with_blobs_of, repository, decided, key, image, own)
        settled = take_or_close(repository, decided, Closed(key, generation), take, of="the image")
        if settled is not None:
            return settled
        snapshot = frozenset()
    raise CacheError(f"{MOST_GENERATIONS} records of the image are broken", where=repository.name)


def _with_blobs_of(
    repository: Repository, decided: Digest, key: Digest, image: NewImage, own: Mapping[DiffId, Descriptor]
) -> NewImage:
    """Return the image with the blobs of a record; raise ``CorruptImageError`` where it or one of them is not there."""
    found = _layers_of(fetch_publication(repository, decided), key, where=f"{repository.name}@{decided}")
    if found.keys() != own.keys():
        raise CorruptImageError("lists other layers than its key", where=f"{repository.name}@{decided}")
    winner = OutcomeImage(repository, decided, found)
    missing = [found[each] for each in found if found[each].digest != own[each].digest]
    for blob in missing:
        if not repository.has_blob(blob):
            raise CorruptImageError(f"lacks the blob {blob.digest}", where=winner.name)
    taken = tuple(
        layer if found[layer.diff_id].digest == own[layer.diff_id].digest else ReusedLayer(winner, layer.diff_id)
        for layer in image.layers
    )
    return NewImage(image.base, taken, image.config)


def image_key(image: NewImage) -> Digest:
    """Return the key of an image: its configuration, its base and the kind of its manifest."""
    base = image.base.manifest.dumps() if image.base is not None else b""
    return canonical_digest(
        {
            "v": "cnb-image/v1",
            "config": digest_of(image.config.dumps()),
            "base": digest_of(base),
            "manifest": media_types(image).manifest,
        }
    )


@dataclass(frozen=True, slots=True)
class OutcomeImage:
    """The blobs of an image's layers in a repository."""

    repository: Repository
    digest: Digest
    layers: Mapping[DiffId, Descriptor]

    @property
    def name(self) -> str:
        """The record in its repository."""
        return f"{self.repository.name}@{self.digest}"

    @property
    def reference(self) -> str:
        """As ``name``."""
        return self.name

    @property
    def config(self) -> ImageConfig:
        """A configuration that lists the layers and says nothing else."""
        return ImageConfig(architecture="", os="linux", diff_ids=tuple(self.layers))

    @property
    def manifest(self) -> Manifest:
        """A manifest that lists the layers."""
        return Manifest(OCI_MANIFEST, Descriptor(IMAGE_TYPE, 0, self.digest), tuple(self.layers.values()))

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        where = f"{self.name} {diff_id}"
        tar = decompressed(self.repository.blob(self.layers[diff_id]), where=where)
        return verified(tar, digest=diff_id, size=None, where=where)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether a blob is there."""
        return self.repository.has_blob(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self.repository.blob(descriptor)


def _descriptor(layer: LayerBlob | ReusedLayer, image: NewImage) -> Descriptor:
    if isinstance(layer, LayerBlob):
        return blob_descriptor(layer, media_types(image))
    return layer_descriptor(layer.image, layer.diff_id)


def _opened(layer: LayerBlob | ReusedLayer, own: Mapping[DiffId, Descriptor]) -> Callable[[], Iterator[bytes]]:
    if isinstance(layer, LayerBlob):
        return layer.chunks
    source = layer.image
    if not isinstance(source, BlobSource):
        raise CorruptImageError(f"keeps no blob of {layer.diff_id}", where=source.name)
    return lambda: source.blob(own[layer.diff_id])


def _publication(key: Digest, layers: Mapping[DiffId, Descriptor]) -> Publication:
    rows = [
        {"diffID": diff_id, "blob": each.digest, "size": each.size, "mediaType": each.media_type}
        for diff_id, each in sorted(layers.items())
    ]
    config = canonical({"v": 1, "key": key, "layers": rows})
    return Publication(IMAGE_TYPE, config, tuple({each.digest: each for each in layers.values()}.values()))


def _layers_of(found: Publication, key: Digest, *, where: str) -> dict[DiffId, Descriptor]:
    blobs = {each.digest: each for each in found.blobs}
    try:
        value = json.loads(found.config)
        if value["v"] != 1 or value["key"] != key:
            raise CorruptImageError(f"is no record of {key}", where=where)
        return {DiffId(row["diffID"]): blobs[row["blob"]] for row in value["layers"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptImageError(f"holds a record that can't be understood: {error}", where=where) from error
