"""Carries out the protocol of ``consensus`` on a log of tags."""

from __future__ import annotations

import secrets
import string
import time
from typing import TYPE_CHECKING, assert_never

from lifecycle.cache.distributed.consensus import (
    Claim,
    Outcome,
    Pause,
    Proposal,
    Put,
    State,
    Step,
    action,
    after,
    claimed,
)
from lifecycle.cache.distributed.tag_log import DecidingLog, LockingLog
from lifecycle.cache.distributed.tags import MARKS, PROPOSER_LENGTH, SYNC_CAS, Prepare, read_tag
from lifecycle.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from lifecycle.cache.distributed.tag_log import TagLog
    from lifecycle.oci.digest import Digest

MOST_FAILURES = 100
"""After how many ballots that others overtook a builder goes on without an outcome."""

_LETTERS = string.ascii_letters + string.digits
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0


def check_way(names: Container[str], own: str = "") -> None:
    """Raise ``CacheError`` where builders agree in another way than by the tags of this listing, or by ``own``."""
    for mark, way in MARKS.items():
        if mark in names and mark != own:
            raise CacheError(f"other builders use {way} here", remedy=f"add {way}, or use another cache")


def check_no_votes(names: frozenset[str], own: str, *, where: str) -> None:
    """Raise ``CacheError`` as ``check_way``, or where builders have voted, which the way of ``own`` would overrule."""
    check_way(names, own)
    if any(isinstance(read_tag(name), Prepare) for name in names):
        raise CacheError(
            f"builders have voted here, which {MARKS[own]} would overrule",
            where=where,
            remedy="use sync=tags, or another repository",
        )


def new_proposer() -> str:
    """Return a name that no other process has, nor this one had before."""
    return "".join(secrets.choice(_LETTERS) for _ in range(PROPOSER_LENGTH))


def propose(
    log: TagLog,
    key: Digest,
    value: Digest,
    *,
    pause: Callable[[int], None] | None = None,
    names: frozenset[str] | None = None,
    check: Callable[[frozenset[str]], None] = lambda _: None,
) -> Outcome:
    """Return the record of ``key``: ``value``, or the one that others agreed on before.

    ``pause`` waits after so many failures; ``names`` is a listing, of however long ago, to begin with.  ``check`` sees
    a listing before ``value`` may become the outcome, and raises what stands against that.  Raises ``CacheError``
    after ``MOST_FAILURES``, and what ``log`` raises.
    """
    if isinstance(log, LockingLog):
        with log.holding(key) as least:
            return _propose(log, State(Proposal(key, value, new_proposer(), least=least)), pause or _pause, check)
    is_deciding = isinstance(log, DecidingLog)
    state = State(Proposal(key, value, new_proposer(), claims=is_deciding))
    # Before a claim there is no other listing that could be checked.
    known = names is not None and not is_deciding
    return _propose(log, after(state, names or ()) if known else state, pause or _pause, check)


def _propose(
    log: TagLog, state: State, pause: Callable[[int], None], check: Callable[[frozenset[str]], None]
) -> Outcome:
    while state.failures <= MOST_FAILURES:
        match action(state):
            case Put(name):
                log.append(name)
                state = after(state)
            case "list":
                found = log.names()
                check_way(found, SYNC_CAS if isinstance(log, DecidingLog) else "")
                if state.step is not Step.CHECK_VOTE:
                    check(found)
                state = after(state, found)
            case Pause(failures):
                pause(failures)
                state = after(state)
            case Claim(generation, value):
                assert isinstance(log, DecidingLog)  # noqa: S101  # a proposal claims only there
                state = claimed(state, log.first(state.proposal.key, generation, value))
            case Outcome() as outcome:
                return outcome
            case never:
                assert_never(never)
    raise CacheError(
        f"{MOST_FAILURES} tries to agree with other builders were overtaken", remedy="let fewer builds start at once"
    )


def _pause(failures: int) -> None:
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failures)
    time.sleep(longest * (0.5 + secrets.randbelow(1000) / 1000))
