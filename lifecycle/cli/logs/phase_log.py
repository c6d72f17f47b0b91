"""The log of the phase executables, whose prefixes and colours platforms know.

Everything goes to standard output.  Reference: cmd/logs; ADR 0001 says why not the stream of the specification.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from lifecycle.cli.logs.ansi import PlainOutput, plain
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


class _PhaseFormatter(logging.Formatter):
    def __init__(self, *, color: bool) -> None:
        super().__init__("%(message)s")
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).rstrip("\n")
        text = text if self._color else plain(text)
        if record.levelno >= logging.ERROR:
            return self._paint("31;1", "ERROR: ") + text
        if record.levelno >= logging.WARNING:
            return self._paint("33;1", "Warning: ") + text
        if text.startswith("===> "):
            return self._paint("36", text)
        return text

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def parse_level(text: str) -> int:
    """Read ``-log-level``; raise ``LifecycleError`` naming the levels."""
    level = _LEVELS.get(text.lower())
    if level is None:
        raise LifecycleError(
            f"failed to parse log level: not a valid logrus Level: {text!r}", remedy=f"use one of {', '.join(_LEVELS)}"
        )
    return level


def start_log(*, level: int, color: bool) -> None:
    """Send the log of the package to standard output."""
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(_PhaseFormatter(color=color))
    root = logging.getLogger("lifecycle")
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(stream)
    root.setLevel(level)
    root.propagate = False


def raw_output(*, color: bool) -> Callable[[bytes], None]:
    """Return where buildpacks' output goes: standard output as it is, or without ANSI sequences."""
    without_sequences = PlainOutput()

    def write(chunk: bytes) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(chunk if color else without_sequences(chunk))
        sys.stdout.buffer.flush()

    return write
