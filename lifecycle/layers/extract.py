"""Unpacking a directory of a layer, confined to its place on disk.

A layer comes from a cache or an image that others may have written: nothing is written through a link or
outside the target, and what layers of the lifecycle never hold is refused.
Reference: archive/extract.go, which trusts its input: the rules for modes, missing parents, existing files.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Self

from lifecycle.errors import LifecycleError, UnsafeArchiveError
from lifecycle.layers.reader import GLOBAL, members
from lifecycle.layers.tar import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path, PurePosixPath

    from lifecycle.layers.tar import Entry

MAX_BYTES = 1 << 38
"""Bytes of all files of a layer (256 GiB)."""

MAX_ENTRIES = 1 << 23

MAX_DEPTH = 256
"""Directories one in another.  Deeper trees can be made but not removed with what Python offers."""

_Parts = tuple[bytes, ...]
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe in the place of a file must not block.
_FILE_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PLANTED = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENXIO)


def extract(
    chunks: Iterable[bytes],
    *,
    root: PurePosixPath,
    target: Path,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
    where: str = "layer",
) -> int:
    """Unpack what a tar has at or below ``root`` as ``target``; return the number of its entries.

    ``target``, a directory, is made if it isn't there, its parent has to be.  Directories above ``root`` are
    passed over.
    The stream is read to its end, so that one which verifies itself has its say.  What was unpacked when an error
    comes stays: ``target`` has to be a place where nobody looks before this returns.

    Raises ``UnsafeArchiveError`` for names outside ``root``, ``..``, devices, pipes, names below a link, hard links to
    anything but files of ``target``, too much of anything and a malformed tar; ``VerificationError`` for too few
    bytes; ``LifecycleError`` where the disk fails; and what ``chunks`` raises.
    """
    place = _Place(_parts(root), where)
    count = size = 0
    try:
        with _Writer(target, where) as writer:
            for member in members(chunks, where=where):
                entry = member.entry
                if entry.kind == GLOBAL:
                    continue
                count += 1
                size += entry.content_size
                if count > max_entries:
                    raise UnsafeArchiveError(f"has more than {max_entries} entries", where=where)
                if size > max_bytes:
                    raise UnsafeArchiveError(f"unpacks to more than {max_bytes} bytes", where=where)
                relative = place.of(entry)
                if relative is None:
                    continue
                link = place.linked(entry) if entry.kind == Kind.HARD_LINK else None
                writer.write(entry, relative, member.content, link)
            writer.finish()
    except OSError as error:
        raise LifecycleError(f"can't be unpacked: {error.strerror}", where=target) from error
    return count


class _Place:
    """Where in the target the names of a layer belong."""

    def __init__(self, root: _Parts, where: str) -> None:
        self._root = root
        self._where = where

    def of(self, entry: Entry) -> _Parts | None:
        """Return the place of an entry below ``root``; ``None`` for a directory above it."""
        parts = self._clean(entry.name)
        if entry.kind == Kind.DIRECTORY and len(parts) < len(self._root) and self._root[: len(parts)] == parts:
            return None
        return self._below(parts, entry.name)

    def linked(self, entry: Entry) -> _Parts:
        """Return the place of the file to which a hard link leads."""
        return self._below(self._clean(entry.linkname), entry.linkname)

    def _below(self, parts: _Parts, name: bytes) -> _Parts:
        if parts[: len(self._root)] != self._root:
            raise self._outside(name)
        return parts[len(self._root) :]

    def _clean(self, name: bytes) -> _Parts:
        parts = tuple(each for each in name.split(b"/") if each not in {b"", b"."})
        if b".." in parts or b"\x00" in name:
            raise self._outside(name)
        if len(parts) > MAX_DEPTH:
            raise UnsafeArchiveError(f"has directories nested deeper than {MAX_DEPTH}", where=self._where)
        return parts

    def _outside(self, name: bytes) -> UnsafeArchiveError:
        root = os.fsdecode(b"/" + b"/".join(self._root))
        return UnsafeArchiveError(f"has the entry {_shown(name)}, which is not allowed in {root}", where=self._where)


class _Writer:
    """Creates files below one directory, one component of a path after the other, without following links."""

    def __init__(self, target: Path, where: str) -> None:
        target = target.absolute()
        self._where = where
        self._first: _Parts = (os.fsencode(target.name),) if target.name else ()
        self._base = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._current: _Parts = ()
        self._descriptor = os.dup(self._base)
        self._made: set[_Parts] = set()
        self._modes: dict[_Parts, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        os.close(self._base)

    def write(self, entry: Entry, relative: _Parts, content: Iterator[bytes], link: _Parts | None) -> None:
        """Write an entry; ``link`` is the file that a hard link leads to."""
        parts = self._first + relative
        mode = stat.S_IMODE(entry.mode)
        try:
            if entry.kind == Kind.DIRECTORY:
                self._enter(parts)
                if parts in self._made:
                    self._modes[parts] = mode
                return
            if not relative:
                raise self._refused(entry, "which is no directory")
            self._enter(parts[:-1])
            if entry.kind == Kind.FILE:
                self._write_file(parts[-1], mode, content)
            elif entry.kind == Kind.SYMLINK:
                os.symlink(entry.linkname, parts[-1], dir_fd=self._descriptor)
            elif link is not None:
                self._link(self._first + link, parts)
            else:
                raise self._refused(entry, "of a kind that no layer may have")
        except OSError as error:
            if error.errno in _PLANTED:
                raise self._refused(entry, f"whose place is taken or behind a link ({error.strerror})") from error
            raise
        except ValueError as error:
            raise self._refused(entry, f"which can't be written ({error})") from error

    def finish(self) -> None:
        """Make the target if the layer had nothing; give new directories their modes."""
        if not self._made:
            self._enter_if_missing()
        for parts in sorted(self._modes, key=len, reverse=True):
            self._enter(parts)
            os.fchmod(self._descriptor, self._modes[parts])

    def _enter_if_missing(self) -> None:
        try:
            if self._first:
                os.stat(self._first[0], dir_fd=self._base, follow_symlinks=False)
        except FileNotFoundError:
            self._enter(self._first)

    def _enter(self, parts: _Parts) -> None:
        """Open a directory and make what is missing of it.  The umask acts where no entry says the mode."""
        if parts[: len(self._current)] != self._current:
            self._move(os.dup(self._base), ())
        for count in range(len(self._current) + 1, len(parts) + 1):
            name = parts[count - 1]
            try:
                found = os.open(name, _DIRECTORY_FLAGS, dir_fd=self._descriptor)
            except FileNotFoundError:
                os.mkdir(name, 0o777, dir_fd=self._descriptor)
                self._made.add(parts[:count])
                found = os.open(name, _DIRECTORY_FLAGS, dir_fd=self._descriptor)
            self._move(found, parts[:count])

    def _move(self, descriptor: int, parts: _Parts) -> None:
        os.close(self._descriptor)
        self._descriptor, self._current = descriptor, parts

    def _write_file(self, name: bytes, mode: int, content: Iterator[bytes]) -> None:
        """Write a new file, or new content into a file that is there, whose mode stays."""
        try:
            descriptor = os.open(name, _FILE_FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._descriptor)
            is_new = True
        except FileExistsError:
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=self._descriptor)
            is_new = False
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123  # a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EEXIST, "not a file")
            if not is_new:
                file.truncate(0)
            for chunk in content:
                _write_all(file.write, chunk)
            if is_new:
                os.fchmod(descriptor, mode)

    def _link(self, source: _Parts, parts: _Parts) -> None:
        self._enter(source[:-1])
        directory = os.dup(self._descriptor)
        try:
            self._enter(parts[:-1])
            name = source[-1] if source else b"."
            if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                raise OSError(errno.EEXIST, "not a file")
            os.link(name, parts[-1], src_dir_fd=directory, dst_dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError as error:
            raise OSError(errno.ENXIO, "no such file in the layer") from error
        finally:
            os.close(directory)

    def _refused(self, entry: Entry, why: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(f"has the entry {_shown(entry.name)}, {why}", where=self._where)


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) or 0 :]


def _parts(path: PurePosixPath) -> _Parts:
    return tuple(os.fsencode(each) for each in path.parts if each != "/")


def _shown(name: bytes) -> str:
    return repr(name.decode(errors="backslashreplace"))
