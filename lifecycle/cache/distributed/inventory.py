"""A listing of a distributed cache in order: which records there are, who speaks for them, what is on its way out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.retention_tags import (
    OVER,
    Ended,
    Going,
    Idle,
    Lease,
    Made,
    Unneeded,
    Used,
    read_retention_tag,
)
from lifecycle.cache.distributed.tags import (
    MARKS,
    Accept,
    Closed,
    Decided,
    First,
    Hint,
    Prepare,
    Signed,
    Stored,
    read_tag,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.oci.digest import Digest

Place = tuple["Digest", int]
"""A key and one of its generations."""


@dataclass(slots=True)
class Generation:
    """What builders wrote on one generation of a key; ``firsts`` stand for votes where the place itself decides.

    ``first`` is the record that the place names as the first, if it was asked and could tell.
    """

    prepares: set[str] = field(default_factory=set)
    accepts: dict[str, Accept] = field(default_factory=dict)
    firsts: set[str] = field(default_factory=set)
    first: Digest | None = None
    decided: set[Digest] = field(default_factory=set)

    @property
    def vote(self) -> Digest | None:
        """The record that the highest vote is for."""
        return max(self.accepts.values(), key=lambda each: each.ballot).value if self.accepts else None


@dataclass(slots=True)
class Inventory:
    """All names by what they are about; times as in ``retention_tags``.

    ``attached`` are the names of what others say of a record, such as signatures; ``foreign`` are names that nobody
    here understands, and that nobody here touches.
    """

    stored: set[Digest] = field(default_factory=set)
    generations: dict[Place, Generation] = field(default_factory=lambda: defaultdict(Generation))
    closed: dict[Digest, set[int]] = field(default_factory=lambda: defaultdict(set))
    unneeded: dict[Place, set[int]] = field(default_factory=lambda: defaultdict(set))
    ended: dict[Place, set[int]] = field(default_factory=lambda: defaultdict(set))
    used: dict[Digest, set[int]] = field(default_factory=lambda: defaultdict(set))
    idle: dict[Digest, set[int]] = field(default_factory=lambda: defaultdict(set))
    going: dict[Digest, set[int]] = field(default_factory=lambda: defaultdict(set))
    attached: dict[Digest, set[str]] = field(default_factory=lambda: defaultdict(set))
    made: set[Made] = field(default_factory=set)
    leases: set[Lease] = field(default_factory=set)
    hints: set[Hint] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def open_generation(self, key: Digest) -> int:
        """Return the generation above all that are closed."""
        return 1 + max(self.closed.get(key, ()), default=-1)

    def live_leases(self, now: int) -> list[Lease]:
        """Return the leases of builds that may go on."""
        over = {lease.build for lease in self.leases if lease.until == OVER}
        return [lease for lease in self.leases if lease.until > now and lease.build not in over]

    def outcomes(self) -> dict[Digest, Place]:
        """Return the records that builders get now, and for which key."""
        return {
            value: place
            for place, found in self.generations.items()
            if place[1] == self.open_generation(place[0])
            for value in found.decided
        }

    def decided(self) -> set[Digest]:
        """Return the records that are or were an outcome."""
        return {value for found in self.generations.values() for value in found.decided}

    def voted(self) -> set[Digest]:
        """Return the records that may still become an outcome."""
        return {
            value
            for (key, number), found in self.generations.items()
            if not found.decided and number == self.open_generation(key)
            for value in (found.first, *(accept.value for accept in found.accepts.values()))
            if value is not None
        }


def take_inventory(names: Iterable[str]) -> Inventory:
    """Sort a listing."""
    found = Inventory()
    for name in names:
        if not (_of_protocol(found, name) or _of_retention(found, name) or name in MARKS):
            found.foreign.add(name)
    return found


def _of_protocol(found: Inventory, name: str) -> bool:
    match read_tag(name):
        case Stored(value):
            found.stored.add(value)
        case Signed(value):
            found.attached[value].add(name)
        case Prepare(key, generation):
            found.generations[key, generation].prepares.add(name)
        case Accept(key, generation) as accept:
            found.generations[key, generation].accepts[name] = accept
        case First(key, generation):
            found.generations[key, generation].firsts.add(name)
        case Decided(key, generation, value):
            found.generations[key, generation].decided.add(value)
        case Closed(key, generation):
            found.closed[key].add(generation)
        case Hint() as hint:
            found.hints.add(hint)
        case None:
            return False
    return True


def _of_retention(found: Inventory, name: str) -> bool:
    match read_retention_tag(name):
        case Unneeded(key, generation, time):
            found.unneeded[key, generation].add(time)
        case Ended(key, generation, time):
            found.ended[key, generation].add(time)
        case Used(value, time):
            found.used[value].add(time)
        case Idle(value, time):
            found.idle[value].add(time)
        case Going(value, time):
            found.going[value].add(time)
        case Made() as made:
            found.made.add(made)
        case Lease() as lease:
            found.leases.add(lease)
        case None:
            return False
    return True
