"""A private view of the file system in which a build has ``/layers`` and ``/workspace``, without root.

Buildpacks write absolute paths into layers, so a build has to happen where the image will have its files.  Linux lets
an ordinary user arrange that for one process: a user namespace gives the right to mount in a mount namespace of its
own.  Where a host forbids it, ``obstacle`` says so, and the caller builds elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError
from lifecycle.executables.mounts import MountFlag, Unshared, bind, detach, make_private, mount, pivot_root, unshare

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    uid, gid = os.getuid(), os.getgid()
    cwd = Path.cwd()
    if uid == 0:
        unshare(Unshared.MOUNTS, step="unshare mounts")
    else:
        unshare(Unshared.USERS | Unshared.MOUNTS, step="unshare user and mounts")
        map_ids(uid, gid, from_uid=uid, from_gid=gid)
    make_private()
    mount("tmpfs", scratch, "tmpfs", 0)
    # Else the directory that holds scratch would show the new root once more, and removing it would remove the host.
    mount(None, scratch, None, MountFlag.UNBINDABLE)
    scratch.chmod(0o755)
    for entry in os.scandir("/"):
        if f"/{entry.name}" not in mounts:
            _mirror(entry, scratch / entry.name)
    for name, directory in mounts.items():
        target = scratch / name.removeprefix("/")
        target.mkdir(parents=True)
        bind(directory, target, recursive=True)
    old = scratch / ".host"
    old.mkdir()
    pivot_root(scratch, old)
    os.chdir("/")
    detach(Path("/.host"))
    Path("/.host").rmdir()
    if any(os.scandir(scratch)):
        raise LifecycleError("hide the new root: the old one shows below it")
    os.chdir(cwd if cwd.is_dir() else "/")


def _mirror(entry: os.DirEntry[str], target: Path) -> None:
    if entry.is_symlink():
        target.symlink_to(Path(entry.path).readlink())
    elif entry.is_dir():
        target.mkdir()
        bind(Path(entry.path), target, recursive=True)
    elif entry.is_file():
        target.touch()
        bind(Path(entry.path), target)


def map_ids(uid: int, gid: int, *, from_uid: int, from_gid: int) -> None:
    """Let who is ``from_uid`` and ``from_gid`` outside the new user namespace of this process be ``uid`` and ``gid``.

    Raises ``LifecycleError`` where the host refuses.
    """
    _write_map("setgroups", "deny")
    _write_map("uid_map", f"{uid} {from_uid} 1")
    _write_map("gid_map", f"{gid} {from_gid} 1")


def _write_map(name: str, text: str) -> None:
    try:
        Path("/proc/self", name).write_text(text)
    except OSError as error:
        raise LifecycleError(f"write {name}: {error.strerror}") from error
