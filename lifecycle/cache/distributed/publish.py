"""Putting a record where others can have it, before anybody may vote for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.step_manifest import read_step
from lifecycle.errors import (
    BlobUnknownError,
    CacheError,
    CorruptImageError,
    UnsafeArchiveError,
    UnsignedRecordError,
    VerificationError,
)
from lifecycle.oci.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.step_manifest import StepManifest
    from lifecycle.cache.distributed.tags import Closed
    from lifecycle.oci.digest import Digest

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

BROKEN = (CorruptImageError, UnsafeArchiveError, UnsignedRecordError, VerificationError)
"""What tells that a record, or a blob of it, is not what it says, and not that it can't be had now."""
_TRIES = 2
"""How often a record has to prove broken before its generation is closed."""
MOST_GENERATIONS = 3
"""How many broken records of one key are replaced before the cache is left alone."""
LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes."""


def publish(
    repository: Repository,
    record: Publication,
    open_blob: Mapping[Digest, Callable[[], Iterator[bytes]]],
    *,
    before_record: Callable[[Digest], object] = lambda _: None,
) -> int:
    """Store the blobs of a record that are not there, then itself; return how many bytes that were.

    ``open_blob`` starts each blob from its beginning; ``before_record`` hears of the record when its blobs are there.

    Raises ``CacheError``, ``ImageError``, ``VerificationError``.
    """
    sources = {**open_blob, record.config_descriptor.digest: lambda: iter((record.config,))}
    blobs = (*record.blobs, record.config_descriptor)
    missing = [blob for blob in blobs if not repository.has_blob(blob)]
    for blob in missing:
        repository.put_blob(blob, sources[blob.digest])
    data = record.dumps()
    before_record(record.digest)
    try:
        repository.put_record(data)
    except BlobUnknownError:
        for blob in blobs:
            repository.put_blob(blob, sources[blob.digest])
        repository.put_record(data)
        missing = list(blobs)
    return len(data) + sum(blob.size for blob in missing)


def take_or_close(
    repository: Repository, record: Digest, closed: Closed, take: Callable[[], T], *, of: str
) -> T | None:
    """Return what is taken of a decided record; where that proves broken, close its generation and return ``None``."""
    for _ in range(_TRIES):
        try:
            return take()
        except BROKEN as error:
            _LOG.warning("The record %s of %s is broken: %s", record, of, error)
    repository.log.append(closed.name)
    return None


def fetch_publication(repository: Repository, digest: Digest) -> Publication:
    """Return a published record; raise ``CorruptImageError`` where it isn't there."""
    where = f"{repository.name}@{digest}"
    data = repository.record(digest)
    if data is None:
        raise CorruptImageError("is decided, but not there", where=where)
    manifest = read_manifest(data, where=where)
    if manifest.config.size > LARGEST_RECORD:
        raise CorruptImageError(f"has a record of more than {LARGEST_RECORD} bytes", where=where)
    config = b"".join(repository.blob(manifest.config))
    return Publication(manifest.config.media_type, config, manifest.layers)


def fetch(repository: Repository, digest: Digest, *, key: Digest) -> StepManifest:
    """Return a published step; raise ``CorruptImageError`` where it isn't there or was made for another key."""
    found, where = fetch_publication(repository, digest), f"{repository.name}@{digest}"
    try:
        step = read_step(found.blobs, found.config, where=where)
    except CacheError as error:
        raise CorruptImageError(error.message, where=error.where) from error
    if step.record.key != key:
        raise CorruptImageError(f"is the record of {step.record.key}, not of {key}", where=where)
    return step
