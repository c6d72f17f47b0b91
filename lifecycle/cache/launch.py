"""The launch cache: the layers of the last image, kept beside a daemon that gives layers back slowly.

It has the directory of a volume cache without metadata.  Unlike the reference, what it holds is verified before
it is used, and a layer that proves wrong comes from the daemon.  Reference: cache/caching_image.go.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CacheEntryNotFoundError, CacheError, LifecycleError, VerificationError
from lifecycle.images.docker_archive_format import SizedLayers
from lifecycle.images.store import ReusedLayer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.cache.volume import VolumeCache, VolumeTransaction
    from lifecycle.images.store import Image, ImageStore, NewImage, WrittenImage
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Manifest

_LOG = logging.getLogger(__name__)


class LaunchCachedStore:
    """``store``, whose images give layers from ``volume`` where it has them; it holds those of the last image."""

    def __init__(self, store: ImageStore, volume: VolumeCache) -> None:
        self._store = store
        self._cached = _CachedLayers(volume)
        self._volume = volume

    def find(self, name: str) -> LaunchCachedImage | None:
        """Return the image of a name."""
        image = self._store.find(name)
        return None if image is None else LaunchCachedImage(image, self._cached)

    def readable(self, name: str) -> bool:
        """Say whether ``name`` could be read."""
        return self._store.readable(name)

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless every name could be written."""
        self._store.check_write(names)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write ``image``; once its first name is there, the cache has its layers but the base's.

        A cache that can't be written costs time with the next build, so that is a warning.
        """
        written = self._store.write(image, names)
        if names[0] in written.names:
            try:
                self._keep(image)
            except LifecycleError as error:
                _LOG.warning("Failed to update launch cache: %s", error)
        return written

    def _keep(self, image: NewImage) -> None:
        transaction = self._volume.begin()
        try:
            for layer in image.layers:
                if isinstance(layer, ReusedLayer):
                    _keep_reused(transaction, layer)
                else:
                    transaction.add_blob(layer)
            transaction.commit(None)
        finally:
            transaction.abort()


class LaunchCachedImage:
    """An image of the store, some of whose layers are in the cache."""

    def __init__(self, image: Image, cached: _CachedLayers) -> None:
        self._image = image
        self._cached = cached

    @property
    def name(self) -> str:
        """The name by which it was found."""
        return self._image.name

    @property
    def reference(self) -> str:
        """The reference in the store."""
        return self._image.reference

    @property
    def config(self) -> ImageConfig:
        """Its configuration."""
        return self._image.config

    @property
    def manifest(self) -> Manifest:
        """Its manifest in the store."""
        return self._image.manifest

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        if diff_id in self.config.diff_ids and diff_id in self._cached:
            return self._cached.volume.layer(diff_id)
        return self._image.layer(diff_id)

    def layer_size(self, diff_id: DiffId) -> int | None:
        """Return the bytes of the tar, ``None`` if they are not known before it is read."""
        if diff_id in self.config.diff_ids and diff_id in self._cached:
            return self._cached.volume.layer_size(diff_id)
        return self._image.layer_size(diff_id) if isinstance(self._image, SizedLayers) else None


class _CachedLayers:
    """The layers of a volume that have proved right; each is looked at once."""

    def __init__(self, volume: VolumeCache) -> None:
        self.volume = volume
        self._known: dict[DiffId, bool] = {}

    def __contains__(self, diff_id: DiffId) -> bool:
        if diff_id not in self._known:
            self._known[diff_id] = self._proves_right(diff_id)
        return self._known[diff_id] and self.volume.layer_size(diff_id) is not None

    def _proves_right(self, diff_id: DiffId) -> bool:
        try:
            for _ in self.volume.layer(diff_id):
                pass
        except CacheEntryNotFoundError:
            return False
        except (CacheError, VerificationError) as error:
            _LOG.warning("Ignoring layer of launch cache: %s", error)
            return False
        return True


@dataclass(frozen=True, slots=True)
class _LayerOfImage:
    """A layer as the cache takes it."""

    layer: ReusedLayer

    def chunks(self) -> Iterator[bytes]:
        return self.layer.image.layer(self.layer.diff_id)


def _keep_reused(transaction: VolumeTransaction, layer: ReusedLayer) -> None:
    try:
        transaction.reuse(layer.diff_id)
    except (CacheEntryNotFoundError, VerificationError):
        transaction.add(_LayerOfImage(layer), layer.diff_id)
