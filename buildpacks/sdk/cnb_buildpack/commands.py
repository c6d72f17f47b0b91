"""Running programs with their output in the build log."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    Word = str | PathLike[str]


class CommandError(BuildpackError):
    """A program could not start or did not succeed; ``status`` is as ``subprocess`` tells it, -1 without a start."""

    def __init__(self, message: str, *, status: int, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.status = status


def run(
    command: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    name: str | None = None,
    fix: str | None = None,
) -> None:
    """Run a program to its end; what it prints appears indented, line by line.

    Raises ``CommandError``, with ``fix``, unless it succeeds; it calls the program ``name`` if that is given, and does
    not tell its arguments, which may be secret.
    """
    try:
        process = subprocess.Popen(
            [os.fspath(word) for word in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise _not_started(command, error) from error
    with process:
        for line in process.stdout or ():
            print(f"  {line.rstrip()}")
    if process.returncode:
        raise CommandError(
            f"{name or Path(command[0]).name} {_ending(process.returncode)}: see its output above",
            status=process.returncode,
            fix=fix,
        )


def capture(
    command: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    name: str | None = None,
    fix: str | None = None,
) -> str:
    """Return what a program prints on standard output, without the last line end.

    Raises ``CommandError`` with the last line of standard error unless it succeeds; ``name`` and ``fix`` as in ``run``.
    """
    try:
        done = subprocess.run(
            [os.fspath(word) for word in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise _not_started(command, error) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        raise CommandError(
            f"{name or Path(command[0]).name} {_ending(done.returncode)}{said}", status=done.returncode, fix=fix
        )
    return done.stdout.removesuffix("\n")


def _not_started(command: Sequence[Word], error: OSError) -> CommandError:
    return CommandError(
        f"{os.fspath(command[0])} can't be started: {error.strerror}",
        status=-1,
        fix="check that the build image has it",
    )


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}"
    return f"was ended by {signal.Signals(-status).name}"
