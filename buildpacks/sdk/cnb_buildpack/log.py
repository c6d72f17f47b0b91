"""What a buildpack says while it works; the lifecycle passes it on as the build log.

Standard output is information, standard error warnings and errors.  Spec: buildpack.md "Buildpack Interface".
There is colour on a terminal, or where FORCE_COLOR asks for it, and never where NO_COLOR is set.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOLD, _YELLOW, _RED = "1", "33", "31"


def heading(text: str) -> None:
    """Say what the lines below are about."""
    print(_coloured(f"[{text}]", _BOLD, sys.stdout))


def info(text: str) -> None:
    """Say something."""
    print(text)


def step(text: str) -> None:
    """Say what is done next, below a heading."""
    print(f"  {text}")


def warning(text: str) -> None:
    """Say what a user should know though the build goes on."""
    print(_coloured(f"warning: {text}", _YELLOW, sys.stderr), file=sys.stderr)


def error(text: str) -> None:
    """Say why the build ends."""
    print(_coloured(text, _RED, sys.stderr), file=sys.stderr)


def debug(text: str) -> None:
    """Say something to those who debug."""
    if is_debug():
        print(text)


def is_debug() -> bool:
    """Tell whether BP_LOG_LEVEL=debug or CNB_DEBUG asks for details."""
    return os.environ.get("BP_LOG_LEVEL", "").lower() == "debug" or os.environ.get("CNB_DEBUG", "") not in {"", "0"}


@contextmanager
def timed(text: str) -> Iterator[None]:
    """Say what the block does, and afterwards how long it took."""
    info(text)
    start = time.monotonic()
    yield
    info(f"  done in {time.monotonic() - start:.1f} s")


def _coloured(text: str, colour: str, stream: TextIO) -> str:
    wanted = stream.isatty() or bool(os.environ.get("FORCE_COLOR"))
    return f"\033[{colour}m{text}\033[0m" if wanted and not os.environ.get("NO_COLOR") else text
