"""Taking out of a distributed cache what nobody has a use for, while builders go on.

Pure: ``next_round`` says from one listing what to do next, and a listing taken after that says what comes then.
Nothing is remembered between rounds, so a collector may be killed anywhere, and several may run at once.

An outcome goes in steps.  It is marked (``y``, ``q``); while the time of grace lasts it is as good as any other, and is
spared if it is used or wanted again.  Then its generation is closed (``x``, ``z``): builds that begin later make their
own.  It is deleted when no build goes on that began before that: a build puts its lease before its first listing, so
either the collector sees the lease, or the build sees ``x``.  The record itself is announced to go (``k``) and
deleted unless somebody announced its publication (``u``) before: of two who both write first and look then, at least
one sees the other.

Ballots and votes are of no more use once their outcome is in every listing.  A generation that was voted on and left
by dead builders is decided by carrying their vote on, as any other proposer would; only then can it go.  Where the
place itself decides, the record that it names as the first is the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.retention_tags import OVER, Ended, Going, Idle, Unneeded, Used
from lifecycle.cache.distributed.tags import Closed, Decided, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cache.distributed.inventory import Generation, Inventory, Place
    from lifecycle.cache.distributed.retention import Kept
    from lifecycle.cache.distributed.retention_tags import Made
    from lifecycle.cache.distributed.usage import BuildNote
    from lifecycle.oci.digest import Digest

HOUR: Final = 3600
FENCE: Final = 60
"""Seconds after the beginning of a listing within which something is deleted because of it."""
ANNOUNCED: Final = 600
"""Seconds after which a record is announced to go once more before it is deleted."""
REMEMBERED: Final = 30 * 24 * HOUR
"""Seconds for which a closed generation is remembered, in case a write of it is still on its way."""
DEFAULT_GRACE: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Close:
    """Write ``x``, and once it is acknowledged ``z`` with the time of then."""

    key: Digest
    generation: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Write the outcome once more, and once that is acknowledged ``y`` with the time of then.

    Builds that begin later have the outcome in their first listing.
    """

    outcome: Decided


@dataclass(frozen=True, slots=True)
class Complete:
    """Agree with whoever else is there on the outcome of a key, ``value`` if nobody else has one."""

    key: Digest
    value: Digest


@dataclass(frozen=True, slots=True)
class Round:
    """What one listing leads to: these names are written, then those taken away, in this order.

    ``confirms`` are outcomes to write once more, so that every later listing has them.
    """

    marks: tuple[Mark, ...] = ()
    closes: tuple[Close, ...] = ()
    completes: tuple[Complete, ...] = ()
    confirms: tuple[str, ...] = ()
    puts: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.marks or self.closes or self.completes or self.confirms or self.puts or self.removes)


def next_round(
    inventory: Inventory,
    kept: Kept,
    notes: Mapping[Made, BuildNote],
    *,
    now: int,
    grace: float,
    confirmed: frozenset[str] = frozenset(),
) -> Round:
    """Return what to do after a listing; ``now`` is a time before it began, ``grace`` in seconds.

    ``confirmed`` are the outcomes that this collector has written itself before the listing began.
    """
    planned = _Plan(inventory, kept, now, grace, confirmed)
    for place, found in inventory.generations.items():
        planned.generation(place, found)
    for value in {*inventory.stored, *inventory.idle, *inventory.going, *inventory.used, *inventory.attached}:
        planned.record(value)
    for key, generations in inventory.closed.items():
        for generation in generations:
            planned.closed(key, generation)
    planned.leftovers(notes)
    return planned.round


