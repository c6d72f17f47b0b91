"""Giving a directory to a user, as root, where an earlier build may have laid traps in it.

Volumes outlive builds, so whoever ran in one could leave links to files of others.  Each file is therefore held by
a descriptor before anything is decided, and of its ownership only that is changed which this directory alone has:

- links are given away themselves, never what they point to;
- files with several names (hard links) only where all the names are in this directory;
- whatever is mounted inside, and devices, not at all.

Reference: priv/user_linux.go, which trusts the directory.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_MOUNT_POINT = 4
"""The column of /proc/self/mountinfo."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group, by number."""

    uid: int
    gid: int

    def may_write(self, status: os.stat_result) -> bool:
        """Say whether something that has ``status`` counts as theirs to write to, as the reference judges it."""
        return (
            status.st_uid == self.uid
            or (status.st_gid == self.gid and bool(status.st_mode & stat.S_IWGRP))
            or bool(status.st_mode & stat.S_IWOTH)
        )

    def has(self, status: os.stat_result) -> bool:
        """Say whether something that has ``status`` is theirs."""
        return (status.st_uid, status.st_gid) == (self.uid, self.gid)


def give_directory(path: Path, owner: Owner) -> None:
    """Give a directory and all in it to ``owner`` unless they may write to it; a missing one is no error.

    A directory is given after what it holds, so an interrupted call is made good by the next.  Raises
    ``LifecycleError``, also where ``path`` leads through a link that root did not make.
    """
    try:
        with _opened(path) as top:
            if top is None or owner.may_write(os.fstat(top)):
                return
            _give_tree(top, owner)
    except OSError as error:
        raise LifecycleError(
            f"can't be given to {owner.uid}:{owner.gid}: {error.strerror}",
            where=path,
            remedy="give it to that user beforehand, or let this process keep CAP_CHOWN",
        ) from error


def _give_tree(top: int, owner: Owner) -> None:
    several: Counter[tuple[int, int, int]] = Counter()
    for handle in _walk(top):
        status = os.fstat(handle)
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            several[_names(status)] += 1
        else:
            _give(handle, status, owner)
    wholly_here = {names for names, found in several.items() if names[2] == found}
    if wholly_here:
        for handle in _walk(top):
            status = os.fstat(handle)
            if _names(status) in wholly_here:
                _give(handle, status, owner)


def _names(status: os.stat_result) -> tuple[int, int, int]:
    """Return which file it is and how many names it has, in this directory or elsewhere."""
    return status.st_dev, status.st_ino, status.st_nlink


def _give(handle: int, status: os.stat_result, owner: Owner) -> None:
    if not owner.has(status) and not stat.S_ISCHR(status.st_mode) and not stat.S_ISBLK(status.st_mode):
        # The descriptor's own name leads to what it holds, be that a link; only so is there no time to exchange it.
        os.chown(f"/proc/self/fd/{handle}", owner.uid, owner.gid)


def _walk(top: int) -> Iterator[int]:
    """Yield descriptors of all below ``top`` and of ``top`` itself, directories after their content."""
    root = str(Path(f"/proc/self/fd/{top}").readlink())
    mounted = {point for point in mount_points() if point.startswith(f"{root.rstrip('/')}/")}
    open_directories: list[tuple[int, str, Iterator[str]]] = []

    def enter(handle: int, path: str) -> None:
        names = [entry.name for entry in Path(f"/proc/self/fd/{handle}").iterdir()]
        open_directories.append((handle, path, iter(names)))

    try:
        enter(os.dup(top), root)
        while open_directories:
            parent, path, names = open_directories[-1]
            name = next(names, None)
            if name is None:
                yield parent
                open_directories.pop()
                os.close(parent)
                continue
            below = f"{path.rstrip('/')}/{name}"
            if below in mounted:
                continue
            handle = _open_entry(name, parent)
            if handle is None:
                continue
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                try:
                    enter(handle, below)
                except BaseException:
                    os.close(handle)
                    raise
                continue
            try:
                yield handle
            finally:
                os.close(handle)
    finally:
        for handle, _, _ in open_directories:
            os.close(handle)


def _open_entry(name: str, parent: int) -> int | None:
    """Return a descriptor of what the name stands for, ``None`` if it is gone."""
    try:
        return os.open(name, _HANDLE, dir_fd=parent)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a directory, following only links that root made; ``None`` if it is missing."""
    left = list(reversed(path.absolute().parts[1:]))
    handle = os.open("/", _HANDLE)
    links = 0
    try:
        while left:
            name = left.pop()
            try:
                found = os.open(name, _HANDLE, dir_fd=handle)
            except (FileNotFoundError, NotADirectoryError):
                yield None
                return
            status = os.fstat(found)
            if not stat.S_ISLNK(status.st_mode):
                os.close(handle)
                handle = found
                continue
            target = Path(os.readlink("", dir_fd=found))
            os.close(found)
            links += 1
            if status.st_uid != 0 or links > _MOST_LINKS:
                raise LifecycleError(
                    f"leads through a link that belongs to user {status.st_uid}",
                    where=path,
                    remedy="name the directory itself",
                )
            if target.is_absolute():
                os.close(handle)
                handle = os.open("/", _HANDLE)
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        yield handle if stat.S_ISDIR(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)


def mount_points() -> Iterator[str]:
    """Yield where this process has something mounted; ``/`` is among them."""
    with Path("/proc/self/mountinfo").open("rb") as lines:
        for line in lines:
            point = line.split(b" ")[_MOUNT_POINT]
            for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
                point = point.replace(code, char)
            yield os.fsdecode(point)
