"""Caches in BuildKit's format as sources: those that we wrote restore fully, those of BuildKit itself are foreign.

BuildKit's keys are digests of its own build graph, which tell nothing of buildpacks: its blobs can still be mounted
where their digests match.  Both variants are read; what is not known is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cache.sources.blobs import LayoutBlobs, RegistryBlobs, document
from lifecycle.cache.targets.buildkit_manifest import CacheConfig, read_cache_config, read_cache_manifest
from lifecycle.cache.targets.cache_index import cached_steps
from lifecycle.cache.targets.cache_index import loads as read_index
from lifecycle.errors import CacheError, CorruptImageError, ForeignSourceError
from lifecycle.images.layout_image import LayoutImage
from lifecycle.images.registry.client import StoredManifest
from lifecycle.images.registry.image import RegistryImage
from lifecycle.images.stored_image import layer_tar
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import Digest, digest_of
from lifecycle.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.cache.sources.blobs import Blobs
    from lifecycle.cache.targets.cache_index import CachedBuild
    from lifecycle.images.store import Image
    from lifecycle.images.stored_image import StoredImage
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import DiffId

KIND: Final = "buildkit"


@dataclass(frozen=True, slots=True)
class BuildkitSource:
    """A cache that a lifecycle wrote: ``found`` has its layers, ``builds`` what they belong to."""

    name: str
    digest: str
    builds: tuple[CachedBuild, ...]
    found: StoredImage
    kind: str = KIND

    def steps(self) -> tuple[CachedStep, ...]:
        """Return the steps of all builds, the newest first."""
        return cached_steps(self.builds)

    def records(self) -> Mapping[Digest, StepRecord]:
        """Return the records by their keys, for a chain of keys to be followed."""
        found: dict[Digest, StepRecord] = {}
        for build in self.builds:
            for step in build.steps:
                if step.key is not None:
                    found.setdefault(step.key, step)
        return found

    def has(self, diff_id: DiffId) -> bool:
        """Say whether the layer can be read: its first bytes are, for a registry may claim to have what it lost."""
        if diff_id not in self.found.config.diff_ids:
            return False
        descriptor = self.found.manifest.layers[self.found.config.diff_ids.index(diff_id)]
        try:
            return bool(next(self.found.blob(descriptor), b""))
        except CorruptImageError:
            return False

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified by its blob's digest and by its own."""
        if diff_id not in self.found.config.diff_ids:
            raise CacheError(f"has no layer {diff_id}", where=self.name)
        return self.found.layer(diff_id)

    def image(self, diff_id: DiffId) -> Image | None:
        """Return an image with the cache's layers, if the layer is one of them."""
        return self.found if diff_id in self.found.config.diff_ids else None


@dataclass(frozen=True, slots=True)
class CacheContents:
    """What any cache in BuildKit's format holds, whoever wrote it, for those who list it."""

    config: CacheConfig
    blobs: tuple[Descriptor, ...]


def read_contents(data: bytes, *, name: str, blobs: Blobs) -> CacheContents:
    """Read a cache by its manifest or index; raise ``CorruptImageError`` where it can't be understood."""
    manifest = read_cache_manifest(data, where=name)
    if manifest is None:
        raise CorruptImageError("is no cache in BuildKit's format", where=name)
    config = read_cache_config(document(blobs, manifest.config), where=f"{name} {manifest.config.digest}")
    return CacheContents(config, manifest.blobs)


def read_builds(data: bytes, *, name: str, blobs: Blobs) -> tuple[CachedBuild, ...]:
    """Return the builds of a cache that we wrote; raise ``ForeignSourceError`` for one of BuildKit itself."""
    return _builds_of(read_contents(data, name=name, blobs=blobs), name=name, blobs=blobs)


def _builds_of(contents: CacheContents, *, name: str, blobs: Blobs) -> tuple[CachedBuild, ...]:
    index = next((each for each in contents.blobs if each.digest == contents.config.index), None)
    if index is None:
        raise ForeignSourceError(
            f"is a cache that BuildKit wrote: no layer of a buildpack can be restored from it "
            f"({len(contents.config.records)} records, {len(contents.blobs)} blobs)",
            where=name,
        )
    return read_index(document(blobs, index), where=f"{name} {index.digest}")


def open_buildkit(data: bytes, *, media_type: str, name: str, blobs: Blobs) -> BuildkitSource:
    """Open a cache by its manifest or index of ``media_type``.

    Raises ``ForeignSourceError`` for a cache of BuildKit itself, ``CorruptImageError`` and ``CacheError`` for what
    can't be understood.
    """
    contents = read_contents(data, name=name, blobs=blobs)
    builds = _builds_of(contents, name=name, blobs=blobs)
    digest = digest_of(data)
    listed = {each.digest for each in contents.blobs}
    layers = {diff_id: blob for build in builds for diff_id, blob in build.layers() if blob.digest in listed}
    stored = StoredManifest(media_type, data, digest)
    return BuildkitSource(name, digest, builds, _image(name, layers, blobs, stored))


def _image(name: str, layers: Mapping[DiffId, Descriptor], blobs: Blobs, stored: StoredManifest) -> StoredImage:
    """Return an image of the cache's layers, which an export can mount or copy."""
    config = ImageConfig(architecture="", os="linux", diff_ids=tuple(layers))
    data = config.dumps()
    manifest = Manifest(OCI_MANIFEST, Descriptor(OCI_CONFIG, len(data), digest_of(data)), tuple(layers.values()))
    match blobs:
        case RegistryBlobs(client, location):
            return RegistryImage(name, location, config, manifest, stored, client)
        case LayoutBlobs(files):
            return LayoutImage(name, name, config, manifest, files)
        case _:
            return _BlobsImage(name, name, config, manifest, blobs)


@dataclass(frozen=True, slots=True)
class _BlobsImage:
    name: str
    reference: str
    config: ImageConfig
    manifest: Manifest
    blobs: Blobs

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        return layer_tar(self, diff_id)

    def has_blob(self, descriptor: Descriptor) -> bool:
        return self.blobs.has(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        return self.blobs.chunks(descriptor)
