"""Carries out what ``collection`` plans, on a repository that builders use meanwhile."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.collected import Collected, Told, Work
from lifecycle.cache.distributed.collection import DEFAULT_GRACE, FENCE, HOUR, Round, next_round
from lifecycle.cache.distributed.deciding_registry import read_first
from lifecycle.cache.distributed.inventory import Inventory, take_inventory
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publish import fetch_publication
from lifecycle.cache.distributed.retention import Policy, kept
from lifecycle.cache.distributed.retention_tags import Ended, Unneeded
from lifecycle.cache.distributed.tags import Closed, Decided, First
from lifecycle.cache.distributed.usage import NOTE_TYPE, BuildNote, read_note
from lifecycle.errors import CorruptImageError, RegistryBusyError, VerificationError
from lifecycle.oci.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cache.distributed.repository import KeptRepository
    from lifecycle.cache.distributed.retention_tags import Made
    from lifecycle.oci.digest import Digest

_LOG = logging.getLogger(__name__)
_UNREADABLE = (CorruptImageError, VerificationError)
_MOST_IN_VAIN = 8
"""How many rounds in a row may take nothing away of what was there at the beginning, before a collection ends."""


@dataclass(slots=True)
class Collector:
    """Takes out of ``repository`` what ``policy`` does not keep, ``grace`` seconds after it was first seen to be so."""

    repository: KeptRepository
    policy: Policy = field(default_factory=Policy)
    grace: float = DEFAULT_GRACE
    clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    _notes: dict[Made, BuildNote | None] = field(default_factory=dict, init=False)
    _written: int = field(default=0, init=False)
    _removed: int = field(default=0, init=False)
    _stuck: set[str] = field(default_factory=set, init=False)

    def plan(self) -> Collected:
        """Say what a collection would do if nothing else happened; raise ``CacheError`` or ``ImageError``."""
        now, first = self.repository.log.now(), self.repository.names()
        names, confirmed = set(first), frozenset[str]()
        written = removed = 0
        while not (planned := self._round(names, now, confirmed)).empty:
            before = set(names)
            names |= {Unneeded(each.outcome.key, each.outcome.generation, now).name for each in planned.marks}
            for close in planned.closes:
                names |= {Closed(close.key, close.generation).name, Ended(close.key, close.generation, now).name}
            names |= {Decided(each.key, self._open(names, each.key), each.value).name for each in planned.completes}
            names |= {*planned.puts, *planned.confirms}
            confirmed |= {*planned.confirms}
            written += len(names - before)
            removed += len(names & {*planned.removes})
            names -= {*planned.removes}
        return self._told(now).between(first, names, Work(written, removed))

    def run(self) -> Collected:
        """Do it; safe at any time, beside builders and other collectors.

        Raises ``CacheError`` for a registry that deletes nothing, before anything was changed; ``ImageError``.
        """
        self.repository.check_deletion()
        log = self.repository.log
        first = names = self.repository.names()
        now, confirmed = log.now(), frozenset[str]()
        tried, mended = set[str](), False
        left, in_vain = len(first), 0
        while True:
            began = self.clock()
            now, names = log.now(), self.repository.names()
            planned = self._round(names, now, confirmed)
            still = tried & {*planned.removes}
            if still and not mended:
                mended = True
                if self.repository.mend():
                    still = set()
            self._stuck |= still
            planned = replace(planned, removes=tuple(each for each in planned.removes if each not in self._stuck))
            before, left = left, len(first & names)
            in_vain = in_vain + 1 if left == before else 0
            # What builders add while this goes on is for the next collection, or it might never end.
            if planned.empty or in_vain > _MOST_IN_VAIN:
                break
            tried = self._do(planned, began)
            confirmed |= {*planned.confirms}
        work = Work(self._written, self._removed, *self._sweep(now), tuple(sorted(self._stuck)))
        return self._told(now).between(first, names, work)

    def _told(self, now: int) -> Told:
        notes = {made: note for made, note in self._notes.items() if note is not None}
        return Told(notes, self.policy, self.grace, now)

    def _round(self, names: set[str] | frozenset[str], now: int, confirmed: frozenset[str]) -> Round:
        inventory = take_inventory(names)
        self._read_firsts(inventory)
        notes = self._read_notes(inventory)
        found = kept(inventory, notes, self.policy, now)
        return next_round(inventory, found, notes, now=now, grace=self.grace, confirmed=confirmed)

    def _do(self, planned: Round, began: float) -> set[str]:
        """Write, then remove while the listing of ``began`` is new enough; return what was to be removed by then."""
        log = self.repository.log
        tried = set[str]()
        for name in planned.confirms:
            log.append(name)
        for name in planned.puts:
            log.append(name)
            self._written += 1
        for mark in planned.marks:
            log.append(mark.outcome.name)
            log.append(Unneeded(mark.outcome.key, mark.outcome.generation, log.now()).name)
            self._written += 1
        for close in planned.closes:
            log.append(Closed(close.key, close.generation).name)
            log.append(Ended(close.key, close.generation, log.now()).name)
            self._written += 2
        for each in planned.completes:
            propose(log, each.key, each.value)
            self._written += 1
        for name in planned.removes:
            if self.clock() - began > FENCE:
                break
            tried.add(name)
            # What is listed still is tried again, after tags were mended.
            with contextlib.suppress(RegistryBusyError):
                self.repository.remove(name)
                self._removed += 1
        return tried

    def _read_notes(self, inventory: Inventory) -> dict[Made, BuildNote]:
        for made in inventory.made - self._notes.keys():
            self._notes[made] = self._note(made)
        return {made: note for made in inventory.made if (note := self._notes[made]) is not None}

    def _read_firsts(self, inventory: Inventory) -> None:
        """Ask the place which records it says to be first, where nobody has said so in a name."""
        for (key, generation), found in inventory.generations.items():
            if found.firsts and not found.decided and generation == inventory.open_generation(key):
                name = First(key, generation).name
                where = f"{self.repository.name}:{name}"
                with contextlib.suppress(RegistryBusyError, *_UNREADABLE):
                    data = self.repository.tagged(name)
                    found.first = None if data is None else read_first(data, name, where=where)

    def _note(self, made: Made) -> BuildNote | None:
        where = f"{self.repository.name}@{made.note}"
        try:
            found = fetch_publication(self.repository, made.note)
            note = read_note(found.config, where=where) if found.media_type == NOTE_TYPE else None
        except _UNREADABLE as error:
            _LOG.warning("Not a note of a build: %s", error)
            return None
        return note if note is not None and (note.image, note.time) == (made.image, made.time) else None

    def _sweep(self, now: int) -> tuple[int, int]:
        repository = self.repository

        def referenced() -> set[Digest]:
            found = take_inventory(repository.names())
            manifests = {*found.stored, *(made.note for made in found.made)}
            blobs = set(manifests)
            for digest in manifests:
                try:
                    data = repository.record(digest)
                    manifest = None if data is None else read_manifest(data, where=f"{repository.name}@{digest}")
                except _UNREADABLE as error:
                    # Nobody can have its blobs; who publishes it again asks for each of them.
                    _LOG.warning("Not a record: %s", error)
                    continue
                if manifest is not None:
                    blobs |= {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
            return blobs

        return repository.sweep(referenced, before=now - max(self.grace, HOUR))

    def _open(self, names: set[str], key: Digest) -> int:
        return take_inventory(names).open_generation(key)
