"""When a request is worth another try, and when to send it.

Spec: RFC 9110 "Retry-After"; OCI distribution-spec gives no rule of its own.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be gone the next time; every other one is the registry's last word."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as this package asks for it: ``monotonic`` and ``wall`` give seconds, ``spread`` gives 0 to 1.

    The system's random numbers keep forks of one process from trying again at the same moments.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[], float] = random.SystemRandom().random


SYSTEM_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long one thing is tried; times in seconds.

    ``tries_unreached`` holds for a host that has never answered: a wrong name or a closed port should not take
    long to be noticed, while a registry that was there a moment ago may be restarting.
    """

    tries: int = 6
    tries_unreached: int = 3
    first_delay: float = 0.4
    growth: float = 2.5
    longest_delay: float = 20.0
    longest_retry_after: float = 90.0
    total: float = 300.0

    def delay(self, failures: int, spread: float) -> float:
        """Return the wait after so many failures: exponential, and up to half of it left to chance."""
        full = min(self.longest_delay, self.first_delay * self.growth ** (failures - 1))
        return full * (1 - spread / 2)


@dataclass(slots=True)
class Attempts:
    """The tries of one thing under a policy."""

    policy: RetryPolicy
    clock: Clock
    failures: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    def wait(self, *, retry_after: float | None = None, reached: bool = True) -> bool:
        """Wait before the next try, or say ``False`` if there is none: too many, or not within the bounds."""
        self.failures += 1
        if self.failures >= (self.policy.tries if reached else min(self.policy.tries_unreached, self.policy.tries)):
            return False
        delay = self.policy.delay(self.failures, self.clock.spread())
        if retry_after is not None:
            if retry_after > self.policy.longest_retry_after:
                return False
            delay = max(delay, retry_after)
        if self.clock.monotonic() - self.started + delay > self.policy.total:
            return False
        self.clock.sleep(delay)
        return True

    def transferred(self) -> None:
        """Leave the time so far out of the bound: it went into bytes that moved, and a large layer takes its time."""
        self.started = self.clock.monotonic()

    def progress(self) -> None:
        """Start counting anew: bytes have moved, so that a long transfer may break more often than a short one."""
        self.failures = 0
        self.started = self.clock.monotonic()


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, ``None`` if there is none or it is unreadable.

    ``value`` is a number of seconds or an HTTP date; ``now`` is the wall clock in seconds.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
