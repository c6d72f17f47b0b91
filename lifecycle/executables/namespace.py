"""A private view of the file system in which a build has ``/layers`` and ``/workspace``, without root.

Buildpacks write absolute paths into layers, so a build has to happen where the image will have its files.  Linux lets
an ordinary user arrange that for one process: a user namespace gives the right to mount in a mount namespace of its
own.  Where a host forbids it, ``obstacle`` says so, and the caller builds elsewhere.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_MS_UNBINDABLE = 0x20000
_MNT_DETACH = 2


def obstacle(mounts: Mapping[str, Path], scratch: Path) -> str | None:
    """Return why ``enter`` would fail on this host, ``None`` if it would not.

    A child process tries it, because there is no way back from a half-entered namespace.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        problem = b""
        try:
            enter(mounts, scratch)
        except BaseException as error:  # noqa: BLE001  # the child has no caller: every failure is its answer
            problem = str(error).encode(errors="replace") or b"unknown"
        os.write(writer, problem[:4096])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer.decode(errors="replace") or None


def enter(mounts: Mapping[str, Path], scratch: Path) -> None:
    """Move this process into a view in which each ``/name`` of ``mounts`` shows the directory given for it.

    All else of the host stays where it is.  ``scratch`` is an empty directory that becomes the mount point of the
    new root.  The process must have one thread.  Raises ``LifecycleError`` naming the step that the host refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    cwd = Path.cwd()
    if uid == 0:
        _call(libc.unshare, _CLONE_NEWNS, step="unshare mounts")
    else:
        _call(libc.unshare, _CLONE_NEWUSER | _CLONE_NEWNS, step="unshare user and mounts")
        _write_map("setgroups", "deny")
        _write_map("uid_map", f"{uid} {uid} 1")
        _write_map("gid_map", f"{gid} {gid} 1")
    _mount(libc, None, Path("/"), None, _MS_REC | _MS_PRIVATE)
    _mount(libc, "tmpfs", scratch, "tmpfs", 0)
    # Else the directory that holds scratch would show the new root once more, and removing it would remove the host.
    _mount(libc, None, scratch, None, _MS_UNBINDABLE)
    scratch.chmod(0o755)
    for entry in os.scandir("/"):
        if f"/{entry.name}" not in mounts:
            _mirror(libc, entry, scratch / entry.name)
    for name, directory in mounts.items():
        target = scratch / name.removeprefix("/")
        target.mkdir(parents=True)
        _mount(libc, str(directory), target, None, _MS_BIND | _MS_REC)
    old = scratch / ".host"
    old.mkdir()
    _call(libc.pivot_root, os.fsencode(scratch), os.fsencode(old), step="pivot root")
    os.chdir("/")
    _call(libc.umount2, b"/.host", _MNT_DETACH, step="detach the old root")
    Path("/.host").rmdir()
    if any(os.scandir(scratch)):
        raise LifecycleError("hide the new root: the old one shows below it")
    os.chdir(cwd if cwd.is_dir() else "/")


def _mirror(libc: ctypes.CDLL, entry: os.DirEntry[str], target: Path) -> None:
    if entry.is_symlink():
        target.symlink_to(Path(entry.path).readlink())
    elif entry.is_dir():
        target.mkdir()
        _mount(libc, entry.path, target, None, _MS_BIND | _MS_REC)
    elif entry.is_file():
        target.touch()
        _mount(libc, entry.path, target, None, _MS_BIND)


def _mount(libc: ctypes.CDLL, source: str | None, target: Path, kind: str | None, flags: int) -> None:
    _call(
        libc.mount,
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None,
        step=f"mount {target}",
    )


def _call(function: ctypes._NamedFuncPointer, *arguments: object, step: str) -> None:
    if function(*arguments) != 0:
        raise LifecycleError(f"{step}: {os.strerror(ctypes.get_errno())}")


def _write_map(name: str, text: str) -> None:
    try:
        Path("/proc/self", name).write_text(text)
    except OSError as error:
        raise LifecycleError(f"write {name}: {error.strerror}") from error
