"""Puts a layer onto a file system: what a step of an earlier build made, or an archive that ``ADD`` unpacks.

Spec: OCI image-spec layer.md "Applying Changesets".
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError, UnsafeArchiveError
from lifecycle.layers.reader import GLOBAL, members
from lifecycle.layers.tar import MTIME, Kind
from lifecycle.rootfs.changes import CAPABILITY, CAPABILITY_RECORD, WHITEOUT
from lifecycle.rootfs.paths import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lifecycle.layers.tar import Entry, Stored

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_MODE = 0o755
_WHITEOUT = os.fsdecode(WHITEOUT)
_OPAQUE = f"{_WHITEOUT}.opq"
_NANO = 10**9
_LAST_TIME = (1 << 33) * _NANO


def apply_layer(chunks: Iterable[bytes], root: Path, *, where: str = "layer", keeps_times: bool = False) -> None:
    """Apply a layer to the file system at ``root``; its whiteouts remove what other layers put there.

    Files have the constant time of this program's layers unless the layer ``keeps_times``.  Raises ``ExtendError``
    where the file system can't take it, ``UnsafeArchiveError`` and ``VerificationError`` for what is no layer.
    """
    _Target(root, "/", where, keeps_times=keeps_times).unpack(chunks, whiteouts=True)


def unpack_archive(
    chunks: Iterable[bytes], root: Path, directory: str, *, owner: tuple[int, int] | None, where: str
) -> set[bytes]:
    """Unpack a tar below ``directory`` of the image and return the paths written, absolute in the image.

    Owners are those of the archive unless one is given.  Nothing is written outside the directory.
    """
    target = _Target(root, directory, where, owner)
    target.unpack(chunks, whiteouts=False)
    return target.written


class _Target:
    """A directory of an image that a tar is unpacked to."""

    def __init__(
        self,
        root: Path,
        directory: str,
        where: str,
        owner: tuple[int, int] | None = None,
        *,
        keeps_times: bool = False,
    ) -> None:
        self._root = root
        self._top = resolved(root, directory)
        self._where = where
        self._owner = owner
        self._keeps_times = keeps_times
        self._directories: dict[Path, tuple[int, int, int, int]] = {}
        self.written: set[bytes] = set()

    def unpack(self, chunks: Iterable[bytes], *, whiteouts: bool) -> None:
        try:
            for member in members(chunks, where=self._where):
                if member.entry.kind == GLOBAL:
                    continue
                place = self._place(member.entry.name)
                if place is None:
                    continue
                if whiteouts and place.name.startswith(_WHITEOUT):
                    self._white_out(place)
                    continue
                self._write(member.entry, member.stored, place, member.content)
                self.written.add(b"/" + os.fsencode(place.relative_to(self._root)))
            for path, (mode, uid, gid, time) in sorted(self._directories.items(), reverse=True):
                if path.is_dir() and resolved(self._root, f"/{path.relative_to(self._root)}") == path:
                    os.chown(path, uid, gid, follow_symlinks=False)
                    path.chmod(mode)
                    os.utime(path, ns=(time, time))
        except OSError as error:
            raise ExtendError(
                f"can't be unpacked: {error.strerror}", where=f"{self._where}: {error.filename or self._top}"
            ) from error
        except OverflowError as error:
            raise UnsafeArchiveError("has an entry with an owner or device that can't be", where=self._where) from error

    def _place(self, name: bytes) -> Path | None:
        """Return where an entry goes, its directory being made; ``None`` for the target itself."""
        parts = [os.fsdecode(part) for part in name.split(b"/") if part not in {b"", b"."}]
        if ".." in parts or b"\x00" in name:
            raise UnsafeArchiveError(f"has the entry {name.decode(errors='backslashreplace')!r}", where=self._where)
        if not parts:
            return None
        below = self._top.relative_to(self._root).joinpath(*parts[:-1])
        parent = resolved(self._root, f"/{below}")
        if not parent.is_relative_to(self._top):
            raise UnsafeArchiveError(
                f"has the entry {name.decode(errors='backslashreplace')!r}, which a link leads outside",
                where=self._where,
            )
        self._make_parents(parent)
        return parent / parts[-1]

    def _make_parents(self, parent: Path) -> None:
        missing = []
        while not parent.exists():
            missing.append(parent)
            parent = parent.parent
        for each in reversed(missing):
            each.mkdir(_DIRECTORY_MODE)
            self._directories[each] = (_DIRECTORY_MODE, *(self._owner or (0, 0)), MTIME * _NANO)
            self.written.add(b"/" + os.fsencode(each.relative_to(self._root)))

    def _white_out(self, place: Path) -> None:
        """Remove what a whiteout names, or what other layers have in the directory of an opaque one."""
        name = place.name.removeprefix(_WHITEOUT)
        if name == _OPAQUE:
            self._clear(place.parent, {path for each in self.written for path in _with_parents(each)})
        elif name in {"", ".", ".."}:
            raise UnsafeArchiveError(f"has the whiteout {place.name!r}", where=self._where)
        elif not name.startswith(_WHITEOUT):  # else it is a note of aufs
            _remove(place.with_name(name))

    def _clear(self, directory: Path, kept: set[bytes]) -> None:
        if directory.is_symlink() or not directory.is_dir():
            return
        for each in list(directory.iterdir()):
            if b"/" + os.fsencode(each.relative_to(self._root)) not in kept:
                _remove(each)
            else:
                self._clear(each, kept)

    def _time(self, stored: Stored) -> int:
        """Return the time that a file gets, in nanoseconds."""
        return min(max(stored.mtime, 0), _LAST_TIME) if self._keeps_times else MTIME * _NANO

    def _write(self, entry: Entry, stored: Stored, place: Path, content: Iterator[bytes]) -> None:
        uid, gid = self._owner or (entry.uid, entry.gid)
        mode = stat.S_IMODE(entry.mode)
        if entry.kind == Kind.DIRECTORY:
            if place.is_symlink() or not place.is_dir():
                _remove(place)
                place.mkdir(0o700)
            self._directories[place] = (mode, uid, gid, self._time(stored))
            return
        if entry.kind == Kind.HARD_LINK:
            source = self._place(entry.linkname)
            if source is None:
                raise UnsafeArchiveError("has a hard link to the directory itself", where=self._where)
            if source != place:
                _remove(place)
                os.link(source, place, follow_symlinks=False)
            return
        _remove(place)
        time = self._time(stored)
        if entry.kind == Kind.SYMLINK:
            place.symlink_to(os.fsdecode(entry.linkname))
            os.chown(place, uid, gid, follow_symlinks=False)
            os.utime(place, ns=(time, time), follow_symlinks=False)
            return
        self._make(entry, place, content)
        os.chown(place, uid, gid, follow_symlinks=False)
        # After the owner: a change of owner takes these bits away.
        place.chmod(mode)
        if CAPABILITY_RECORD in stored.records:
            os.setxattr(place, CAPABILITY, stored.records[CAPABILITY_RECORD], follow_symlinks=False)
        os.utime(place, ns=(time, time))

    def _make(self, entry: Entry, place: Path, content: Iterator[bytes]) -> None:
        match entry.kind:
            case Kind.FILE:
                with os.fdopen(os.open(place, _NEW_FILE, 0o600), "wb") as file:
                    file.writelines(content)
            case Kind.FIFO:
                os.mkfifo(place, 0o600)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                kind = stat.S_IFCHR if entry.kind == Kind.CHARACTER_DEVICE else stat.S_IFBLK
                os.mknod(place, kind | 0o600, os.makedev(entry.devmajor, entry.devminor))
            case _:
                raise UnsafeArchiveError(
                    f"has the entry {place.name!r} of a kind that can't be unpacked", where=self._where
                )


def _remove(path: Path) -> None:
    """Remove what is there, if anything."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def _with_parents(path: bytes) -> Iterator[bytes]:
    while path:
        yield path
        path = path[: path.rindex(b"/")]
