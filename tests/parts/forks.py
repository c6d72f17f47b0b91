"""Commands of the lifecycle as forks of one process that has loaded all of it: quicker than an interpreter for each.

The interpreter and its library may so lie where only root may read, and need not be in a container's file system.
"""

from __future__ import annotations

import atexit
import contextlib
import encodings.idna  # noqa: F401  # what the library loads late is not there in a container
import gc
import http.cookiejar  # noqa: F401
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid  # noqa: F401
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel

import lifecycle
from lifecycle.cli.main import main
from lifecycle.executables.mounts import Unshared, bind, make_private, unshare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TESTS = Path(__file__).parents[1]
_SOURCE = Path(lifecycle.__file__).parents[1]
_ENDS_WITHIN = 900
"""Seconds; a command that hangs fails its test, not the run of all tests."""


@dataclass(frozen=True)
class Command:
    """What a process of the lifecycle is started with, with all its environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: str = "/"
    stdin: str = ""
    """What it reads from a pipe, which has to hold all of it."""
    user: Sequence[int] | None = None
    """Uid and gid, without further groups; ``None`` changes neither."""
    root: str | None = None
    """The file system that the process is to see, with the host's at ``/host``."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Directories of the host, by their names below ``root``."""


class Forks:
    """The process that forks commands, one at a time."""

    def __init__(self) -> None:
        made = tempfile.TemporaryDirectory(prefix="lifecycle-forks-")
        self._directory = made
        self._turn = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-m", "parts.forks"],
            env={"PYTHONPATH": f"{_SOURCE}:{_TESTS}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: Command, *, merged: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends; ``merged`` has all its output in ``stdout``, as it came."""
        out = Path(self._directory.name, "out")
        err = out if merged else out.with_name("err")
        assert self._server.stdin
        assert self._server.stdout
        with self._turn:
            self._server.stdin.write(json.dumps({"command": asdict(command), "out": str(out), "err": str(err)}) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(command.arguments, code, _text(out), "" if merged else _text(err))

    def close(self) -> None:
        """End the process."""
        with self._server as server:
            assert server.stdin
            server.stdin.close()
        self._directory.cleanup()


@cache
def forks() -> Forks:
    """Return the process of this worker, which ends with it."""
    started = Forks()
    atexit.register(started.close)
    return started


def warm() -> None:
    """Do once what else every fork would do: import all modules and build all models."""
    for module in pkgutil.walk_packages(lifecycle.__path__, "lifecycle."):
        with contextlib.suppress(ImportError):  # of the hook that builds distributions
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    models = [BaseModel]
    for model in models:
        models += model.__subclasses__()
    for model in models[1:]:
        model.model_rebuild()
    gc.collect()
    gc.freeze()  # what is not visited is not copied


def redirect(out: Path, err: Path, stdin: str = "") -> None:
    """Give this process a text to read, and these files to write to, which may be one."""
    reader, writer = os.pipe()
    os.write(writer, stdin.encode())
    os.close(writer)
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    written = os.open(out, new, 0o644)
    files = (reader, written, written if err == out else os.open(err, new, 0o644))
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in {*files}:
        os.close(file)


def become(uid: int, gid: int) -> None:
    """Be that user for good, without further groups."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def run_main(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the program as an interpreter with that command line and environment does."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = list(argv)
    sys.orig_argv = [sys.executable, "-m", "lifecycle", *argv[1:]]
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    main()


def end_after(act: Callable[[], object]) -> NoReturn:
    """End this fork as an interpreter ends after ``act``."""
    code = 0
    try:
        act()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def _serve() -> None:
    warm()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            end_after(lambda: _start(Command(**request["command"]), Path(request["out"]), Path(request["err"])))  # noqa: B023
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _start(command: Command, out: Path, err: Path) -> None:
    redirect(out, err, command.stdin)
    signal.alarm(_ENDS_WITHIN)
    if command.root is not None:
        _enter(command.root, command.volumes)
    os.chdir(command.cwd)
    if command.user is not None:
        become(*command.user)
    run_main(["lifecycle", *command.arguments], command.environment)


def _enter(root: str, volumes: Mapping[str, str]) -> None:
    """See ``root`` as ``/``; what is mounted there is in no layer."""
    unshare(Unshared.MOUNTS, step="unshare mounts")
    make_private()
    bind(Path(root), Path(root))
    for name in ("proc", "dev"):
        _show(f"/{name}", f"{root}/{name}", recursive=True)
    _show("/", f"{root}/host", recursive=True)
    for name, directory in volumes.items():
        _show(directory, f"{root}/{name}")
    sys.path[:] = ["/host" + path for path in sys.path]
    os.chroot(root)


def _show(source: str, target: str, *, recursive: bool = False) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    bind(Path(source), Path(target), recursive=recursive)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    _serve()
