"""How builders agree on one record for a key: Paxos over tags that are written once.

A proposer opens a ballot (``p``), looks whether it is the highest, votes (``a``) for the record that the highest vote
is for or else its own, looks again, and writes the outcome (``d``).  A vote is fixed before it is written, from a
listing that began after the ballot was acknowledged.  If another decided at a lower ballot, its last listing did not
have our ballot, so its vote was acknowledged before our listing began, and we carry its record on.  Clocks, pauses,
late writes and crashes do not enter into this: all they do is to add names that are on their way.

Pure: ``action`` says what to do next and ``after`` what follows from it, so that registries, directories and the
model checker of the tests run the very same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto, unique
from typing import TYPE_CHECKING, Literal, assert_never

from lifecycle.cache.distributed.tags import Accept, Ballot, Decided, Prepare, Seen, seen_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.oci.digest import Digest


@unique
class Step(Enum):
    """Where a proposer is."""

    LOOK = auto()
    PREPARE = auto()
    CHECK_BALLOT = auto()
    ACCEPT = auto()
    CHECK_VOTE = auto()
    DECIDE = auto()
    CLAIM = auto()
    WAIT = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class Proposal:
    """``proposer`` would have ``value``, whose blobs and ``r`` tag are stored, as the record of ``key``.

    The name of a proposer is never used again: a process that was restarted is another one.  ``claims`` says that the
    place of the tags decides itself who was first; ``least`` is the lowest ballot, which a lock gave.
    """

    key: Digest
    value: Digest
    proposer: str
    claims: bool = False
    least: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """A proposer on its way; ``value`` is what it votes for or what was decided.

    ``waited_for`` is the ballot that it gave time to finish, ``failures`` counts the ballots that others overtook.
    """

    proposal: Proposal
    step: Step = Step.LOOK
    generation: int = 0
    ballot: Ballot | None = None
    value: Digest | None = None
    waited_for: Ballot | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Put:
    """Write this name, and repeat it until it is acknowledged."""

    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for ``value`` to be the record of the key in this generation; the answer is the record that is."""

    generation: int
    value: Digest


@dataclass(frozen=True, slots=True)
class Pause:
    """Let others finish; the more ``failures``, the longer."""

    failures: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``value`` is the record of the key in this ``generation``, for everybody and for ever."""

    generation: int
    value: Digest
    failures: int


Listing = Literal["list"]
LIST: Listing = "list"
Action = Put | Claim | Listing | Pause | Outcome


def action(state: State) -> Action:
    """Return what to do next."""
    key, generation, ballot, value = state.proposal.key, state.generation, state.ballot, state.value
    match state.step:
        case Step.LOOK | Step.CHECK_BALLOT | Step.CHECK_VOTE:
            return LIST
        case Step.WAIT:
            return Pause(state.failures)
        case Step.CLAIM:
            return Claim(generation, state.proposal.value)
        case Step.PREPARE if ballot is not None:
            return Put(Prepare(key, generation, ballot).name)
        case Step.ACCEPT if ballot is not None and value is not None:
            return Put(Accept(key, generation, ballot, value).name)
        case Step.DECIDE if value is not None:
            return Put(Decided(key, generation, value).name)
        case Step.DONE if value is not None:
            return Outcome(generation, value, state.failures)
    raise AssertionError(f"a proposer can't be at {state.step} with ballot {ballot} and value {value}")


def after(state: State, names: Iterable[str] = ()) -> State:
    """Return the state after the action was done; ``names`` is the listing, if it was one."""
    match state.step:
        case Step.PREPARE:
            return replace(state, step=Step.CHECK_BALLOT)
        case Step.ACCEPT:
            return replace(state, step=Step.CHECK_VOTE)
        case Step.DECIDE:
            return replace(state, step=Step.DONE)
        case Step.WAIT:
            return replace(state, step=Step.LOOK)
        case Step.DONE | Step.CLAIM:
            return state
        case Step.LOOK | Step.CHECK_BALLOT | Step.CHECK_VOTE:
            return _informed(state, seen_of(names, state.proposal.key))
    assert_never(state.step)


def claimed(state: State, value: Digest) -> State:
    """Return the state of a proposer that was told which record is the first."""
    return replace(state, step=Step.DECIDE, value=value)


def _informed(state: State, seen: Seen) -> State:
    """Return what a proposer does next who sees this."""
    if seen.decided is not None:
        return replace(state, step=Step.DONE, generation=seen.generation, value=seen.decided)
    if state.step is Step.LOOK:
        return _start(state, seen)
    again = replace(state, ballot=None, value=None, failures=state.failures + 1)
    if seen.generation != state.generation:
        return replace(again, step=Step.LOOK)
    if not _leads(state, seen):
        return replace(again, step=Step.WAIT, waited_for=seen.top)
    if state.step is Step.CHECK_BALLOT:
        return replace(state, step=Step.ACCEPT, value=seen.vote or state.proposal.value)
    return replace(state, step=Step.DECIDE)


def _leads(state: State, seen: Seen) -> bool:
    """Say whether nobody opened a higher ballot; a listing without what was acknowledged proves nothing."""
    ballot, value = state.ballot, state.value
    if ballot is None or seen.top != ballot:
        return False
    return value is None or Accept(state.proposal.key, state.generation, ballot, value) in seen.accepts


def _start(state: State, seen: Seen) -> State:
    top, me = seen.top, state.proposal.proposer
    if state.proposal.claims:
        return replace(state, step=Step.CLAIM, generation=seen.generation)
    if top is not None and top.proposer != me and top != state.waited_for:
        return replace(state, step=Step.WAIT, waited_for=top)
    ballot = Ballot(max(state.proposal.least, 1 if top is None else top.number + 1), me)
    return replace(state, step=Step.PREPARE, generation=seen.generation, ballot=ballot)
