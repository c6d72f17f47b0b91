"""Running a program on the terminal of this one, for people."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def run_attached(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, interactive: bool = False
) -> int:
    """Run a program with the standard streams of this one and return its exit status.

    An ``interactive`` one has Ctrl-C for itself.  Raises ``LifecycleError`` if it can't start.
    """
    try:
        if not interactive:
            return subprocess.run(argv, cwd=cwd, env=env, check=False).returncode
        with _interrupts_are_not_ours():
            return subprocess.run(argv, cwd=cwd, env=env, check=False, preexec_fn=_take_interrupts).returncode
    except OSError as error:
        raise LifecycleError(f"can't be started: {error.strerror}", where=argv[0]) from error


@contextmanager
def _interrupts_are_not_ours() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _take_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
