"""Durations as Go programs read them: ``336h``, ``1h30m``, ``1.5s``, ``100ms``."""

from __future__ import annotations

import re

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART = r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)"
_WHOLE = re.compile(rf"([+-]?)((?:{_PART})+)\Z", re.ASCII)
_EACH = re.compile(r"([0-9.]+)([a-zµμ]+)")
_LONGEST = (2**63 - 1) / 1e9


def parse_duration(text: str) -> float | None:
    """Return a duration in seconds; ``None`` for what is none or beyond 292 years."""
    if text.lstrip("+-") == "0":
        return 0.0
    match = _WHOLE.match(text)
    if match is None:
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _EACH.findall(match[2]))
    if seconds > _LONGEST:
        return None
    return -seconds if match[1] == "-" else seconds
