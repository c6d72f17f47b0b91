"""How long things took, in the debug log.  Reference: log/timelog.go, whose lines platforms can parse."""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000_000
_SMALL = ((1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Log when a block, or a function that it decorates, begins and ends."""
    start = time.monotonic_ns()
    _LOG.debug("Timer: %s started at %s", name, _now())
    try:
        yield
    finally:
        _LOG.debug("Timer: %s ran for %s and ended at %s", name, duration(time.monotonic_ns() - start), _now())


def duration(nanoseconds: int) -> str:
    """Write a duration as Go does: ``1h2m3.5s``, ``12.25ms``."""
    if not nanoseconds:
        return "0s"
    if nanoseconds < _SECOND:
        size, unit = next(each for each in _SMALL if nanoseconds >= each[0])
        return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{front}{_decimal(rest, _SECOND)}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).zfill(len(str(unit)) - 1).rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
