"""Running what buildpacks bring: bin/detect, bin/build, bin/generate.

Spec: buildpack.md "Buildpack Interface": standard input is empty, standard output and error are both the user's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import LifecycleError
from lifecycle.files.regular_file import NotAFileError, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CHUNK = 1 << 16
_FIRST_LINE = 256
_ELF = b"\x7fELF"
_GRACE = 5.0
"""Seconds that a process has to tidy up before it is killed."""
_LOOK_EVERY = 200
"""Milliseconds between looks at a process that prints nothing."""


@dataclass(frozen=True, slots=True)
class ProcessUser:
    """Who runs a process that root starts: numbers, and the supplementary groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A process to run: ``argv[0]`` is a path, ``env`` the whole environment.

    Without ``user`` it is this process's own.  With ``leaves_nothing`` what it left running ends with it.
    ``enters`` is called by the new process before the program, which may run in another process that it waits for;
    only a process of one thread can give it.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    user: ProcessUser | None = None
    leaves_nothing: bool = False
    enters: Callable[[], None] | None = None


class RunningProcess(Protocol):
    """A process that leads a group of its own."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status; raise ``TimeoutError`` or ``TimeoutExpired`` after so many seconds."""
        ...


class Runner(Protocol):
    """Runs a command to its end and gives its exit status; ``output`` gets what it prints, as it prints it."""

    def __call__(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Return 0 to 255, or minus the number of the signal that ended it.

        Raises ``LifecycleError`` if it can't start.
        """
        ...


def ending(status: int) -> str:
    """Say how a process ended that gave ``status``: the words after its name in a sentence."""
    if status >= 0:
        return f"exited with status {status}"
    name = signal.strsignal(-status)
    return f"was killed by signal {-status}" + (f" ({name})" if name else "")


class RunningProcesses:
    """The processes of ``run_process``, in whatever threads, for the signal that ends this program."""

    def __init__(self) -> None:
        self._processes: set[RunningProcess] = set()
        self.ending = False

    def end(self) -> None:
        """Ask all of them and their children to end, kill them soon, and let no other start.

        Takes no lock, so a signal handler may call it.
        """
        self.ending = True
        self._signal(signal.SIGTERM)
        killer = threading.Timer(_GRACE, self.kill)
        killer.daemon = True
        killer.start()

    def kill(self) -> None:
        """Kill all of them and their children."""
        self.ending = True
        self._signal(signal.SIGKILL)

    @contextlib.contextmanager
    def running(self, process: RunningProcess) -> Iterator[None]:
        """Count ``process`` in; whatever ends the block early ends it too."""
        self._processes.add(process)
        try:
            yield
        except BaseException:
            _send(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired, TimeoutError):
                process.wait(_GRACE)
            # Its children may be there still.
            _send(process, signal.SIGKILL)
            raise
        finally:
            self._processes.discard(process)

    def _signal(self, number: int) -> None:
        for process in tuple(self._processes):
            _send(process, number)


RUNNING = RunningProcesses()


def _send(process: RunningProcess, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, number)


def run_process(command: Command, *, output: Callable[[bytes], None]) -> int:
    """Run ``command`` on this host; the ``Runner`` of real builds.

    Returns after every holder of the output pipe has closed it, so nothing that a background child prints is lost.
    The process leads a session of its own: it can be ended with its children, and can't ask on this terminal.
    """
    if RUNNING.ending:
        raise LifecycleError("is not started any more", where=command.argv[0])
    user = command.user
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else user.groups,
            preexec_fn=command.enters,  # noqa: PLW1509  # given by processes of one thread only
        )
    except subprocess.SubprocessError as error:
        raise LifecycleError("can't be started where it has to run, see above", where=command.argv[0]) from error
    except OSError as error:
        raise LifecycleError(
            f"can't be started: {os.strerror(error.errno or 0)}",
            where=command.argv[0],
            remedy=_remedy(Path(command.argv[0]), error),
        ) from error
    with process, RUNNING.running(process):
        stream = process.stdout
        if stream is None:
            raise AssertionError
        _pass_on(process, stream.fileno(), output, leaves_nothing=command.leaves_nothing)
    return process.returncode


def _remedy(path: Path, error: OSError) -> str:
    """Return what to do about an executable that the system doesn't start."""
    try:
        with open_regular(path) as file:
            first = file.readline(_FIRST_LINE)
    except NotAFileError:
        return "it is no file: put an executable file in its place"
    except FileNotFoundError:
        return "the file is missing"
    except OSError:
        first = b""
    if error.errno == errno.EACCES:
        return "make it executable: chmod +x" if not os.access(path, os.X_OK) else "check the interpreter that it names"
    if first.startswith(_ELF):
        return "it is a program for other machines, or for another C library"
    if not first.startswith(b"#!"):
        return "begin it with a line that names an interpreter, such as #!/bin/sh"
    if first.endswith(b"\r\n"):
        return "its first line ends in CR LF: save it with Unix line ends"
    interpreter = os.fsdecode(first[2:].split()[0]) if first[2:].split() else ""
    return f"its first line names the interpreter {interpreter!r}, which is not there"


def _pass_on(
    process: subprocess.Popen[bytes], stream: int, output: Callable[[bytes], None], *, leaves_nothing: bool
) -> None:
    """Pass on what is printed until nobody can print any more; what ``leaves_nothing`` has its children killed then.

    It waits in steps, between which Python handles signals: one that comes just before a wait does not end it.
    """
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    ended = False
    while (readable := poll.poll(_LOOK_EVERY)) or not ended:
        if readable:
            chunk = os.read(stream, _CHUNK)
            if not chunk:
                break
            output(chunk)
        elif leaves_nothing and process.poll() is not None:
            _send(process, signal.SIGKILL)
            ended = True
    if leaves_nothing:
        process.wait()
        _send(process, signal.SIGKILL)
