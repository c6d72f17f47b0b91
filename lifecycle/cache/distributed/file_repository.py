"""A distributed cache in a directory: ``blobs/sha256/<hex>`` for blobs and records, ``tags`` for names."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.file_log import FileLog, read_manifest_file
from lifecycle.cache.distributed.tags import Stored
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.files.atomic import sync_directory
from lifecycle.files.regular_file import open_regular
from lifecycle.oci.digest import digest_of, verified
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.oci.digest import Digest

_CHUNK = 1 << 18
_PREFIX = "sha256:"
_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Why a file that can be read can't be marked as asked for: it is another user's, or mounted so."""


class FileRepository:
    """The directory ``path``, which is made with the first blob."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blobs = path / "blobs" / "sha256"
        self._tags = FileLog(path / "tags")
        self.log: KeptLog = self._tags

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is there, and as long as it should be; who asks may go on to need it."""
        path = self._file(blob.digest)
        try:
            if path.stat().st_size != blob.size:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise CacheError(f"can't be read: {error.strerror}", where=self._path) from error
        return True

    def names(self) -> frozenset[str]:
        """Return all names."""
        return self.log.names()

    def remove(self, name: str) -> None:
        """Take a name away; what it leads to goes by ``sweep``."""
        self.log.remove(name)

    def check_deletion(self) -> None:
        """Do nothing: that files can't be removed is told by the first one."""

    def mend(self) -> int:
        """Return 0: no name is half-written."""
        return 0

    def sweep(self, referenced: Callable[[], set[Digest]], *, before: float) -> tuple[int, int]:
        """Remove the blobs that nothing refers to and that nobody asked for since ``before``, and leftovers of crashes.

        ``referenced`` is called after the blobs were listed.  Returns how many went, and their bytes.
        """
        try:
            self._tags.remove_leftovers(before=before)
            old = [each for each in self._files() if _is_older(each, before)]
            kept = {digest.removeprefix(_PREFIX) for digest in referenced()}
            sizes = [self._removed(path, before) for path in old if path.name not in kept]
        except OSError as error:
            raise CacheError(f"can't be removed: {error.strerror}", where=error.filename or self._path) from error
        gone = [size for size in sizes if size is not None]
        return len(gone), sum(gone)

    def _files(self) -> list[Path]:
        return sorted(self._blobs.iterdir()) if self._blobs.is_dir() else []

    def _removed(self, path: Path, before: float) -> int | None:
        """Remove a file by way of another name, from which it comes back if somebody asked for it meanwhile."""
        aside = path.with_name(f".new-{secrets.token_hex(8)}")
        try:
            path.rename(aside)
            status = aside.stat()
        except FileNotFoundError:
            # Another collector was here before.
            return None
        if status.st_mtime > before:
            aside.rename(path)
            return None
        aside.unlink(missing_ok=True)
        return status.st_size

    def put_blob(self, blob: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Write a blob under a temporary name, and rename it once it is whole and on disk."""
        target = self._file(blob.digest)
        temporary = target.with_name(f".new-{secrets.token_hex(8)}")
        try:
            self._blobs.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.writelines(verified(open_chunks(), digest=blob.digest, size=blob.size, where=self.name))
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            sync_directory(self._blobs)
        except OSError as error:
            raise CacheError(f"can't be written: {error.strerror}", where=self._path) from error

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return verified(self._chunks(blob.digest), digest=blob.digest, size=blob.size, where=self.name)

    def put_record(self, data: bytes) -> None:
        """Write a manifest and its tag."""
        self.put_manifest(Stored(digest_of(data)).name, data)

    def put_tagged(self, name: str, data: bytes) -> None:
        """Write a manifest as the file of its tag."""
        self._tags.write(name, data)

    def tagged(self, name: str) -> bytes | None:
        """Return a manifest by its tag."""
        return self._tags.read(name)

    def put_manifest(self, name: str, data: bytes) -> None:
        """Write a manifest, then its tag."""
        descriptor = Descriptor(OCI_MANIFEST, len(data), digest_of(data))
        self.put_blob(descriptor, lambda: iter((data,)))
        self.log.append(name)

    def record(self, digest: Digest) -> bytes | None:
        """Return a manifest."""
        data = read_manifest_file(self._file(digest))
        return None if data is None else b"".join(verified((data,), digest=digest, size=None, where=self.name))

    def _chunks(self, digest: Digest) -> Iterator[bytes]:
        try:
            with open_regular(self._file(digest)) as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except FileNotFoundError as error:
            raise CorruptImageError(f"lacks the blob {digest}", where=self.name) from error
        except OSError as error:
            raise CacheError(f"can't be read: {error.strerror}", where=self._path) from error

    def _file(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix(_PREFIX)


def _is_older(path: Path, before: float) -> bool:
    """Say whether a file is there, and of a time no later than ``before``: those of builders come and go."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime <= before
