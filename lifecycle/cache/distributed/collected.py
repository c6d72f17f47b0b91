"""What a collection did to each record, or would do, and why: for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.inventory import take_inventory
from lifecycle.cache.distributed.retention import age_text, kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.cache.distributed.inventory import Inventory, Place
    from lifecycle.cache.distributed.retention import Kept, Policy
    from lifecycle.cache.distributed.retention_tags import Made
    from lifecycle.cache.distributed.usage import BuildNote
    from lifecycle.oci.digest import Digest


@unique
class Fate(StrEnum):
    """What became of a record, or would become of it."""

    KEPT = "kept"
    MARKED = "marked"
    """Nobody has a use for it from now on."""
    WAITING = "waiting"
    """Nobody has a use for it, and the time of grace or a build is not over."""
    CLOSED = "closed"
    """New builds do without it; it goes when those that began before are over."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Row:
    """One record: ``names`` are the images that it is in, ``reasons`` why it is kept or not."""

    record: Digest
    buildpack: str
    fate: Fate
    reasons: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """How many tags were written and removed, and blobs that went from a directory, with their bytes.

    ``stuck`` are names that the registry still lists after they were deleted.
    """

    written: int = 0
    removed: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    stuck: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of each record, and the numbers of what else there is.

    ``leases`` are builds that go on, ``foreign`` tags of others, ``unfinished`` keys that builders began to agree on
    and left without a vote.
    """

    rows: tuple[Row, ...]
    work: Work
    leases: int
    images: int
    images_kept: int
    foreign: int
    unfinished: int

    def count(self, fate: Fate) -> int:
        """Return how many records had a fate."""
        return sum(row.fate is fate for row in self.rows)


@dataclass(frozen=True, slots=True)
class Told:
    """Tells of a collection from the listings ``first`` and ``last``."""

    notes: Mapping[Made, BuildNote]
    policy: Policy
    grace: float
    now: int

    def between(self, first: Iterable[str], last: Iterable[str], work: Work) -> Collected:
        """Return what became of what the first listing had."""
        before, after = take_inventory(first), take_inventory(last)
        found = kept(before, self.notes, self.policy, self.now)
        values = sorted({*before.stored, *before.decided()})
        ends = _Ends(before, {*after.stored, *after.decided()}, {*after.outcomes()}, after.decided(), after.idle)
        images = before.outcomes()
        unfinished = [
            place for place, each in after.generations.items() if not (each.decided or each.accepts or each.firsts)
        ]
        return Collected(
            rows=tuple(self._row(value, ends, images.get(value), found) for value in values),
            work=work,
            leases=len({lease.build for lease in before.live_leases(self.now)}),
            images=len({made.image for made in before.made}),
            images_kept=len({made.image for made in found.images}),
            foreign=len(after.foreign),
            unfinished=len(unfinished),
        )

    def _row(self, value: Digest, ends: _Ends, place: Place | None, found: Kept) -> Row:
        of_value = [note for note in self.notes.values() if value in note.records]
        buildpack = of_value[0].records[value] if of_value else ""
        if not of_value and place is not None:
            of_value = [note for note in self.notes.values() if note.key == place[0]]
            buildpack = "(image)" if of_value else ""
        names = tuple(sorted({name for note in of_value for name in note.names}))
        fate, reasons = _fate(value, ends, found)
        if fate is not Fate.KEPT:
            used = max(ends.before.used.get(value, ()), default=None)
            reasons = (*reasons, "never used" if used is None else f"last used {age_text(self.now - used)} ago")
            due = min(ends.idle.get(value, ()), default=None)
            left = 0 if due is None else due + self.grace - self.now
            if fate in {Fate.MARKED, Fate.WAITING} and left > 0:
                reasons = (*reasons, f"{age_text(left)} of grace left")
        return Row(value, buildpack, fate, reasons, names)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The beginning, and what is there, decided, an outcome of now, and marked at the end."""

    before: Inventory
    there: set[Digest]
    outcomes: set[Digest]
    decided: set[Digest]
    idle: Mapping[Digest, set[int]]


def _fate(value: Digest, ends: _Ends, found: Kept) -> tuple[Fate, tuple[str, ...]]:
    if value not in ends.there:
        return Fate.DELETED, ("in no image that is kept",)
    if value in found.records:
        return Fate.KEPT, found.records[value]
    if value not in ends.outcomes and value in ends.decided:
        return Fate.CLOSED, ("new builds do without it",)
    if value in ends.before.idle:
        return Fate.WAITING, ("in no image that is kept",)
    return Fate.MARKED, ("in no image that is kept",)
