"""The files of an OCI layout, in a directory or in a tar archive.  Spec: OCI image-spec image-layout.md."""

from __future__ import annotations

import os
import tarfile
import weakref
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import CorruptImageError, ImageError, ImageNotFoundError
from lifecycle.files.regular_file import open_regular
from lifecycle.layers.blob import LONGEST_MAGIC, packing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.oci.digest import Digest

INDEX = "index.json"
CHUNK = 1024 * 1024


def blob_name(digest: Digest) -> str:
    """Return the name of a blob inside a layout."""
    return f"blobs/{digest.replace(':', '/', 1)}"


class LayoutFiles(Protocol):
    """Read access to the files of a layout, by their names in it."""

    @property
    def where(self) -> str:
        """The path of the layout."""
        ...

    def size(self, name: str) -> int | None:
        """Return the size of a file, ``None`` if there is none."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file; raise ``CorruptImageError`` if there is none."""
        ...


class DirectoryFiles:
    """A layout that is a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        """The path of the directory."""
        return str(self._path)

    def size(self, name: str) -> int | None:
        """Return the size of a file, ``None`` if there is none."""
        try:
            return (self._path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=self._path / name) from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        try:
            with open_regular(self._path / name) as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except FileNotFoundError as error:
            raise CorruptImageError(f"lacks {name}", where=self.where) from error
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=self._path / name) from error


class ArchiveFiles:
    """A layout that is an uncompressed tar archive; it stays readable when another file takes its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with open_regular(path) as file:
                self._descriptor = os.dup(file.fileno())
        except FileNotFoundError as error:
            raise ImageNotFoundError("does not exist", where=path) from error
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=path) from error
        weakref.finalize(self, os.close, self._descriptor)
        self._members = self._read_members()

    @property
    def where(self) -> str:
        """The path of the archive."""
        return str(self._path)

    def size(self, name: str) -> int | None:
        """Return the size of a file, ``None`` if there is none."""
        member = self._members.get(name)
        return None if member is None else member[1]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        if name not in self._members:
            raise CorruptImageError(f"lacks {name}", where=self._path)
        offset, left = self._members[name]
        while left:
            try:
                chunk = os.pread(self._descriptor, min(CHUNK, left), offset)
            except OSError as error:
                raise ImageError(f"can't be read: {error.strerror}", where=self._path) from error
            if not chunk:
                raise CorruptImageError("is cut short", where=self._path)
            yield chunk
            offset += len(chunk)
            left -= len(chunk)

    def _read_members(self) -> dict[str, tuple[int, int]]:
        try:
            if packing(os.pread(self._descriptor, LONGEST_MAGIC, 0)) == "gzip":
                raise CorruptImageError("is compressed", where=self._path, remedy="decompress it with gunzip")
            with (
                os.fdopen(os.dup(self._descriptor), "rb") as file,
                tarfile.open(fileobj=file, mode="r:") as archive,
            ):
                return _places(archive)
        except (tarfile.TarError, ValueError) as error:
            raise CorruptImageError(f"is not a tar archive: {error}", where=self._path) from error
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=self._path) from error


def _places(archive: tarfile.TarFile) -> dict[str, tuple[int, int]]:
    """Return offset and size of each file; a link, as Docker archives have them, stands for its target."""
    files: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    for member in archive:
        name = os.path.normpath(member.name).lstrip("/")  # pack's archives have absolute names
        if member.isreg():
            files[name] = (member.offset_data, member.size)
        elif member.issym() or member.islnk():
            start = os.path.dirname(name) if member.issym() else ""  # noqa: PTH120  # a name in the archive
            links[name] = os.path.normpath(os.path.join(start, member.linkname))  # noqa: PTH118
    return files | {name: files[target] for name, target in links.items() if target in files}
