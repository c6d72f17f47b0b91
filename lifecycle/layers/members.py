"""The members of new layers: what headers say of files on disk, and the tar made of them.

Reference: archive/archive.go, layers/factory.go.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.layers.tar import NEW, TRAILER, Entry, Kind, Stored, header, padding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT_MODE = 0o755
"""The mode of what the lifecycle itself puts into an image."""

_CHUNK = 1 << 18
_DEVICES = {stat.S_IFCHR: Kind.CHARACTER_DEVICE, stat.S_IFBLK: Kind.BLOCK_DEVICE}
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    **_DEVICES,
}


@dataclass(frozen=True, slots=True)
class PathMapping:
    """Where a directory on disk is in the image.

    With ``normalise_ancestors`` directories above a layer are root's with mode 0755, so that a layer doesn't
    tell where and by whom it was built; else they are as on disk.  Directories above ``image`` that have no
    counterpart on disk are root's in any case.
    """

    disk: Path
    image: PurePosixPath
    normalise_ancestors: bool = False

    def name(self, path: bytes) -> bytes:
        """Return the name in the image of an absolute path at or below ``disk``."""
        return _moved(path, absolute(self.disk), os.fsencode(self.image))

    def counterpart(self, name: bytes) -> bytes | None:
        """Return the path on disk of a directory in the image, ``None`` if it has none."""
        disk, image = absolute(self.disk), os.fsencode(self.image)
        if disk == image:
            return name
        try:
            return _moved(name, image, disk)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Member:
    """An entry, and the file whose content follows it; ``stored`` has what its header says beyond the entry."""

    entry: Entry
    path: bytes | None = None
    stored: Stored = NEW


@dataclass(frozen=True, slots=True)
class Members:
    """The layer of given members."""

    members: tuple[Member, ...]

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar."""
        return tar_of(self.members)


def unmapped(path: bytes) -> PathMapping:
    """Return the mapping of a directory that is in the image where it is on disk."""
    text = os.fsdecode(path)
    return PathMapping(Path(text), PurePosixPath(text))


def tar_of(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the tar of some members, in chunks of about the same size."""
    buffer = bytearray()
    for member in members:
        buffer += header(member.entry, member.stored)
        if member.path is not None:
            for chunk in _content(member.path, member.entry.size):
                buffer += chunk
                if len(buffer) >= _CHUNK:
                    yield bytes(buffer)
                    buffer.clear()
            buffer += padding(member.entry.size)
        if len(buffer) >= _CHUNK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer + TRAILER)


def ancestors(path: bytes, mapping: PathMapping) -> Iterator[Member]:
    """Yield the directories above a path, the outermost first.  ``/`` itself is in no layer."""
    parts = mapping.name(path).split(b"/")[1:-1]
    for count in range(1, len(parts) + 1):
        name = b"/" + b"/".join(parts[:count])
        counterpart = None if mapping.normalise_ancestors else mapping.counterpart(name)
        if counterpart is None:
            yield made_directory(name)
            continue
        try:
            found = os.stat(counterpart)  # noqa: PTH116  # bytes
        except OSError as error:
            raise _unreadable(counterpart, error) from error
        mode = stat.S_IMODE(found.st_mode)
        yield Member(Entry(name, Kind.DIRECTORY, mode, uid=found.st_uid, gid=found.st_gid))


def member_at(path: bytes, name: bytes, *, uid: int, gid: int) -> Member | None:
    """Return the member for what is at ``path``; ``None`` for a socket, which no tar can hold.

    A symlink is not followed, a hard link is a file like any other.  Reference: archive/archive.go.
    """
    try:
        found = os.lstat(path)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return None
        entry = Entry(name, kind, stat.S_IMODE(found.st_mode), uid=uid, gid=gid)
        if kind is Kind.FILE:
            return Member(replace(entry, size=found.st_size), path)
        if kind is Kind.SYMLINK:
            return Member(replace(entry, linkname=os.readlink(path)))  # noqa: PTH115  # bytes
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_IFMT(found.st_mode) in _DEVICES:
        device = found.st_rdev
        return Member(replace(entry, devmajor=os.major(device), devminor=os.minor(device)))
    return Member(entry)


def names_in(path: bytes) -> list[bytes]:
    """Return the names in a directory, sorted by their bytes."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  # bytes
    except OSError as error:
        raise _unreadable(path, error) from error


def made_directory(name: bytes) -> Member:
    """Return a directory of root's that is on no disk."""
    return Member(Entry(name, Kind.DIRECTORY, ROOT_MODE))


def absolute(path: Path) -> bytes:
    """Return an absolute path of the same lexical meaning."""
    text = os.path.abspath(path)  # noqa: PTH100  # symlinks stay
    return os.fsencode("/" + text.lstrip("/"))


def _moved(path: bytes, old: bytes, new: bytes) -> bytes:
    """Return ``path``, which is at or below ``old``, as it is called below ``new``."""
    if path == old:
        return new
    below = old.rstrip(b"/") + b"/"
    if not path.startswith(below):
        raise ValueError(f"{os.fsdecode(path)} is not below {os.fsdecode(old)}")
    return new.rstrip(b"/") + b"/" + path[len(below) :]


def _content(path: bytes, size: int) -> Iterator[bytes]:
    """Yield a file, which has to have ``size`` bytes as its header says."""
    left = size
    try:
        # What a buildpack left running may put a link or a pipe in the place of the file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _changed(path, "is no longer a file")
            while chunk := os.read(descriptor, min(_CHUNK, left + 1)):
                if len(chunk) > left:
                    raise _changed(path, f"has grown beyond the {size} bytes it had")
                left -= len(chunk)
                yield chunk
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error
    if left:
        raise _changed(path, f"has shrunk by {left} of the {size} bytes it had")


def _changed(path: bytes, how: str) -> ExportError:
    return ExportError(f"{how} at the start of the export", where=os.fsdecode(path), remedy="stop what writes it")


def _unreadable(path: bytes, error: OSError) -> ExportError:
    return ExportError(f"can't be read: {error.strerror}", where=os.fsdecode(path))
