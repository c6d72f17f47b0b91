"""A slow server that all workers of a test run share: the first starts it, and it ends with the last.

A guard process holds it and waits until nobody has the file `users` locked, so that killed workers leave nothing.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

OWN_MOUNTS = ("unshare", "--mount", "--propagation", "slave")
"""What a command that mounts has before it: its mounts end with it, even if it is killed, and hold up no removal."""

_STARTS_WITHIN = 240.0
_SHOWN = 600


def run_directory(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return a directory that is the same for all workers of this run."""
    base = factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    directory.mkdir(exist_ok=True)
    return directory


@contextlib.contextmanager
def shared_process(directory: Path, command: Sequence[str], *, answers: Callable[[], bool]) -> Iterator[None]:
    """Let `command` run, once, until the last user leaves; skip the test where it does not come to answer.

    Its output goes to `directory`/log; `directory`/data is removed after it.
    """
    with _locked(directory / "users", fcntl.LOCK_SH):
        with _locked(directory / "starting", fcntl.LOCK_EX):
            if not answers():
                _start(directory, command, answers)
        yield


def _start(directory: Path, command: Sequence[str], answers: Callable[[], bool]) -> None:
    ended = directory / "ended"
    if not ended.exists():
        (directory / "data").mkdir(exist_ok=True)
        subprocess.run([sys.executable, __file__, directory, *command], check=True)
        until = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < until and not ended.exists():
            if answers():
                return
            time.sleep(0.05)
    text = (directory / "log").read_text(errors="replace")[-_SHOWN:]
    pytest.skip(f"{command[0]} does not start here: {text}")


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _guard(directory: Path, command: Sequence[str]) -> None:
    """Run the command until nobody uses it, in a process of its own."""
    if os.fork():
        return
    os.setsid()
    with (directory / "log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        process = subprocess.Popen([*OWN_MOUNTS, *command], stdin=subprocess.DEVNULL, start_new_session=True)
    users = os.open(directory / "users", os.O_RDWR)
    while process.poll() is None:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.2)
    if process.poll() is not None:
        (directory / "ended").touch()
    else:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(directory / "data", ignore_errors=True)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]), sys.argv[2:])
