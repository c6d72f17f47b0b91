"""How this program starts itself."""

from __future__ import annotations

import sys


def own_command() -> tuple[str, ...]:
    """Return what started this program, without its arguments."""
    given = len(sys.argv) - 1
    return tuple(sys.orig_argv[: len(sys.orig_argv) - given])
