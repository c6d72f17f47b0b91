"""What a command changed in a file system, seen by comparing the metadata of all files before and after.

The time of a file's last change (ctime) can't be set by programs, so equal metadata mean an unchanged file, content and
attributes included.  Contents are never read, and of each file only a short digest is kept.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

_SIZE = 12
_TICK = 0.02
"""Seconds, more than the grain of the clock that stamps files."""
_LONGEST_WAIT = 1.0
_FUTURE = 10**9


@dataclass(frozen=True, slots=True)
class Changes:
    """Absolute paths in the image, in the order in which a layer lists them: what is new or different, what is gone.

    Of what is gone only the top is named.
    """

    changed: tuple[bytes, ...] = ()
    removed: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)

    def without_content_of(self, directories: Collection[bytes]) -> Changes:
        """Return the changes that are not below one of these paths."""
        above = tuple(directory + b"/" for directory in directories)
        changed, removed = (
            tuple(path for path in paths if not path.startswith(above)) for paths in (self.changed, self.removed)
        )
        return Changes(changed, removed)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a file system: a digest of the metadata of each path below its root."""

    states: Mapping[bytes, bytes] = field(default_factory=dict)

    def changes_to(self, later: Snapshot) -> Changes:
        """Return what differs in ``later``."""
        changed = [path for path, state in later.states.items() if self.states.get(path) != state]
        gone = {path for path in self.states if path not in later.states}
        # What was below something that is no directory any more goes with it.
        removed = [
            path
            for path in gone
            if (parent := _parent(path)) not in gone and later.states.get(parent, _DIRECTORY)[:1] == _DIRECTORY
        ]
        return Changes(in_order(changed), in_order(removed))

    def with_paths(self, root: Path, paths: Iterable[bytes]) -> Snapshot:
        """Return the snapshot with the present state of these paths, once no later change can carry their times."""
        states = dict(self.states)
        newest = 0
        for path in paths:
            try:
                status = os.lstat(os.fsencode(root).rstrip(b"/") + path)
            except FileNotFoundError:
                states.pop(path, None)
                continue
            states[path] = _state(status)
            newest = max(newest, status.st_ctime_ns)
        _wait_until_after(newest)
        return Snapshot(states)


_DIRECTORY, _OTHER = b"d", b"f"


def take_snapshot(root: Path, *, ignored: Collection[bytes]) -> Snapshot:
    """Walk the file system of an image, but for the paths ``ignored`` (absolute, in the image) and all below them.

    Returns when no later change can carry a time that was seen.  Raises ``ExtendError`` where something can't be read.
    """
    top = os.fsencode(root).rstrip(b"/")
    states: dict[bytes, bytes] = {}
    newest = 0
    pending = [b""]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(top + directory or b"/") as entries:
                for entry in entries:
                    path = directory + b"/" + entry.name
                    if path in ignored:
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISSOCK(status.st_mode):
                        continue
                    states[path] = _state(status)
                    newest = max(newest, status.st_ctime_ns)
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ExtendError(f"can't be looked at: {error.strerror}", where=os.fsdecode(directory or b"/")) from error
    _wait_until_after(newest)
    return Snapshot(states)


def in_order(paths: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return paths sorted, each after the directories above it."""
    return tuple(sorted(paths, key=lambda path: path.split(b"/")))


def _parent(path: bytes) -> bytes:
    return path[: path.rindex(b"/")]


def _state(status: os.stat_result) -> bytes:
    """Return the digest, after a letter that tells directories from all else.

    The times of directories change with what is in them, and inodes of stacked file systems by themselves.
    """
    if stat.S_ISDIR(status.st_mode):
        return _DIRECTORY + _digest(status.st_mode, status.st_uid, status.st_gid)
    return _OTHER + _digest(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_rdev,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _digest(*numbers: int) -> bytes:
    return blake2b(b",".join(b"%d" % each for each in numbers), digest_size=_SIZE).digest()


def _wait_until_after(newest: int) -> None:
    """Sleep while a file could still be changed without getting another time; not for times in the future."""
    limit = time.monotonic() + _LONGEST_WAIT
    while 0 <= newest - time.time_ns() + int(_TICK * 1e9) < _FUTURE and time.monotonic() < limit:
        time.sleep(_TICK / 4)
