"""Publishing what a step left, or taking over what another builder published for the same key."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.adopt import adopt
from lifecycle.cache.distributed.consensus import Outcome
from lifecycle.cache.distributed.model import Fate, FinishedStep, Settled, wants_any
from lifecycle.cache.distributed.own_step import LayerPlaces, OwnStep, read_own_step
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publish import BROKEN, MOST_GENERATIONS, fetch, publish, take_or_close
from lifecycle.cache.distributed.tags import Closed, Hint, group_of, read_tag, seen_of
from lifecycle.cache.distributed.usage import BuildLease, announce, check_not_going, look, mark_used
from lifecycle.errors import CacheError, ImageError
from lifecycle.layers.blob import decompressed
from lifecycle.oci.digest import verified
from lifecycle.rules.step_key import hint_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.step_manifest import StepManifest
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import Digest

_LOG = logging.getLogger(__name__)


def _nothing() -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class ConvergingSteps:
    """The steps of a build whose outputs are shared in ``repository``; ``work_dir`` has room for layers.

    ``on_replace`` hears that directories of buildpacks are going to be replaced.
    What the snapshot of ``lease`` shows as decided is used even if it was closed since: nobody deletes it before the
    lease is over, and builders of one time end with one image.
    """

    repository: Repository
    places: LayerPlaces
    work_dir: Path
    lease: BuildLease | None = None
    on_replace: Callable[[], None] = _nothing

    @property
    def name(self) -> str:
        """How messages call the cache."""
        return self.repository.name

    def read(self, step: FinishedStep) -> StepRecord:
        """Return what a step left."""
        return read_own_step(step, self.places).record

    def settle(self, step: FinishedStep, *, wants: Callable[[StepRecord, StepRecord], bool] = wants_any) -> Settled:
        """Publish what a step with a key left, or replace it by the record of that key if the caller ``wants`` that.

        A record whose bytes are not what it says is closed after two tries, and a next generation begins.
        """
        key = step.key
        if key is None:
            raise CacheError(f"a step of {step.buildpack} without a key can't be shared", where=self.name)
        if self.lease is not None:
            self.lease.renew()
        began, sent = time.monotonic(), list[int]()
        settled = self._settle(read_own_step(step, self.places), key, wants, sent)
        return replace(settled, uploaded=sum(sent), seconds=time.monotonic() - began)

    def _settle(
        self, own: OwnStep, key: Digest, wants: Callable[[StepRecord, StepRecord], bool], sent: list[int]
    ) -> Settled:
        """Settle a step; ``sent`` takes the numbers of bytes that were uploaded."""
        snapshot = self.lease.snapshot if self.lease is not None else frozenset[str]()
        for _ in range(MOST_GENERATIONS):
            outcome = self._outcome(own, key, snapshot, sent)
            snapshot = frozenset()
            if isinstance(outcome, Settled):
                return outcome
            closed = Closed(key, outcome.generation)
            take = partial(self._take, own, key, outcome, wants)
            settled = take_or_close(self.repository, outcome.value, closed, take, of=str(own.record.buildpack))
            if settled is not None:
                return settled
        raise CacheError(f"{MOST_GENERATIONS} records of {own.record.buildpack} are broken", where=self.name)

    def find(self, key: Digest) -> StepRecord | None:
        """Return the record of a key as it is decided now."""
        decided = seen_of(self.repository.log.names(), key).decided
        return None if decided is None else fetch(self.repository, decided, key=key).record

    def replace(self, steps: Sequence[tuple[FinishedStep, Digest]]) -> list[Settled]:
        """Replace what several steps left by the records of these keys: all of them, or none."""
        names = self.repository.log.names()
        chosen: list[tuple[StepManifest, OwnStep]] = []
        outcomes = []
        for step, key in steps:
            seen = seen_of(names, key)
            if seen.decided is None:
                raise CacheError(f"has no record of {key}", where=self.name)
            outcomes.append(Outcome(seen.generation, seen.decided, 0))
            chosen.append((fetch(self.repository, seen.decided, key=key), read_own_step(step, self.places)))
        try:
            differing = adopt(self.repository, chosen, self.places, on_replace=self.on_replace)
        except BROKEN:
            for (_, key), (winner, _), outcome in zip(steps, chosen, outcomes, strict=True):
                if not self._is_whole(winner):
                    self.repository.log.append(Closed(key, outcome.generation).name)
            raise
        for outcome in outcomes:
            mark_used(self.repository.log, outcome.value, names)
        return [
            _settled(Fate.ADOPTED, winner, outcome, paths)
            for (winner, _), outcome, paths in zip(chosen, outcomes, differing, strict=True)
        ]

    def _is_whole(self, step: StepManifest) -> bool:
        """Say whether all that a record names is what it says."""
        try:
            for layer in step.record.layers:
                if layer.blob is not None and layer.diff_id is not None:
                    tar = decompressed(self.repository.blob(layer.blob), where=self.name, limit=layer.size or 0)
                    for _ in verified(tar, digest=layer.diff_id, size=layer.size, where=self.name):
                        pass
            for file in step.files.values():
                for _ in self.repository.blob(file):
                    pass
        except BROKEN:
            return False
        return True

    def _outcome(self, own: OwnStep, key: Digest, snapshot: frozenset[str], sent: list[int]) -> Outcome | Settled:
        """Return which record is decided; ``Settled`` where it is our own."""
        log = self.repository.log
        seen, names = look(log, key, snapshot)
        if seen.decided is not None:
            mark_used(log, seen.decided, names)
            return Outcome(seen.generation, seen.decided, 0)
        work_dir = Path(tempfile.mkdtemp(prefix="publishing-", dir=self.work_dir))
        try:
            mine, open_blob = own.packed(work_dir)
            record = mine.publication
            sent.append(publish(self.repository, record, open_blob, before_record=partial(announce, log)))
            outcome = propose(log, key, record.digest, names=names, check=partial(check_not_going, record.digest))
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)
        if outcome.value != record.digest:
            mark_used(log, outcome.value, names)
            return outcome
        self._offer(mine, names)
        return _settled(Fate.WON, mine, outcome)

    def _offer(self, step: StepManifest, names: frozenset[str]) -> None:
        """Let other commits begin with a step, numbered after those of ``names``; if that fails, with an older one."""
        group = group_of(hint_of(step.record))
        try:
            tags = map(read_tag, names)
            versions = [tag.version for tag in tags if isinstance(tag, Hint) and tag.group == group]
            self.repository.log.append(Hint(group, 1 + max(versions, default=0), step.publication.digest).name)
        except (CacheError, ImageError) as error:
            _LOG.debug("no hint: %s", error)

    def _take(
        self, own: OwnStep, key: Digest, outcome: Outcome, wants: Callable[[StepRecord, StepRecord], bool]
    ) -> Settled:
        winner = fetch(self.repository, outcome.value, key=key)
        if winner.contents() == own.record and winner.files == own.files:
            return _settled(Fate.KNOWN, winner, outcome)
        if not wants(winner.record, own.record):
            return _settled(Fate.REFUSED, winner, outcome)
        if winner.record.app_after != own.record.app_after:
            raise CacheError(
                "was made by a step that left another app directory, which records do not hold",
                where=f"{self.name}@{outcome.value}",
            )
        (paths,) = adopt(self.repository, [(winner, own)], self.places, on_replace=self.on_replace)
        return _settled(Fate.ADOPTED, winner, outcome, paths)


def hint_of(record: StepRecord) -> Digest:
    """Return the digest of what another step has to have in common with this one to begin with its layers."""
    facts = record.facts
    target = {"os": facts.os, "arch": facts.arch, "variant": facts.variant}
    distro = {"distro": facts.distro, "distro-version": facts.distro_version}
    paths = {"layers": facts.layers_dir}
    return hint_key(record.buildpack.id, target=target | distro, exec_env=facts.exec_env, paths=paths)


def _settled(fate: Fate, step: StepManifest, outcome: Outcome, differing: tuple[str, ...] = ()) -> Settled:
    return Settled(
        fate=fate,
        record=step.record,
        digest=outcome.value,
        generation=outcome.generation,
        failures=outcome.failures,
        differing=differing,
    )
