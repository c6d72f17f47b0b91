"""Unpacking one directory out of a layer, confined to where it belongs.

A layer comes from a cache or an image that others may have written.  Only entries at or below one name are unpacked,
into a directory that was empty; nothing is written through a link; what a layer of a buildpack never holds is refused.
Reference: archive/extract.go, which trusts its input.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import UnsafeArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK = 1 << 18

MAX_ENTRIES = 5_000_000
"""Entries of one layer beyond which it is taken for an attack."""

MAX_READ = 1 << 26
"""Bytes of one extended header beyond which it is taken for an attack: it is held in memory."""


class _Stream:
    """Chunks as the file that ``tarfile`` reads."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        if size > MAX_READ:
            raise UnsafeArchiveError(f"has a header of {size} bytes")
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def extract(chunks: Iterable[bytes], *, root: PurePosixPath, target: Path) -> int:
    """Unpack what a tar has at or below ``root`` into ``target``, which is made; return the number of entries.

    Ancestors of ``root`` are passed over.  ``chunks`` is read to its end, so that a verifying stream has its say.
    Raises ``UnsafeArchiveError`` for anything else outside ``root``, for ``..``, hard links, devices and pipes, for a
    name below a link, and for a broken tar.
    """
    stream = iter(chunks)
    count = 0
    writer = _Writer(target)
    try:
        with tarfile.open(fileobj=_Stream(stream), mode="r|", bufsize=_CHUNK, errorlevel=2) as tar:  # type: ignore[call-overload]
            for member in tar:
                tar.members = []
                count += 1
                if count > MAX_ENTRIES:
                    raise UnsafeArchiveError(f"has more than {MAX_ENTRIES} entries")
                relative = _relative(member, root)
                if relative is not None:
                    writer.write(tar, member, relative)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise UnsafeArchiveError(f"is not a valid tar: {error}") from error
    for _ in stream:
        pass
    writer.finish()
    return count


def _relative(member: tarfile.TarInfo, root: PurePosixPath) -> tuple[str, ...] | None:
    """Return the parts of a name below ``root``, ``None`` for an ancestor of it."""
    name = PurePosixPath("/" + member.name.lstrip("/"))
    if ".." in name.parts:
        raise UnsafeArchiveError(f"has the entry {member.name!r}, which leaves its directory")
    if name.is_relative_to(root):
        return name.relative_to(root).parts
    if member.isdir() and root.is_relative_to(name):
        return None
    raise UnsafeArchiveError(f"has the entry {member.name!r} outside {root}")


class _Writer:
    """Creates files below one directory without following links."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._modes: dict[Path, int] = {}

    def write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parts: tuple[str, ...]) -> None:
        path = self._target.joinpath(*parts)
        if parts:
            self._ensure_directory(path.parent)
        if member.isdir():
            self._ensure_directory(path)
            self._modes[path] = member.mode
        elif not parts:
            raise UnsafeArchiveError("is not the tar of a directory")
        elif member.issym():
            self._refuse_existing(path)
            path.symlink_to(member.linkname)
        elif member.isreg():
            self._refuse_existing(path)
            self._write_file(tar, member, path)
        else:
            raise UnsafeArchiveError(f"has the entry {member.name!r} of a kind that a layer can't hold")

    def finish(self) -> None:
        """Give directories their modes once nothing more is written into them."""
        self._ensure_directory(self._target)
        for path in sorted(self._modes, key=lambda each: len(each.parts), reverse=True):
            path.chmod(self._modes[path])

    def _ensure_directory(self, path: Path) -> None:
        if path in self._modes:
            return
        if path != self._target:
            self._ensure_directory(path.parent)
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise UnsafeArchiveError(f"has entries below {path.name!r}, which is no directory")
        path.mkdir(exist_ok=True, parents=path == self._target)
        self._modes[path] = 0o755
        path.chmod(0o700)

    def _refuse_existing(self, path: Path) -> None:
        if path.is_symlink() or path.exists():
            raise UnsafeArchiveError(f"has the entry {path.name!r} twice")

    def _write_file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        source = tar.extractfile(member)
        if source is None:
            raise UnsafeArchiveError(f"has the entry {member.name!r} without content")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            left = member.size
            while left and (chunk := source.read(min(_CHUNK, left))):
                left -= len(chunk)
                file.write(chunk)
            if left:
                raise UnsafeArchiveError(f"ends within the entry {member.name!r}")
            os.fchmod(file.fileno(), member.mode)
