"""What a build and a distributed cache tell each other of one step."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.images.store import ReusedLayer
    from lifecycle.model.cached_step import StepFacts
    from lifecycle.model.group import GroupElement
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import Digest


@unique
class Fate(StrEnum):
    """What became of the outputs of a step."""

    WON = "won"
    """They are the record of their key."""
    KNOWN = "known"
    """The record of their key was there, and equals them."""
    ADOPTED = "adopted"
    """They gave way to another builder's."""
    UNPUBLISHED = "unpublished"
    """They stayed with this builder."""
    REFUSED = "refused"
    """They stayed, for whoever asked does not want the record of their key, which differs from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStep:
    """A step whose ``bin/build`` has ended, and of which nobody has read anything yet.

    ``inputs`` are the digests that ``key`` consists of, both empty where the step may have none; ``environment`` is
    what the step started from, ``app_after`` the digest of the app directory now.  ``environment_after`` is the digest
    of what the step makes of the environment, where that is known already.  ``reused`` are the layers, by name, of
    which a buildpack may have left the metadata only.
    """

    buildpack: GroupElement
    directory: Path
    key: Digest | None
    inputs: Mapping[str, Digest]
    environment: Mapping[str, str]
    app_after: Digest
    facts: StepFacts
    environment_after: Digest | None = None
    reused: Mapping[str, ReusedLayer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a step has come to: ``record`` says what lies in the directory of the buildpack now.

    ``digest`` is that of the published record, ``""`` if there is none; ``failures`` counts tries to agree that others
    overtook, ``differing`` has the paths in which this builder's outputs differed from the record, and ``reason`` says
    why they stayed unpublished.  ``uploaded`` are the bytes that were sent, ``seconds`` is what it took.
    """

    fate: Fate
    record: StepRecord
    digest: Digest | str = ""
    generation: int = 0
    failures: int = 0
    differing: tuple[str, ...] = ()
    reason: str = ""
    uploaded: int = 0
    seconds: float = 0.0


def wants_any(_winner: StepRecord, _own: StepRecord) -> bool:
    """Want whatever other builders agreed on."""
    return True


class SharedSteps(Protocol):
    """A cache in which builders agree on the outputs of each step."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    def read(self, step: FinishedStep) -> StepRecord:
        """Return what a step left; raise ``LifecycleError`` for what can't be read."""
        ...

    def settle(self, step: FinishedStep, *, wants: Callable[[StepRecord, StepRecord], bool] = wants_any) -> Settled:
        """Publish what a step with a key left, or replace it by the record of that key.

        Nothing is replaced by a record that the caller, who sees it beside our own, does not want.
        Raises ``LifecycleError``, after which the outputs are as they were.
        """
        ...

    def find(self, key: Digest) -> StepRecord | None:
        """Return the record of a key as it is decided now; raise ``LifecycleError`` if it can't be had."""
        ...

    def replace(self, steps: Sequence[tuple[FinishedStep, Digest]]) -> list[Settled]:
        """Replace what several steps left by the records of these keys: all of them, or none.

        Raises ``LifecycleError``, after which the outputs are as they were.
        """
        ...
