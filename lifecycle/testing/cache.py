"""A cache in memory, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import CacheEntryNotFoundError, CacheError
from lifecycle.model.lifecycle_metadata import CacheMetadata
from lifecycle.oci.digest import DiffId, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource

_CHUNK = 1 << 16


@dataclass(slots=True)
class MemoryCache:
    """Layers by diffID; ``layers`` may be edited to break them.

    ``fails_on_commit`` is the message of that failure.
    """

    name: str = "memory"
    layers: dict[DiffId, bytes] = field(default_factory=dict)
    current: CacheMetadata = field(default_factory=CacheMetadata)
    fails_on_commit: str | None = None

    def metadata(self) -> CacheMetadata:
        """Return what the cache says of itself."""
        return self.current

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        data = self.layers.get(diff_id)
        if data is None:
            raise CacheEntryNotFoundError(f"failed to find cache layer with SHA '{diff_id}'", where=self.name)
        chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
        return verified(chunks, digest=diff_id, size=None, where=f"{self.name} {diff_id}")

    def begin(self) -> MemoryCacheTransaction:
        """Start to replace the content."""
        return MemoryCacheTransaction(self)


@dataclass(slots=True)
class MemoryCacheTransaction:
    """The next content of a ``MemoryCache``."""

    cache: MemoryCache
    staged: dict[DiffId, bytes] = field(default_factory=dict)
    ended: bool = False

    def add(self, source: LayerSource, diff_id: DiffId) -> None:
        """Add a layer; its bytes have to have that diffID."""
        self._check_open()
        where = f"{self.cache.name} {diff_id}"
        self.staged[diff_id] = b"".join(verified(source.chunks(), digest=diff_id, size=None, where=where))

    def add_blob(self, blob: LayerBlob) -> None:
        """Add a layer that is stored already."""
        self._check_open()
        self.staged[blob.diff_id] = b"".join(blob.uncompressed())

    def reuse(self, diff_id: DiffId) -> None:
        """Keep a layer of the current content, verified."""
        self._check_open()
        self.staged[diff_id] = b"".join(self.cache.layer(diff_id))

    def commit(self, metadata: CacheMetadata) -> None:
        """Replace the content."""
        self._check_open()
        if self.cache.fails_on_commit is not None:
            raise CacheError(self.cache.fails_on_commit, where=self.cache.name)
        self.cache.layers = self.staged
        self.cache.current = metadata
        self.ended = True

    def abort(self) -> None:
        """Leave the content as it is."""
        self.ended = True

    def _check_open(self) -> None:
        if self.ended:
            raise CacheError("cache cannot be modified after commit", where=self.cache.name)
