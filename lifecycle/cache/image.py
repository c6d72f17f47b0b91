"""A cache in an image, in the reference's format: one layer for each cached layer, the metadata in a label.

It is built from nothing each time, with OCI types; a kept layer keeps its descriptor and isn't downloaded.
Reference: cache/image_cache.go, cache/image_deleter.go; a layer may be listed twice there.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lifecycle.errors import (
    CacheEntryNotFoundError,
    CacheError,
    CorruptImageError,
    ImageError,
    LifecycleError,
    VerificationError,
)
from lifecycle.files.work_dir import work_directory
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.layers.blob import write_blob
from lifecycle.model.api import PlatformFeature
from lifecycle.model.label_text import read_cache_metadata
from lifecycle.model.lifecycle_metadata import CacheMetadata
from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.oci.gojson import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.images.store import Image, ImageStore, WrittenImage
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.api import PlatformApi
    from lifecycle.oci.digest import DiffId

METADATA_LABEL = "io.buildpacks.lifecycle.cache.metadata"

_LOG = logging.getLogger(__name__)
_MAX_WORKERS = 8
_CREATED = "1980-01-01T00:00:01Z"


@runtime_checkable
class _DeletingStore(Protocol):
    """A store of images that can take one away."""

    def delete(self, reference: str) -> None: ...


def image_cache(name: str, *, images: ImageStore, api: PlatformApi, work_dir: Path) -> ImageCache:
    """Return the cache of ``<cache-image>``, with what the Platform API says of the image that is replaced."""
    delete_previous = PlatformFeature.OLD_CACHE_IMAGE_DELETED in api
    return ImageCache(name, images=images, work_dir=work_dir, delete_previous=delete_previous)


class ImageCache:
    """The cache in the image ``name`` of a store.

    New layers wait in files below ``work_dir`` until they are pushed.  With ``delete_previous``, the manifest of
    the image that was replaced goes too, where the store can do that.
    """

    def __init__(self, name: str, *, images: ImageStore, work_dir: Path, delete_previous: bool = False) -> None:
        self._name = name
        self._images = images
        self._work_dir = work_dir
        self._delete_previous = delete_previous
        self._opened: tuple[Image | None, CacheMetadata] | None = None

    @property
    def name(self) -> str:
        """The name of the image."""
        return self._name

    def metadata(self) -> CacheMetadata:
        """Return what the cache says of itself; missing or corrupt is empty.

        Raises ``CacheError`` when the image can't be reached.
        """
        return self._open()[1]

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        image = self._open()[0]
        if image is None or not _has(image, diff_id):
            raise _not_found(diff_id)
        try:
            yield from image.layer(diff_id)
        except CorruptImageError as error:
            raise VerificationError(error.message, where=error.where) from error
        except ImageError as error:
            raise CacheError(f"failed to get cache layer with SHA '{diff_id}': {error}", where=self._name) from error

    def begin(self) -> ImageTransaction:
        """Start to replace the content."""
        image = self._open()[0]
        work = ExitStack()
        try:
            directory = work.enter_context(work_directory("cache-image", self._work_dir))
        except LifecycleError as error:
            raise CacheError(error.message, where=self._work_dir) from error
        return ImageTransaction(self, image, directory, work)

    def replace(self, image: NewImage) -> None:
        """Write the next content; raise ``CacheError`` if that fails, in which case the old one stays."""
        previous = self._open()[0]
        try:
            written = self._images.write(image, (self._name,))
        except LifecycleError as error:
            raise CacheError(f"can't be written: {error}", where=self._name) from error
        if written.failures:
            raise CacheError(f"can't be written: {written.failures[self._name]}", where=self._name)
        self._opened = None
        if self._delete_previous and previous is not None:
            self._delete(previous, written)

    def _open(self) -> tuple[Image | None, CacheMetadata]:
        """Find the image once; one that can't be used is as good as none."""
        if self._opened is None:
            try:
                image = self._images.find(self._name)
                self._opened = image, CacheMetadata() if image is None else _metadata(image)
            except (CorruptImageError, ValueError) as error:
                _LOG.warning('Ignoring cache image "%s" because it was corrupt', self._name)
                _LOG.debug("%s: %s", self._name, error)
                self._opened = None, CacheMetadata()
            except ImageError as error:
                raise CacheError(f"can't be read: {error}", where=self._name) from error
        return self._opened

    def _delete(self, previous: Image, written: WrittenImage) -> None:
        if previous.reference == written.reference or not isinstance(self._images, _DeletingStore):
            return
        try:
            self._images.delete(previous.reference)
        except LifecycleError as error:
            _LOG.warning("Unable to delete cache image: %s", error)


