"""A part of this program in a process of its own, so that what it does to itself ends with it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from lifecycle.errors import LifecycleError
from lifecycle.executables.mounts import libc
from lifecycle.executables.process import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_FAILED = 1


def end_with_parent(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when the one that made it ends."""
    parent = os.getppid()
    libc().prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def run_forked(function: Callable[[], None]) -> None:
    """Call ``function`` in a copy of this process, and raise the ``LifecycleError`` that it raised.

    The copy has one thread, and a session of its own: signals reach it through this process.
    """
    reader, writer = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_child(function, writer)
    os.close(writer)
    child = _Child(pid)
    with RUNNING.running(child), os.fdopen(reader, "rb") as stream:
        answer = stream.read()
        status = child.wait()
    if answer:
        told = json.loads(answer)
        raise LifecycleError(told["message"], where=told["where"], remedy=told["remedy"])
    if status != 0:
        raise RuntimeError(f"a process of this program ended with status {status}")


def _be_child(function: Callable[[], None], writer: int) -> NoReturn:
    code = _FAILED
    try:
        os.setsid()
        end_with_parent(signal.SIGTERM)
        function()
        code = 0
    except LifecycleError as error:
        told = {"message": error.message, "where": error.where, "remedy": error.remedy}
        os.write(writer, json.dumps(told).encode())
    except SystemExit:
        pass  # a signal, which the parent had too
    except BaseException:  # noqa: BLE001  # the copy has no caller
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


@dataclass(slots=True, eq=False)
class _Child:
    """A process that was forked, in the words of ``subprocess``."""

    pid: int
    _status: int | None = field(default=None)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status, or minus the signal that ended it; raise ``TimeoutError`` after so many seconds."""
        if self._status is None:
            with os.fdopen(os.pidfd_open(self.pid)) as handle:
                if not select.select([handle], [], [], timeout)[0]:
                    raise TimeoutError
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status
