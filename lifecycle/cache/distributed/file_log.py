"""The tags of a distributed cache as files in a directory that builders share.

A name appears by ``link`` of a file that is whole and on disk, so that no reader and no crash sees half of one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.files.atomic import sync_directory
from lifecycle.files.regular_file import open_regular
from lifecycle.oci.manifest import LARGEST_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

_TEMPORARY = ".new-"


class FileLog:
    """Names as files of the directory ``path``, which is made with the first one.

    Builders on several hosts need a file system whose ``link`` and listings they all see at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, name: str) -> None:
        """Write a name; it is on disk when this returns."""
        self.write(name, f"{name}\n".encode())

    def write(self, name: str, data: bytes) -> None:
        """Write a name whose file holds ``data``; the first to do so stays."""
        temporary = self._path / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, self._path / name)
            finally:
                temporary.unlink(missing_ok=True)
            # Also where another process wrote the name: its crash must not take back what we have seen.
            sync_directory(self._path)
        except OSError as error:
            raise CacheError(f"can't be written: {error.strerror}", where=self._path / name) from error

    def read(self, name: str) -> bytes | None:
        """Return what the file of a name holds; raises as ``read_manifest_file``."""
        return read_manifest_file(self._path / name)

    def names(self) -> frozenset[str]:
        """Return all names."""
        try:
            found = os.listdir(self._path)  # noqa: PTH208  # names, not paths
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise CacheError(f"can't be read: {error.strerror}", where=self._path) from error
        return frozenset(name for name in found if not name.startswith(_TEMPORARY))

    def now(self) -> int:
        """Return the time of the file system, which is that of a file server where there is one."""
        temporary = self._path / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                return int(os.fstat(descriptor).st_mtime)
            finally:
                os.close(descriptor)
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"can't be written: {error.strerror}", where=self._path) from error

    def remove(self, name: str) -> None:
        """Take a name away; a crash may bring it back."""
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"can't be removed: {error.strerror}", where=self._path / name) from error

    def remove_leftovers(self, *, before: float) -> None:
        """Remove what killed processes left on their way to a name before that time; raise ``OSError``."""
        for path in self._path.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_mtime <= before:
                    path.unlink()


def read_manifest_file(path: Path) -> bytes | None:
    """Return the manifest that a file holds, ``None`` if it isn't there.

    Raises ``CorruptImageError`` for a file that is larger than manifests are, ``CacheError`` if it can't be read.
    """
    try:
        with open_regular(path) as file:
            data = file.read(LARGEST_MANIFEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CacheError(f"can't be read: {error.strerror}", where=path) from error
    if len(data) > LARGEST_MANIFEST:
        raise CorruptImageError(f"has a manifest of more than {LARGEST_MANIFEST} bytes", where=path)
    return data
