"""Running what buildpacks bring: bin/detect, bin/build, bin/generate.

Spec: buildpack.md "Buildpack Interface": standard input is empty, standard output and error are both the user's.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Command:
    """A process to run: ``argv[0]`` is a path, ``env`` the whole environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]


class Runner(Protocol):
    """Runs a command to its end and gives its exit status; ``output`` gets what it prints, as it prints it."""

    def __call__(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Return 0 to 255, or minus the number of the signal that ended it.

        Raises ``LifecycleError`` if it can't start.
        """
        ...


def run_process(command: Command, *, output: Callable[[bytes], None]) -> int:
    """Run ``command`` on this host; the ``Runner`` of real builds.

    Returns after every holder of the output pipe has closed it, so nothing that a background child prints is lost.
    """
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise LifecycleError(
            f"can't be started: {os.strerror(error.errno or 0)}",
            where=command.argv[0],
            remedy="make it executable and check the interpreter on its first line",
        ) from error
    with process:
        stream = process.stdout
        if stream is None:
            raise AssertionError
        while chunk := os.read(stream.fileno(), _CHUNK):
            output(chunk)
    return process.returncode
