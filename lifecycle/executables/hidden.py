"""What this process knows stays its own, also from programs that it runs as the same user."""

from __future__ import annotations

import contextlib
import os

from lifecycle.errors import LifecycleError
from lifecycle.executables.capabilities import limit_programs
from lifecycle.executables.mounts import libc

_PR_SET_DUMPABLE = 4


def hide_from_programs() -> None:
    """Keep environment, memory and open files of this process from the programs that it runs from now on.

    Programs of root get no rights with which they could look all the same, into this process or into those above it
    that have more rights than a container.  To be called again when this process has become another user.
    Reference: ptrace(2), "Ptrace access mode checking".
    """
    libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.geteuid() == 0:
        # Where root may drop nothing, it has nothing of that kind.
        with contextlib.suppress(LifecycleError):
            limit_programs()
