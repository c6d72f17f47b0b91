"""``-cache-to type=registry``: a cache in BuildKit's format under one tag of a registry.

Blobs first, then the configuration, and the manifest last under its tag: whoever is killed before leaves the old
cache as it was.  As with BuildKit, the last writer's cache is the tag's; ``merge=true`` keeps what others wrote as far
as that can be done without a lock, which the registry does not give.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cache.sources.blobs import RegistryBlobs
from lifecycle.cache.sources.buildkit import read_builds
from lifecycle.cache.targets.contents import documents, prepare
from lifecycle.cache.targets.merging import merged
from lifecycle.errors import BlobUnknownError, LifecycleError, RegistryError
from lifecycle.files.work_dir import work_directory
from lifecycle.images.registry.image import at_digest, stored_manifest
from lifecycle.images.registry.push import BlobPush
from lifecycle.layers.blob import write_blob
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.cache.store import ExportedSteps
    from lifecycle.cache.targets.cache_index import CachedBuild
    from lifecycle.cache.targets.contents import Documents, Prepared, TargetOptions
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.digest import Digest
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference
    from lifecycle.progress import Progress

_LOG = logging.getLogger(__name__)
_TRIES: Final = 5
"""How often the tag may have moved between reading and writing it before it is written all the same."""


def export_to_registry(
    client: RegistryClient,
    tag: Reference,
    exported: ExportedSteps,
    options: TargetOptions,
    *,
    merge: bool = False,
    progress: Progress = NO_PROGRESS,
) -> Digest:
    """Write the cache and return its manifest's digest; raise ``LifecycleError``, and the tag is what it was."""
    with work_directory("cache-to") as work_dir:
        export = _Export(client, tag, prepare(exported, options, work_dir=work_dir), work_dir, progress)
        if not merge:
            written = documents((export.prepared.build,), options.variant)
            export.send(written)
            return export.put(written)
        for left in reversed(range(_TRIES)):
            before, found = _current(client, tag)
            kept = tuple(each for each in found if _complete(client, tag, each))
            written = documents(merged(export.prepared.build, kept), options.variant)
            export.send(written)
            if not left or _digest_of_tag(client, tag) == before:
                return export.put(written)
            _LOG.debug("%s has a new cache meanwhile, which is read again", tag.name)
        raise AssertionError("the last try ends above")


@dataclass(frozen=True, slots=True)
class _Export:
    client: RegistryClient
    tag: Reference
    prepared: Prepared
    work_dir: Path
    progress: Progress

    def send(self, written: Documents, *, again: bool = False) -> None:
        """Send all but the manifest."""
        index = write_blob(_Document(written.index), self.work_dir, compression="none")
        blobs = [*self.prepared.blobs.values(), (written.index_descriptor, index)]
        config = written.config_descriptor, written.config
        BlobPush(self.client, self.tag, blobs, config, self.progress).run(again=again)

    def put(self, written: Documents) -> Digest:
        """Let the tag be this cache's."""
        try:
            return self.client.put_manifest(self.tag, written.manifest, written.media_type)
        except BlobUnknownError:
            # What the registry had a moment ago it may have removed as garbage, and still claim to have.
            self.send(written, again=True)
            return self.client.put_manifest(self.tag, written.manifest, written.media_type)


class _Document:
    """A document that is sent as layers are."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def chunks(self) -> Iterator[bytes]:
        yield self._data


def _current(client: RegistryClient, tag: Reference) -> tuple[Digest | None, tuple[CachedBuild, ...]]:
    """Return the digest of what the tag has, and the builds in it; none where it is no cache of ours.

    Raises ``RegistryError`` where that can't be had now: what others wrote is not given up for it.
    """
    stored = stored_manifest(client, tag)
    if stored is None:
        return None, ()
    try:
        blobs = RegistryBlobs(client, at_digest(tag, stored.digest))
        return stored.digest, read_builds(stored.data, name=tag.name, blobs=blobs)
    except RegistryError:
        raise
    except LifecycleError as error:
        _LOG.warning("Not merging with the cache that is there: %s", error)
        return stored.digest, ()


def _digest_of_tag(client: RegistryClient, tag: Reference) -> Digest | None:
    found = client.head_written(tag)
    return None if found is None else found.digest


def _complete(client: RegistryClient, tag: Reference, build: CachedBuild) -> bool:
    """Say whether the repository still has all blobs of an earlier build, without which a manifest is refused."""
    wanted: dict[Digest, Descriptor] = {blob.digest: blob for _, blob in build.layers()}
    return all(client.has_blob(tag, blob) for blob in wanted.values())
