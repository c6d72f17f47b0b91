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