class _Plan:
    def __init__(self, inventory: Inventory, kept: Kept, now: int, grace: float, confirmed: frozenset[str]) -> None:
        self._inventory = inventory
        self._kept = kept
        self._now = now
        self._grace = grace
        self._confirmed = confirmed
        self._leases = inventory.live_leases(now)
        self._outcomes = inventory.outcomes()
        self._decided = inventory.decided()
        self._voted = inventory.voted()
        self._first_left: dict[Digest, int] = {}
        for key, number in inventory.generations:
            self._first_left[key] = min(number, self._first_left.get(key, number))
        self._marks: list[Mark] = []
        self._closes: list[Close] = []
        self._completes: list[Complete] = []
        self._confirms: list[str] = []
        self._puts: list[str] = []
        self._removes: list[str] = []

    @property
    def round(self) -> Round:
        removes = tuple(dict.fromkeys(self._removes))
        return Round(
            tuple(self._marks),
            tuple(self._closes),
            tuple(self._completes),
            tuple(self._confirms),
            tuple(self._puts),
            removes,
        )

    def generation(self, place: Place, found: Generation) -> None:
        key, number = place
        open_generation = self._inventory.open_generation(key)
        marks = self._inventory.unneeded.get(place, set())
        if number < open_generation:
            self._closed_generation(place, found)
        elif found.decided:
            self._tidy(place, found)
            self._outcome(place, marks)
        elif found.firsts:
            self._told_first(place, found)
        elif (vote := found.vote) is not None and vote not in self._kept.records:
            idle = self._inventory.idle.get(vote, set())
            if not idle:
                self._puts.append(Idle(vote, self._now).name)
            elif self._over(idle) and not self._leases:
                self._completes.append(Complete(key, vote))

    def _told_first(self, place: Place, found: Generation) -> None:
        """Say what the place decided and a dead builder did not; end a generation of which it can't tell that."""
        if found.first is not None:
            self._confirms.append(Decided(*place, found.first).name)
        elif not self._leases:
            self._closes.append(Close(*place))

    def _outcome(self, place: Place, marks: set[int]) -> None:
        values = self._inventory.generations[place].decided
        if any(value in self._kept.records for value in values):
            self._removes += _unneeded(place, marks)
        elif not marks:
            self._marks += [Mark(Decided(*place, each)) for each in sorted(values)]
            self._puts += [Idle(each, self._now).name for each in values if not self._inventory.idle.get(each)]
        elif any(self._used_since(value, min(marks)) for value in values):
            self._removes += _unneeded(place, marks)
        elif self._over(marks) and not self._held(min(marks)):
            self._closes.append(Close(*place))

    def _tidy(self, place: Place, found: Generation) -> None:
        """Take away how an outcome came about, after it is known to be in every listing."""
        if not (found.prepares or found.accepts):
            return
        names = [Decided(*place, value).name for value in sorted(found.decided)]
        if self._confirmed.issuperset(names):
            self._removes += [*sorted(found.prepares), *sorted(found.accepts)]
        else:
            self._confirms += names

    def _closed_generation(self, place: Place, found: Generation) -> None:
        ended = self._inventory.ended.get(place, set())
        if not ended:
            return
        over = self._now >= min(ended) + min(self._grace, HOUR)
        if over and not self._held(min(ended)):
            decided = [Decided(*place, value).name for value in sorted(found.decided)]
            marks = _unneeded(place, self._inventory.unneeded.get(place, set()))
            # The outcome is the last to go: whoever is killed before leaves it for the next to find.
            votes = [*sorted(found.prepares), *sorted(found.accepts), *sorted(found.firsts)]
            self._removes += [*marks, *votes, *decided]

    def closed(self, key: Digest, generation: int) -> None:
        """Plan for what tells that a generation is closed."""
        place = key, generation
        ended = self._inventory.ended.get(place, set())
        if not ended:
            self._closes.append(Close(*place))
            return
        if self._first_left.get(key, generation + 1) <= generation:
            return
        highest = generation == max(self._inventory.closed[key])
        if not highest or self._now >= max(ended) + REMEMBERED:
            self._removes += _unneeded(place, self._inventory.unneeded.get(place, set()))
            self._removes += [Closed(*place).name, *(Ended(*place, time).name for time in sorted(ended))]

    def record(self, value: Digest) -> None:
        """Plan for a record that is nobody's outcome, and for what is left of one that is gone."""
        found = self._inventory
        idle, going, used = (each.get(value, set()) for each in (found.idle, found.going, found.used))
        self._removes += [Used(value, time).name for time in sorted(used)[:-1]]
        stale = [Going(value, time).name for time in sorted(going)] if self._older(going, HOUR) else []
        marks = [Idle(value, time).name for time in sorted(idle)]
        if value not in found.stored:
            self._removes += [*sorted(found.attached.get(value, ())), *marks, *stale]
            if used and self._older(used, self._grace + HOUR):
                self._removes += [Used(value, time).name for time in sorted(used)]
            return
        referenced = value in self._decided or value in self._voted
        if value in self._kept.records:
            self._removes += [*marks, *stale]
        elif referenced:
            self._removes += stale
        elif not idle:
            self._puts.append(Idle(value, self._now).name)
        elif self._used_since(value, min(idle)):
            self._removes += [*marks, *stale]
        elif self._over(idle) and not self._held(min(idle)):
            if self._older(going, ANNOUNCED):
                self._puts.append(Going(value, self._now).name)
            else:
                self._removes += [*sorted(found.attached.get(value, ())), Stored(value).name]

    def leftovers(self, notes: Mapping[Made, BuildNote]) -> None:
        """Plan for leases that are over, images of which parts are gone, and hints that were overtaken."""
        found = self._inventory
        over = sorted((each for each in found.leases if each not in self._leases), key=str)
        # What tells that a build is over goes after its leases.
        ends = [each for each in over if each.until == OVER and each.began + HOUR < self._now]
        expired = [each for each in over if each.until != OVER and each.until + HOUR < self._now]
        ended = {each.build for each in ends}
        of_ended = [each for each in over if each.until != OVER and each.build in ended]
        self._removes += [each.name for each in (*expired, *of_ended, *ends)]
        self._removes += [made.name for made in sorted(found.made, key=str) if self._image_goes(made, notes)]
        newest: dict[str, int] = {}
        for hint in found.hints:
            if hint.value in self._outcomes:
                newest[hint.group] = max(newest.get(hint.group, 0), hint.version)
        self._removes += [
            hint.name
            for hint in sorted(found.hints, key=str)
            if hint.value not in self._outcomes
            or (hint.version < newest[hint.group] and hint.value not in self._kept.records)
        ]

    def _image_goes(self, made: Made, notes: Mapping[Made, BuildNote]) -> bool:
        """Say whether a note is of no more use: it goes with the first of its records, not before."""
        note = notes.get(made)
        if note is None:
            return True
        return made not in self._kept.images and not self._inventory.stored.issuperset(note.records)

    def _over(self, marks: set[int]) -> bool:
        return self._now >= min(marks) + self._grace

    def _held(self, since: int) -> bool:
        return any(lease.began <= since for lease in self._leases)

    def _used_since(self, value: Digest, mark: int) -> bool:
        return max(self._inventory.used.get(value, ()), default=-1) >= mark

    def _older(self, times: set[int], seconds: float) -> bool:
        return all(self._now - time > seconds for time in times)


def _unneeded(place: Place, marks: set[int]) -> list[str]:
    return [Unneeded(*place, time).name for time in sorted(marks)]
