"""``sync=cas``: a registry that writes a manifest only where there is none decides which record of a key is the first.

Each generation of a key has one tag, ``o.K43.g``, which is written with ``If-None-Match: *`` and whose manifest names
the record.  A registry that has it already refuses, and the manifest tells which record that is; registries with
immutable tags refuse in the same way.  Listings may lag behind here: an old one costs a request and changes nothing.
Spec: RFC 9110 "If-None-Match"; OCI distribution-spec "Pushing Manifests", which does not know of it yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.propose import check_no_votes
from lifecycle.cache.distributed.registry_log import EMPTY_BLOB, NAME_ANNOTATION
from lifecycle.cache.distributed.tags import SYNC_CAS, First
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.oci.digest import Digest, is_digest
from lifecycle.oci.manifest import OCI_MANIFEST, Manifest, read_manifest

if TYPE_CHECKING:
    from lifecycle.cache.distributed.registry_log import RegistryLog
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.reference import Reference

_VALUE: Final = "io.github.cnb-lifecycle.cache.record"


class DecidingRegistryLog:
    """Names as tags of ``repository``, as ``log`` keeps them, and the tags of first records."""

    def __init__(self, log: RegistryLog, client: RegistryClient, repository: Reference) -> None:
        self._log = log
        self._client = client
        self._repository = repository
        self._is_checked = False

    def append(self, name: str) -> None:
        """Write a name."""
        self._log.append(name)

    def names(self) -> frozenset[str]:
        """Return all names."""
        return self._log.names()

    def now(self) -> int:
        """Return the registry's time."""
        return self._log.now()

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._log.remove(name)

    def first(self, key: Digest, generation: int, value: Digest) -> Digest:
        """Return the record that is the first of a generation; raise ``CacheError`` or ``ImageError``.

        ``CacheError`` tells that the registry overwrites tags, or that others agree here in another way.
        """
        self._check()
        tag = First(key, generation).name
        if self._log.write_new(tag, first_manifest(tag, value)):
            return value
        found = self._client.manifest(replace(self._repository, tag=tag, digest=None))
        where = f"{self._repository.context}:{tag}"
        winner = None if found is None else read_first(found.data, tag, where=where)
        if winner is None:
            raise CorruptImageError("does not name the record that was first", where=where)
        return winner

    def _check(self) -> None:
        """Raise ``CacheError`` unless the registry refuses to write a tag again, and nobody voted here."""
        if self._is_checked:
            return
        self._check_votes()
        self._log.append_blob()
        data = first_manifest(SYNC_CAS, "")
        self._log.write_new(SYNC_CAS, data)
        if self._log.write_new(SYNC_CAS, data):
            raise CacheError(
                "the registry overwrites tags in spite of If-None-Match",
                where=self._repository.context,
                remedy="leave out sync=cas: sync=tags needs nothing of a registry, or turn on immutable tags",
            )
        # Who votes looks for the mark after the vote: of two who begin at once, one sees the other.
        self._check_votes()
        self._is_checked = True

    def _check_votes(self) -> None:
        check_no_votes(self._log.names(), SYNC_CAS, where=self._repository.context)


def first_manifest(tag: str, value: str) -> bytes:
    """Return what the tag of a first record leads to."""
    return Manifest(OCI_MANIFEST, EMPTY_BLOB, (EMPTY_BLOB,), {NAME_ANNOTATION: tag, _VALUE: value}).dumps()


def read_first(data: bytes, tag: str, *, where: str) -> Digest | None:
    """Return the record that the tag of a first record names, ``None`` where it names none.

    Raises ``CorruptImageError`` for what is no manifest.
    """
    annotations = read_manifest(data, where=where).annotations
    value = annotations.get(_VALUE, "")
    return Digest(value) if annotations.get(NAME_ANNOTATION) == tag and is_digest(value) else None
