"""A distributed cache in a repository of a registry."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.propose import check_no_votes, check_way
from lifecycle.cache.distributed.registry_log import RegistryLog
from lifecycle.cache.distributed.retention_tags import Made, read_retention_tag
from lifecycle.cache.distributed.tags import SYNC_CAS, SYNC_FILE, Signed, Stored, read_tag
from lifecycle.cache.distributed.torn_tags import mend
from lifecycle.errors import CacheError, CorruptImageError, RegistryError, VerificationError
from lifecycle.oci.digest import Digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference

_NOT_DELETING: Final = frozenset({400, 405, 501})


class RegistryRepository:
    """The repository that ``location`` names, whatever its tag; ``names`` keeps those of its tags, if not itself."""

    def __init__(self, client: RegistryClient, location: Reference, names: KeptLog | None = None) -> None:
        self._client = client
        self._location = location
        self._names = names
        self._is_marked = False
        self.tags = RegistryLog(client, location)
        self.log: KeptLog = names or self.tags

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return self._location.context

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is there, proven by its first bytes."""
        try:
            return bool(next(self._client.blob(self._location, blob), b"")) or blob.size == 0
        except (CorruptImageError, VerificationError):
            return False

    def put_blob(self, blob: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Upload a blob."""
        self._client.upload_blob(self._location, blob, open_chunks)

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self._client.blob(self._location, blob)

    def put_record(self, data: bytes) -> None:
        """Write a manifest under its tag, which keeps it from registries that remove what has none."""
        self.put_manifest(Stored(digest_of(data)).name, data)

    def put_manifest(self, name: str, data: bytes) -> None:
        """Write a manifest under a tag."""
        if self._names is None:
            self.tags.write(name, data)
            return
        self._mark()
        self.tags.write(name, data)
        self._names.append(name)

    def put_tagged(self, name: str, data: bytes) -> None:
        """Write a manifest under a tag."""
        self.put_manifest(name, data)

    def tagged(self, name: str) -> bytes | None:
        """Return a manifest by its tag."""
        found = self._client.manifest(replace(self._location, tag=name, digest=None))
        return None if found is None else found.data

    def record(self, digest: Digest) -> bytes | None:
        """Return a manifest."""
        found = self._client.manifest(replace(self._location, tag=None, digest=digest))
        return None if found is None else found.data

    def names(self) -> frozenset[str]:
        """Return all names; raise ``CacheError`` where builders keep theirs elsewhere, and nobody said where."""
        found = self.tags.names()
        if self._names is not None:
            return found | self._names.names()
        check_way(found, SYNC_CAS)
        return found

    def remove(self, name: str) -> None:
        """Take a name away; whoever is killed meanwhile leaves the name for the next to find."""
        if self._names is None:
            self.log.remove(name)
            return
        if isinstance(read_tag(name) or read_retention_tag(name), Stored | Signed | Made | None):
            self.tags.remove(name)
        self.log.remove(name)

    def check_deletion(self) -> None:
        """Delete what isn't there; raise ``CacheError`` for a registry that refuses to."""
        try:
            self.tags.remove_digest(Digest(f"sha256:{secrets.token_hex(32)}"))
        except RegistryError as error:
            if error.status not in _NOT_DELETING:
                raise
            raise CacheError(
                f"the registry deletes nothing (status {error.status}), so nothing was changed",
                where=self.name,
                remedy="allow deletion in its configuration (docker-registry: storage.delete.enabled), or begin a "
                "cache under another name and remove this one by the registry's own means; --dry-run says what could "
                "go",
            ) from error

    def mend(self) -> int:
        """Mend tags that a crash of the registry left half-written."""
        return mend(self.tags)

    def sweep(self, referenced: Callable[[], set[Digest]], *, before: float) -> tuple[int, int]:  # noqa: ARG002
        """Remove no blobs: a registry collects them itself."""
        if isinstance(self._names, FileLog):
            try:
                self._names.remove_leftovers(before=before)
            except OSError as error:
                raise CacheError(f"can't be removed: {error.strerror}", where=error.filename) from error
        return 0, 0

    def _mark(self) -> None:
        """Leave word that names are kept elsewhere; raise ``CacheError`` where others keep theirs here."""
        if self._is_marked:
            return
        if SYNC_FILE not in self._checked():
            self.tags.append(SYNC_FILE)
            # Who votes looks for the mark after the vote: of two who begin at once, one sees the other.
            self._checked()
        self._is_marked = True

    def _checked(self) -> frozenset[str]:
        found = self.tags.names()
        check_no_votes(found, SYNC_FILE, where=self.name)
        return found
