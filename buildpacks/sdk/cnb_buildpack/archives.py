"""Archives unpacked into a layer: nothing outside of it, nothing but files, directories and links, within bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from cnb_buildpack.downloads import fetch
from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BYTES = 1 << 34
"""Bytes of all files of an archive (16 GiB)."""
MAX_ENTRIES = 1 << 20
_CHUNK = 1 << 16
_LONGEST_HEADER = 1 << 20
"""Bytes that ``tarfile`` may have at a time; it asks for whole headers, which may say that they are of any length."""
_COMPRESSED: Mapping[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_TAR_MAGIC = slice(257, 262)
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, RecursionError, ValueError)
"""What the standard library raises for malformed archives; it reads headers that follow each other by recursion."""


class ArchiveError(BuildpackError):
    """An archive is none, or has what may not be unpacked."""


def fetch_unpacked(
    url: str,
    directory: Path,
    *,
    sha256: str = "",
    sha512: str = "",
    strip: int = 0,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
) -> None:
    """Download an archive, check its digest, one of the two, and unpack it; see ``fetch`` and ``unpack``."""
    with tempfile.TemporaryDirectory(prefix="archive-") as temporary:
        name = urllib.parse.urlsplit(url).path.rpartition("/")[2] or "archive"
        archive = fetch(url, Path(temporary, name), sha256=sha256, sha512=sha512)
        unpack(archive, directory, strip=strip, max_bytes=max_bytes, max_entries=max_entries)


def unpack(
    archive: Path,
    directory: Path,
    *,
    strip: int = 0,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
) -> None:
    """Unpack a tar (plain, gzip, bzip2 or xz) or a zip (a jar, a wheel) into a directory, which is made if need be.

    ``strip`` is the number of directories to leave away at the beginning of each name; what has no more is left out.
    Files get the modes 755 or 644, directories 755; times and owners are not those of the archive.  Raises
    ``ArchiveError`` for what is no archive, names outside of the directory, links that lead out of it or to absolute
    paths, names below a link, devices and pipes, and for more than ``max_entries`` or ``max_bytes`` of all files
    together.  What was unpacked until then stays: a layer counts only once ``build`` has returned.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = _Target(archive.name, directory, strip, max_bytes, max_entries)
    try:
        with archive.open("rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
            file.seek(0)
            uncompressed = next((each for magic, each in _COMPRESSED.items() if head.startswith(magic)), None)
            if uncompressed is not None:
                _unpack_tar(uncompressed(file), target)
            elif head[_TAR_MAGIC] == b"ustar":
                _unpack_tar(file, target)
            elif zipfile.is_zipfile(file):
                _unpack_zip(file, target)
            else:
                raise ArchiveError(
                    f"{archive.name} is neither a zip nor a tar, plain or compressed by gzip, bzip2 or xz",
                    fix="check what its URL answers",
                )
    except (*_BROKEN, OSError) as error:
        raise ArchiveError(
            f"{archive.name} can't be unpacked: {error}", fix="see that it is whole and that the disk has room"
        ) from error
    target.check_links()


class _Stream(io.BufferedReader):
    """A stream that gives no more at once than an honest archive needs."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError("it has a header that is too long")
        return super().read(size)


def _unpack_tar(stream: io.BufferedIOBase, target: _Target) -> None:
    with _Stream(cast("io.RawIOBase", stream)) as careful, tarfile.open(fileobj=careful, mode="r:") as tar:
        while (member := tar.next()) is not None:
            # Else it keeps all that it saw.
            tar.members.clear()  # type: ignore[attr-defined]  # documented by its code alone
            target.count(member.name, member.size)
            path = target.place(member.name)
            if path is None:
                continue
            if member.isdir():
                target.add_directory(path)
            elif member.issym():
                target.add_link(path, member.linkname)
            elif member.islnk():
                target.add_hard_link(path, member.linkname)
            elif member.isfile() and (content := tar.extractfile(member)) is not None:
                with content:
                    target.add_file(path, content, executable=bool(member.mode & 0o100))
            else:
                raise target.refusal(member.name, "is neither a file, a directory nor a link")
        # It takes a header that it can't read for the end.
        careful.seek(tar.offset)
        if careful.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError("a header in the middle of it is broken")


def _unpack_zip(file: BinaryIO, target: _Target) -> None:
    with zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            target.count(member.filename, member.file_size)
            path = target.place(member.filename)
            if path is None:
                continue
            # What was not packed on a Unix has no modes.
            mode = member.external_attr >> 16
            if member.is_dir():
                target.add_directory(path)
                continue
            if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFLNK}:
                raise target.refusal(member.filename, "is neither a file, a directory nor a link")
            try:
                content = opened.open(member)
            except (RuntimeError, NotImplementedError) as error:
                raise target.refusal(member.filename, f"can't be read: {error}") from error
            with content:
                if stat.S_ISLNK(mode):
                    target.add_link(path, os.fsdecode(content.read(_CHUNK)))
                else:
                    target.add_file(path, content, executable=bool(mode & 0o100))


@dataclass(slots=True)
class _Target:
    """The directory that an archive is unpacked into."""

    archive: str
    root: Path
    strip: int
    max_bytes: int
    max_entries: int
    entries: int = 0
    size: int = 0
    directories: set[Path] = field(default_factory=set)
    links: list[Path] = field(default_factory=list)

    def refusal(self, name: str, problem: str) -> ArchiveError:
        return ArchiveError(f"{self.archive} has {name!r}, which {problem}", fix="use another archive")

    def count(self, name: str, size: int) -> None:
        """Count an entry by the size that the archive says, which neither format reads beyond."""
        self.entries += 1
        self.size += size
        if self.entries > self.max_entries:
            raise ArchiveError(f"{self.archive} has more than {self.max_entries} entries", fix="use another archive")
        if self.size > self.max_bytes:
            raise self.refusal(name, f"makes it unpack to more than {self.max_bytes} bytes")

    def place(self, name: str) -> Path | None:
        """Return where an entry belongs, ``None`` if nothing of its name is left."""
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise self.refusal(name, "is outside of the directory")
        kept = parts[self.strip :]
        return self.root.joinpath(*kept) if kept else None

    def add_directory(self, path: Path) -> None:
        for each in (*_parents(path, self.root), path):
            if each in self.directories:
                continue
            try:
                each.mkdir()
                each.chmod(0o755)
            except FileExistsError:
                if each.is_symlink() or not each.is_dir():
                    raise self.refusal(self._name(path), f"is below {self._name(each)!r}, a file or link") from None
            self.directories.add(each)

    def add_file(self, path: Path, content: IO[bytes], *, executable: bool) -> None:
        self._make_room(path)
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK):
                file.write(chunk)
        path.chmod(0o755 if executable else 0o644)

    def add_link(self, path: Path, leads_to: str) -> None:
        if not leads_to or leads_to.startswith("/") or "\0" in leads_to:
            raise self.refusal(self._name(path), f"is a link to {leads_to!r}, outside of the directory")
        self._make_room(path)
        path.symlink_to(leads_to)
        self.links.append(path)

    def add_hard_link(self, path: Path, name: str) -> None:
        source = self.place(name)
        parents = () if source is None else tuple(_parents(source, self.root))
        if source is None or not set(parents) <= self.directories or source.is_symlink() or not source.is_file():
            raise self.refusal(self._name(path), f"is the same file as {name!r}, which is none of its own")
        if source != path:
            self._make_room(path)
            path.hardlink_to(source)

    def check_links(self) -> None:
        """Raise ``ArchiveError`` if a link leads out, maybe by way of others: only now all are there."""
        root = os.path.realpath(self.root)
        for path in self.links:
            if not Path(os.path.realpath(path)).is_relative_to(root):
                leads_to = str(path.readlink())
                path.unlink()
                raise self.refusal(self._name(path), f"is a link to {leads_to!r}, outside of the directory")

    def _make_room(self, path: Path) -> None:
        """Let a path be free in a directory that is there: of two entries with a name the last one counts."""
        if path.parent != self.root:
            self.add_directory(path.parent)
        if path.is_dir() and not path.is_symlink():
            raise self.refusal(self._name(path), "is a file and a directory")
        path.unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


def _parents(path: Path, root: Path) -> Iterator[Path]:
    """Yield the directories between ``root`` and a path, the outermost first."""
    for part in path.parent.relative_to(root).parts:
        root /= part
        yield root
