"""Where the layers of a build came from, and why not from elsewhere.

The tables ``[cache]`` of report.toml and of ``<layers>/cache-snapshot.toml``, which the restorer leaves for the
exporter; also as JSON.  They are ours: no specification has them.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum, unique
from typing import Any

from pydantic import Field

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.oci.gojson import Struct

_SHOWN = 10
_SHORT = len("sha256:") + 12
_OUTCOMES = {
    "won": "what it made is now everybody's",
    "known": "it made what the others have",
    "adopted": "another builder was first, whose outputs take the place of its own",
}


@unique
class CacheAction(StrEnum):
    """What became of a layer."""

    RESTORED = "restored"
    METADATA_ONLY = "metadata-only"
    MOUNTED = "mounted"
    ADOPTED = "adopted"
    REBUILT = "rebuilt"
    REJECTED = "rejected"


class SourceRow(SpecModel):
    """One source: ``index`` counts from 1; ``name`` has its digest, ``spec`` is what the user wrote, redacted."""

    index: int
    spec: str = ""
    kind: str = ""
    name: str = ""
    digest: str = ""
    status: str
    error: str = ""

    def struct(self) -> Struct:
        """Return the table, without what is empty."""
        return _present(
            index=self.index,
            spec=self.spec,
            kind=self.kind,
            name=self.name,
            digest=self.digest,
            status=self.status,
            error=self.error,
        )


class LayerRow(SpecModel):
    """One layer: ``source`` is that of its buildpack, ``origin`` that of its bytes; ``bytes`` are those of its blob."""

    buildpack: str
    layer: str
    action: str
    match: str = ""
    source: int = 0
    origin: int = 0
    diff_id: str = ""
    bytes: int = 0
    reason: str = ""

    @property
    def id(self) -> str:
        """How messages call the layer."""
        return f"{self.buildpack}:{self.layer}"

    def struct(self) -> Struct:
        """Return the table, without what is empty."""
        return _present(
            buildpack=self.buildpack,
            layer=self.layer,
            action=self.action,
            match=self.match,
            source=self.source,
            origin=self.origin,
            **{"diff-id": self.diff_id},
            bytes=self.bytes,
            reason=self.reason,
        )


class PassedOverRow(SpecModel):
    """A source that a buildpack got nothing from, and why."""

    source: int
    reason: str


class StepRow(SpecModel):
    """One buildpack: the source of its layers (0: none) and why not the others; its key where that is known.

    ``record`` and ``record_key`` say of a shared cache which record the layers are of, and which key that is of.
    """

    buildpack: str
    source: int = 0
    match: str = ""
    key: str = ""
    record: str = ""
    record_key: str = ""
    passed_over: ListOf[PassedOverRow] = ()

    def preferred(self) -> tuple[PassedOverRow, ...]:
        """Return the sources that would have been preferred to the one chosen, with the reasons why they weren't."""
        return tuple(each for each in self.passed_over if not self.source or each.source < self.source)

    def struct(self) -> Struct:
        """Return the table, without what is empty."""
        passed = [Struct(source=each.source, reason=each.reason) for each in self.passed_over]
        return _present(
            buildpack=self.buildpack,
            source=self.source,
            match=self.match,
            key=self.key,
            record=self.record,
            **{"record-key": self.record_key, "passed-over": passed},
        )


class SettledRow(SpecModel):
    """One step in a cache that builders share: ``outcome`` is won, known, adopted or unpublished (and why).

    ``record`` is the digest that all builders have for this ``key`` and ``generation``; ``failures`` counts tries to
    agree that others overtook; ``differing`` are the paths in which what this builder made was not the record;
    ``uploaded`` are bytes that were sent, and ``seconds`` what settling the step took.
    """

    buildpack: str
    key: str = ""
    outcome: str
    record: str = ""
    generation: int = 0
    failures: int = 0
    differing: ListOf[str] = ()
    reason: str = ""
    uploaded: int = 0
    seconds: float = 0.0

    def told(self) -> str:
        """Return it as a line of a log."""
        if not self.record:
            return f"NOT SHARED {self.buildpack}: {self.reason}"
        said = f"{_OUTCOMES.get(self.outcome, self.outcome)} ({self.record[:_SHORT]})"
        shown = ", ".join(self.differing[:_SHOWN])
        more = len(self.differing) - _SHOWN
        differing = f", its own differed in {shown}{f' and {more} more' if more > 0 else ''}" if shown else ""
        return f"SHARED {self.buildpack}: {said}{differing}"

    def struct(self) -> Struct:
        """Return the table, without what is empty."""
        return _present(
            buildpack=self.buildpack,
            key=self.key,
            outcome=self.outcome,
            record=self.record,
            generation=self.generation,
            failures=self.failures,
            differing=list(self.differing),
            reason=self.reason,
            uploaded=self.uploaded,
            seconds=self.seconds,
        )


class CacheReport(SpecModel):
    """The table ``[cache]``; ``restore_seconds`` is what opening sources and restoring from them took."""

    source: ListOf[SourceRow] = ()
    step: ListOf[StepRow] = ()
    settled: ListOf[SettledRow] = ()
    layer: ListOf[LayerRow] = ()
    restore_seconds: float = 0.0

    def named(self, index: int) -> str:
        """Return how messages call a source: its number, name and digest."""
        row = next((each for each in self.source if each.index == index), None)
        return f"#{index}" if row is None else f"#{index} {row.name or row.spec}"

    def totals(self) -> Struct:
        """Return how many layers had which fate, the bytes that came back, were taken over or sent, and seconds."""
        counts = Counter(each.action for each in self.layer)
        fields = Struct({str(action): counts[action] for action in CacheAction if counts[action]})
        for name, action in (("bytes-restored", CacheAction.RESTORED), ("bytes-mounted", CacheAction.MOUNTED)):
            fields[name] = sum(each.bytes for each in self.layer if each.action == action)
        if self.settled:
            fields["bytes-uploaded"] = sum(each.uploaded for each in self.settled)
            fields["seconds-sharing"] = round(sum(each.seconds for each in self.settled), 3)
        if self.restore_seconds:
            fields["seconds-restoring"] = self.restore_seconds
        return fields

    def struct(self) -> Struct:
        """Return the table; empty arrays are left out."""
        return _present(
            source=[each.struct() for each in self.source],
            step=[each.struct() for each in self.step],
            settled=[each.struct() for each in self.settled],
            layer=[each.struct() for each in self.layer],
            **{"restore-seconds": self.restore_seconds},
            totals=self.totals(),
        )


class CacheSnapshot(SpecModel):
    """cache-snapshot.toml; ``lease`` is the name of that which the restorer has in the cache of ``-cache-repo``."""

    cache: CacheReport = Field(default_factory=CacheReport)
    lease: str = ""

    def struct(self) -> Struct:
        """Return the file's tables."""
        return Struct(_present(lease=self.lease), cache=self.cache.struct())


def _present(**fields: Any) -> Struct:
    return Struct({name: value for name, value in fields.items() if value not in ("", 0, [])})
