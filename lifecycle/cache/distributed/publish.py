"""Putting a step where others can have it, before anybody may vote for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cache.distributed.step_manifest import read_step
from lifecycle.errors import BlobUnknownError, CacheError, CorruptImageError
from lifecycle.oci.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.step_manifest import StepManifest
    from lifecycle.oci.digest import Digest

LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes."""


def publish(
    repository: Repository, step: StepManifest, open_blob: Mapping[Digest, Callable[[], Iterator[bytes]]]
) -> None:
    """Store the blobs of a step that are not there, then its record; ``open_blob`` starts each blob from its beginning.

    Raises ``CacheError``, ``ImageError``, ``VerificationError``.
    """
    sources = {**open_blob, step.config_descriptor.digest: lambda: iter((step.config,))}
    blobs = (*step.blobs, step.config_descriptor)
    for blob in blobs:
        if not repository.has_blob(blob):
            repository.put_blob(blob, sources[blob.digest])
    try:
        repository.put_record(step.dumps())
    except BlobUnknownError:
        for blob in blobs:
            repository.put_blob(blob, sources[blob.digest])
        repository.put_record(step.dumps())


def fetch(repository: Repository, digest: Digest, *, key: Digest) -> StepManifest:
    """Return a published step; raise ``CorruptImageError`` where it isn't there or was made for another key."""
    where = f"{repository.name}@{digest}"
    manifest = repository.record(digest)
    if manifest is None:
        raise CorruptImageError("is decided, but not there", where=where)
    config = read_manifest(manifest, where=where).config
    if config.size > LARGEST_RECORD:
        raise CorruptImageError(f"has a record of more than {LARGEST_RECORD} bytes", where=where)
    data = b"".join(repository.blob(config))
    try:
        step = read_step(manifest, data, where=where)
    except CacheError as error:
        raise CorruptImageError(error.message, where=error.where) from error
    if step.record.key != key:
        raise CorruptImageError(f"is the record of {step.record.key}, not of {key}", where=where)
    return step