class ImageTransaction:
    """The next content of an ``ImageCache``; ``image`` has the current one.

    New layers wait in ``directory``, which goes when ``work`` is closed.
    """

    def __init__(self, cache: ImageCache, image: Image | None, directory: Path, work: ExitStack) -> None:
        self._cache = cache
        self._image = image
        self._directory = directory
        self._work = work
        self._layers: dict[DiffId, LayerBlob | ReusedLayer] = {}
        self._open = True

    def add(self, source: LayerSource, diff_id: DiffId) -> None:
        """Add a layer, whose bytes have to be those of ``diff_id``."""
        self._require_open()
        if diff_id in self._layers:
            return
        blob = write_blob(source, self._directory)
        if blob.diff_id != diff_id:
            blob.path.unlink()
            raise VerificationError(f"expected layer contents to have SHA '{diff_id}'; found '{blob.diff_id}'")
        self._layers[diff_id] = blob

    def add_blob(self, blob: LayerBlob) -> None:
        """Add a layer that is stored already, as it is."""
        self._require_open()
        self._layers.setdefault(blob.diff_id, blob)

    def reuse(self, diff_id: DiffId) -> None:
        """Keep a layer of the current content without reading it, once its blob has proved to be there."""
        self._require_open()
        if diff_id in self._layers:
            return
        if self._image is None or not _has(self._image, diff_id):
            raise _not_found(diff_id)
        self._layers[diff_id] = ReusedLayer(self._image, diff_id)

    def commit(self, metadata: CacheMetadata) -> None:
        """Replace the content by what was added and reused: the tag moves in one step."""
        self._require_open()
        self._open = False
        try:
            # Images without a layer are refused by some registries.
            layers = tuple(self._layers.values()) or (_empty_layer(self._directory),)
            self._cache.replace(NewImage(None, layers, _config(layers, metadata)))
        finally:
            self._work.close()

    def abort(self) -> None:
        """Leave the content as it is; harmless after ``commit``."""
        if self._open:
            self._open = False
            self._work.close()

    def _require_open(self) -> None:
        if not self._open:
            raise CacheError("cache cannot be modified after commit", where=self._cache.name)


def _metadata(image: Image) -> CacheMetadata:
    """Return what the label says; raise ``CorruptImageError`` or ``ValueError`` for an image that is no cache."""
    text = image.config.labels.get(METADATA_LABEL)
    if text is None:
        raise CorruptImageError(f"has no label {METADATA_LABEL}", where=image.name)
    metadata = read_cache_metadata(text)
    if isinstance(image, BlobSource):
        descriptors = list({each.digest: each for each in image.manifest.layers}.values())
        with ThreadPoolExecutor(_MAX_WORKERS) as workers:
            for descriptor, found in zip(descriptors, workers.map(image.has_blob, descriptors), strict=True):
                if not found:
                    raise CorruptImageError(f"lacks the blob {descriptor.digest}", where=image.name)
    return metadata


def _has(image: Image, diff_id: DiffId) -> bool:
    if diff_id not in image.config.diff_ids:
        return False
    return not isinstance(image, BlobSource) or image.has_blob(layer_descriptor(image, diff_id))


def _config(layers: tuple[LayerBlob | ReusedLayer, ...], metadata: CacheMetadata) -> ImageConfig:
    return ImageConfig(
        architecture="",
        os="linux",
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=tuple(HistoryEntry(created=_CREATED) for _ in layers),
        run={"Labels": {METADATA_LABEL: dumps(metadata.label())}},
        created=_CREATED,
    )


class _Empty:
    """A tar without entries."""

    @staticmethod
    def chunks() -> Iterator[bytes]:
        yield bytes(1024)


def _empty_layer(directory: Path) -> LayerBlob:
    return write_blob(_Empty(), directory, compression="none")


def _not_found(diff_id: DiffId) -> CacheEntryNotFoundError:
    return CacheEntryNotFoundError(f"failed to find cache layer with SHA '{diff_id}'")
