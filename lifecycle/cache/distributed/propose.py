"""Carries out the protocol of ``consensus`` on a log of tags."""

from __future__ import annotations

import secrets
import string
import time
from typing import TYPE_CHECKING, assert_never

from lifecycle.cache.distributed.consensus import Outcome, Pause, Proposal, Put, State, action, after
from lifecycle.cache.distributed.tags import PROPOSER_LENGTH
from lifecycle.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cache.distributed.tag_log import TagLog
    from lifecycle.oci.digest import Digest

MOST_FAILURES = 100
"""After how many ballots that others overtook a builder goes on without an outcome."""

_LETTERS = string.ascii_letters + string.digits
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0


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
) -> Outcome:
    """Return the record of ``key``: ``value``, or the one that others agreed on before.

    ``pause`` waits after so many failures; ``names`` is a listing to begin with.  Raises ``CacheError`` after
    ``MOST_FAILURES``, and what ``log`` raises.
    """
    state = State(Proposal(key, value, new_proposer()))
    if names is not None:
        state = after(state, names)
    while state.failures <= MOST_FAILURES:
        match action(state):
            case Put(name):
                log.append(name)
                state = after(state)
            case "list":
                state = after(state, log.names())
            case Pause(failures):
                (pause or _pause)(failures)
                state = after(state)
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
