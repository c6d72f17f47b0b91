"""Where builders share blobs, records and the tags of their protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.oci.digest import Digest
    from lifecycle.oci.manifest import Descriptor


class Repository(Protocol):
    """Blobs and records by digest; what is stored never changes.

    All raise ``CacheError`` or ``ImageError`` where the place can't be reached.
    """

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    @property
    def log(self) -> KeptLog:
        """The tags of the protocol."""
        ...

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is there, proven by its first bytes: registries may claim to have what they lost."""
        ...

    def put_blob(self, blob: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Store a blob whether it is there or not; raise ``VerificationError`` for other bytes."""
        ...

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read; raise ``VerificationError`` or ``CorruptImageError``."""
        ...

    def put_record(self, data: bytes) -> None:
        """Store a manifest, whose blobs are there, and its tag ``r``; raise ``BlobUnknownError`` if one is not."""
        ...

    def put_manifest(self, name: str, data: bytes) -> None:
        """Store a manifest, whose blobs are there, under the tag ``name``; raises as ``put_record``."""
        ...

    def tagged(self, name: str) -> bytes | None:
        """Return what ``put_tagged`` stored, ``None`` if it isn't there."""
        ...

    def put_tagged(self, name: str, data: bytes) -> None:
        """Store a manifest that is found by its tag, and whose blobs are there; raises as ``put_record``."""
        ...

    def record(self, digest: Digest) -> bytes | None:
        """Return a manifest, ``None`` if it isn't there; raise ``VerificationError`` for other bytes."""
        ...


class KeptRepository(Repository, Protocol):
    """A repository from which records can be taken away again."""

    def names(self) -> frozenset[str]:
        """Return all names: those of the log, and what a builder that was killed left in the place of the records.

        Raises ``CacheError`` where the names by which builders agree are elsewhere.
        """
        ...

    def remove(self, name: str) -> None:
        """Take a name away, with the manifest that it leads to; nothing happens if it isn't there."""
        ...

    def check_deletion(self) -> None:
        """Raise ``CacheError`` for a place that deletes nothing."""
        ...

    def mend(self) -> int:
        """Mend what keeps the place from deleting; return how much that was."""
        ...

    def sweep(self, referenced: Callable[[], set[Digest]], *, before: float) -> tuple[int, int]:
        """Remove blobs that nothing refers to and nobody asked for since ``before``, where the place doesn't itself.

        ``referenced`` is called after the blobs were listed.  Returns how many went, and their bytes.
        """
        ...
