"""The names of tags by which a distributed cache knows what is in use, and what is on its way out.

They stand beside those of ``tags`` and mean nothing to the protocol by which builders agree.  Times are seconds since
1970 by the clock of the place that keeps the tags, in base 36; builders' own clocks enter nowhere::

    u.V43.t        the record V was used at t, or was about to be published
    i.M43.t.V43    the image M was made at t; the manifest V lists its records, and the branch it was built from
    l.w.s.t        a build w that began at s goes on until t at most; t = 0 tells that it is over
    y.K43.g.t      at t nobody had a use for generation g of K
    z.K43.g.t      generation g of K was closed by t, because nobody had a use for it
    q.V43.t        at t nobody had a use for the record V
    k.V43.t        from t on the record V may be deleted at any moment
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.tags import (
    HASH,
    NUMBER,
    PROPOSER,
    base36,
    long_digest,
    long_number,
    pattern,
    short_digest,
)

if TYPE_CHECKING:
    from lifecycle.oci.digest import Digest

OVER: Final = 0
"""Instead of the time at which a lease ends: the build has ended."""

_MADE: Final = pattern("i", HASH, NUMBER, HASH)
_LEASE: Final = pattern("l", PROPOSER, NUMBER, NUMBER)
_UNNEEDED: Final = pattern("y", HASH, NUMBER, NUMBER)
_ENDED: Final = pattern("z", HASH, NUMBER, NUMBER)
_RECORD: Final = pattern("([uqk])", HASH, NUMBER)


@dataclass(frozen=True, slots=True)
class Used:
    """A build ended a step with the record ``value``, or was about to publish it."""

    value: Digest
    time: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"u.{short_digest(self.value)}.{base36(self.time)}"


@dataclass(frozen=True, slots=True)
class Made:
    """An image was made; ``note`` is the digest of the manifest that says of what."""

    image: Digest
    time: int
    note: Digest

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"i.{short_digest(self.image)}.{base36(self.time)}.{short_digest(self.note)}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A build may use anything that was decided when it ``began``, or later, ``until`` then."""

    build: str
    began: int
    until: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"l.{self.build}.{base36(self.began)}.{base36(self.until)}"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Nobody has a use for the outcome of a generation; it stays for the time of grace."""

    key: Digest
    generation: int
    time: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"y.{short_digest(self.key)}.{base36(self.generation)}.{base36(self.time)}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A generation that was closed, and may be deleted once no build goes on that began before ``time``."""

    key: Digest
    generation: int
    time: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"z.{short_digest(self.key)}.{base36(self.generation)}.{base36(self.time)}"


@dataclass(frozen=True, slots=True)
class Idle:
    """Nobody has a use for a record; it stays for the time of grace."""

    value: Digest
    time: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"q.{short_digest(self.value)}.{base36(self.time)}"


@dataclass(frozen=True, slots=True)
class Going:
    """A record is about to be deleted; who would publish it now does better not to."""

    value: Digest
    time: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"k.{short_digest(self.value)}.{base36(self.time)}"


RetentionTag = Used | Made | Lease | Unneeded | Ended | Idle | Going


def read_retention_tag(name: str) -> RetentionTag | None:
    """Read a name; ``None`` for any other."""
    try:
        if found := _RECORD.match(name):
            value, time = long_digest(found[2]), long_number(found[3])
            kinds: dict[str, RetentionTag] = {"u": Used(value, time), "q": Idle(value, time), "k": Going(value, time)}
            return kinds[found[1]]
        if found := _MADE.match(name):
            return Made(long_digest(found[1]), long_number(found[2]), long_digest(found[3]))
        if found := _LEASE.match(name):
            return Lease(found[1], long_number(found[2]), long_number(found[3]))
        if found := _UNNEEDED.match(name):
            return Unneeded(long_digest(found[1]), long_number(found[2]), long_number(found[3]))
        if found := _ENDED.match(name):
            return Ended(long_digest(found[1]), long_number(found[2]), long_number(found[3]))
    except ValueError:
        return None
    return None
