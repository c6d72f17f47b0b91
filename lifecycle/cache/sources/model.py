"""What a restoration asks of any cache that it reads, and what became of each when it was opened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.cache.specification import CacheSpec
    from lifecycle.images.store import Image
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.oci.digest import DiffId


class Source(Protocol):
    """A cache that is open: what it says stays what it said then, and its layers are found by digest."""

    @property
    def kind(self) -> str:
        """``app image``, ``cache image``, ``volume``, ``buildkit`` or ``distributed``."""
        ...

    @property
    def name(self) -> str:
        """How messages call it: ``registry/repository@digest`` or a path."""
        ...

    @property
    def digest(self) -> str:
        """The digest of what it says of itself: a manifest, a metadata file, a listing."""
        ...

    def steps(self) -> Sequence[CachedStep]:
        """Return what it remembers, the best first where it has several of one buildpack."""
        ...

    def has(self, diff_id: DiffId) -> bool:
        """Say whether it holds that layer; raise ``ImageError`` or ``CacheError`` if that can't be found out."""
        ...

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read.

        Raises ``CacheError``, ``ImageError``, and ``VerificationError`` at the end of wrong bytes.
        """
        ...

    def image(self, diff_id: DiffId) -> Image | None:
        """Return an image with that layer, for an export to put on; ``None`` where there are no blobs to take."""
        ...


@unique
class Status(StrEnum):
    """What became of a source when it was opened."""

    OK = "ok"
    MISSING = "missing"
    DENIED = "denied"
    ERROR = "error"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Opened:
    """One value of ``-cache-from``: ``index`` counts from 1; ``source`` is there where ``status`` is ok."""

    index: int
    spec: CacheSpec
    status: Status
    source: Source | None = None
    error: str = ""
