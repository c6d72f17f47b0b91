"""What the protocol of a distributed cache asks of the place that keeps its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lifecycle.oci.digest import Digest


class TagLog(Protocol):
    """Names that are written once and never change.

    Both operations raise ``CacheError`` or ``ImageError`` where the place can't be reached.
    """

    def append(self, name: str) -> None:
        """Write a name; once this returns it is in every listing that begins later.  Harmless when repeated.

        Where it raises, the name may be in some listings and not in others, at any time.
        """
        ...

    def names(self) -> frozenset[str]:
        """Return every name that was acknowledged before this call, and perhaps some that are on their way."""
        ...


@runtime_checkable
class DecidingLog(Protocol):
    """A log whose place decides who was first, so that nobody has to vote."""

    def first(self, key: Digest, generation: int, value: Digest) -> Digest:
        """Return the record that was first asked for, which is ``value`` if nobody was before; raise as a log."""
        ...


@runtime_checkable
class LockingLog(Protocol):
    """A log with a lock for each key, which spares proposers each other and decides nothing."""

    def holding(self, key: Digest) -> AbstractContextManager[int]:
        """Hold the lock of a key, if it can be had; the result is higher than that of every earlier holder."""
        ...


class KeptLog(TagLog, Protocol):
    """A log from which names can be taken away again, and that has a clock.

    The protocol by which builders agree uses neither: only what is kept, and for how long, depends on them.
    """

    def now(self) -> int:
        """Return seconds since 1970 by the clock of the place that keeps the names."""
        ...

    def remove(self, name: str) -> None:
        """Take a name away, with the manifest that it leads to; nothing happens if it isn't there."""
        ...
