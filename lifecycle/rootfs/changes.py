"""The layer of what changed in a file system.

Spec: OCI image-spec layer.md (whiteouts, hard links, PAX records of attributes).  Times are the constant one of all
layers, so equal changes make equal layers.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError
from lifecycle.layers.members import Member, member_at, tar_of
from lifecycle.layers.tar import Entry, Kind, Stored
from lifecycle.rootfs.snapshot import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.rootfs.snapshot import Changes

WHITEOUT = b".wh."
CAPABILITY = "security.capability"
CAPABILITY_RECORD = f"SCHILY.xattr.{CAPABILITY}"

_WHITEOUT_MODE = 0o600
_NO_ATTRIBUTE = (errno.ENODATA, errno.ENOTSUP)


@dataclass(frozen=True, slots=True)
class ChangesLayer:
    """The layer of ``changes`` below ``root``: owners are kept, the directories above each change are in it too."""

    root: Path
    changes: Changes

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar; raise ``LifecycleError`` for a file that can't be read or changes meanwhile."""
        return tar_of(self._members())

    def _members(self) -> Iterator[Member]:
        removed = set(self.changes.removed)
        first_names: dict[tuple[int, int], bytes] = {}
        for path in in_order({*self.changes.changed, *removed, *self._above()}):
            if path in removed:
                yield Member(Entry(_whiteout(path), Kind.FILE, _WHITEOUT_MODE))
            elif (member := self._member(path, first_names)) is not None:
                yield member

    def _above(self) -> set[bytes]:
        above: set[bytes] = set()
        for path in (*self.changes.changed, *self.changes.removed):
            directory = path[: path.rindex(b"/")]
            while directory and directory not in above:
                above.add(directory)
                directory = directory[: directory.rindex(b"/")]
        return above

    def _member(self, path: bytes, first_names: dict[tuple[int, int], bytes]) -> Member | None:
        """Return the member of a path, ``None`` for a socket.  Of a file's names the first has its content."""
        disk = os.fsencode(self.root).rstrip(b"/") + path
        try:
            status = os.lstat(disk)
        except OSError as error:
            raise ExtendError(f"can't be put into a layer: {error.strerror}", where=os.fsdecode(path)) from error
        name = path[1:]
        member = member_at(disk, name, uid=status.st_uid, gid=status.st_gid)
        if member is None:
            return None
        if stat.S_ISDIR(status.st_mode):
            return replace(member, entry=replace(member.entry, name=name + b"/"))
        if status.st_nlink > 1:
            first = first_names.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                return Member(
                    replace(member.entry, kind=Kind.HARD_LINK, linkname=first, size=0, devmajor=0, devminor=0)
                )
        capability = _capability(disk) if stat.S_ISREG(status.st_mode) else None
        return member if capability is None else replace(member, stored=Stored(records={CAPABILITY_RECORD: capability}))


def _whiteout(path: bytes) -> bytes:
    directory, _, name = path[1:].rpartition(b"/")
    return b"%b/%b%b" % (directory, WHITEOUT, name) if directory else WHITEOUT + name


def _capability(path: bytes) -> bytes | None:
    try:
        return os.getxattr(path, CAPABILITY, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTE:
            return None
        raise ExtendError(f"its capabilities can't be read: {error.strerror}", where=os.fsdecode(path)) from error
