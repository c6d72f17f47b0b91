"""Programs of an image that run in its file system, on a host that they must not reach.

``protect_host`` is for the process that works on the file system: everything else is read-only to it.  Each program
then gets what a container engine would give it: processes and mounts of its own, the image as its root directory, a
few devices, ``/proc`` without what changes the host, and the capabilities of Docker's containers.  The network is that
of the host.
Reference: runc and Docker, for what is mounted, hidden and allowed.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lifecycle.errors import LifecycleError
from lifecycle.executables.capabilities import limit_programs
from lifecycle.executables.forked import end_with_parent
from lifecycle.executables.mounts import (
    Attribute,
    MountFlag,
    Unshared,
    bind,
    change,
    detach,
    make_private,
    mount,
    pivot_root,
    unshare,
)
from lifecycle.executables.process import run_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.executables.process import Command, ProcessUser

MOUNT_POINTS = ("/proc/", "/sys/", "/dev/")
"""What every container has, and no image."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""Of ``/proc``."""
_HIDDEN_PROC = (
    "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list",
    "timer_stats",
)  # fmt: skip
_HIDDEN_SYS = ("devices/virtual/powercap", "firmware")
_NO_FILE = MountFlag.NO_SET_UID | MountFlag.NO_DEVICES | MountFlag.NO_EXEC
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STANDARD_ERROR = 2
_FIRST_FILE = 3
_LAST_FILE = 1 << 30
_SIGNALLED = 128


def protect_host(root: Path, writable: Sequence[Path]) -> None:
    """Let this process, and those that it makes, write to nothing but ``root`` and ``writable``, for good.

    All are directories that exist; device files in ``root`` are only files.  Raises ``LifecycleError`` naming the
    step that the host refuses.
    """
    unshare(Unshared.MOUNTS | Unshared.IPC, step="unshare mounts")
    make_private()
    for each in (root, *writable):
        bind(each, each)
    # Else a directory above could show it once more.
    mount(None, root, None, MountFlag.UNBINDABLE)
    change(Path("/"), add=Attribute.READ_ONLY, recursive=True)
    change(root, add=Attribute.NO_DEVICES, remove=Attribute.READ_ONLY | Attribute.NO_SET_UID)
    for each in writable:
        change(each, add=Attribute.NO_DEVICES | Attribute.NO_SET_UID, remove=Attribute.READ_ONLY)


@dataclass(frozen=True, slots=True)
class Container:
    """The file system of an image at ``root``, which ``protect_host`` knows.

    ``place`` says where on disk a name of the image is.  At the names in ``shared`` programs have directories of the
    host, at those in ``shown`` files and directories which they can't change.
    """

    root: Path
    place: Callable[[str], Path]
    shared: Mapping[str, Path]
    shown: Mapping[str, Path]

    @property
    def mounted(self) -> tuple[str, ...]:
        """The names at which something else than the image's files is seen; a directory's ends with a slash."""
        names = {**self.shared, **self.shown}
        return (*(f"{name}/" if path.is_dir() else name for name, path in names.items()), *MOUNT_POINTS)

    def run(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Run a command, whose directory is below ``root``, in this container; a ``Runner``."""
        directory = f"/{command.cwd.relative_to(self.root)}"
        names = (*self.shared, *self.shown, *MOUNT_POINTS)
        places = dict(zip(names, map(self.place, names), strict=True))
        enters = partial(self._enter, places, directory, command.user)
        return run_process(replace(command, cwd=Path("/"), user=None, enters=enters), output=output)

    def _enter(self, places: Mapping[str, Path], directory: str, user: ProcessUser | None) -> None:
        """Return in a process that is inside; this one only waits for that."""
        try:
            end_with_parent(signal.SIGKILL)
            unshare(Unshared.MOUNTS | Unshared.PROCESSES | Unshared.IPC, step="unshare processes")
            first = os.fork()
            if first:
                _wait(first)
            end_with_parent(signal.SIGKILL)
            self._mount(places)
            self._move()
            program = os.fork()
            if program:
                _wait(program)
            os.chdir(directory)
            limit_programs()
            if user is not None:
                os.setgroups(user.groups)
                os.setgid(user.gid)
                os.setuid(user.uid)
        except Exception as error:
            # Between fork and exec there is no other way to say why.
            os.write(_STANDARD_ERROR, f"{error}\n".encode(errors="replace"))
            raise

    def _mount(self, places: Mapping[str, Path]) -> None:
        for name, source in (*self.shared.items(), *self.shown.items()):
            bind(source, places[name])
            change(places[name], add=Attribute.READ_ONLY | Attribute.NO_DEVICES | Attribute.NO_SET_UID)
        for name in self.shared:
            change(places[name], remove=Attribute.READ_ONLY)
        proc, system, dev = (places[name] for name in MOUNT_POINTS)
        mount("proc", proc, "proc", _NO_FILE)
        mount("sysfs", system, "sysfs", _NO_FILE | MountFlag.READ_ONLY)
        self._mount_devices(dev)
        for path in (proc / name for name in _READ_ONLY):
            if path.exists():
                bind(path, path)
                change(path, add=Attribute.READ_ONLY)
        for path in (*(proc / name for name in _HIDDEN_PROC), *(system / name for name in _HIDDEN_SYS)):
            if path.is_dir():
                mount("tmpfs", path, "tmpfs", _NO_FILE | MountFlag.READ_ONLY)
            elif path.exists():
                bind(Path("/dev/null"), path)

    def _mount_devices(self, dev: Path) -> None:
        mount("tmpfs", dev, "tmpfs", MountFlag.NO_SET_UID | MountFlag.NO_DEVICES, "mode=755,size=64m")
        for name in _DEVICES:
            (dev / name).touch()
            bind(Path("/dev", name), dev / name)
        for name, target in _DEVICE_LINKS.items():
            (dev / name).symlink_to(target)
        (dev / "pts").mkdir()
        mount("devpts", dev / "pts", "devpts", MountFlag.NO_SET_UID | MountFlag.NO_EXEC, "newinstance,ptmxmode=0666")
        (dev / "shm").mkdir()
        mount("tmpfs", dev / "shm", "tmpfs", _NO_FILE, "mode=1777,size=64m")

    def _move(self) -> None:
        """Make the image this process's root directory, and let go of the host's."""
        wanted = self.root.stat()
        os.chdir(self.root)
        pivot_root(Path(), Path())
        detach(Path())
        os.chdir("/")
        found = os.stat("/")  # noqa: PTH116  # Path.stat would do as well
        if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
            raise LifecycleError("pivot root: the host is still there")


def _wait(child: int) -> NoReturn:
    """Wait for a process, and for any that it left to this one, then end as it did."""
    code = 1
    try:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        os.closerange(_FIRST_FILE, _LAST_FILE)
        while True:
            pid, status = os.wait()
            if pid == child:
                found = os.waitstatus_to_exitcode(status)
                code = found if found >= 0 else _SIGNALLED - found
                break
    finally:
        os._exit(code)
