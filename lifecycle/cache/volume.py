"""A cache in a directory, in the reference's format, which survives crashes and several builds at once.

::

    committed/io.buildpacks.lifecycle.cache.metadata   what the cache says of itself, JSON
    committed/sha256:<diffID>.tar                      uncompressed layers
    committed-backup/                                  the old content, where two renames replace it
    staging-<random>/                                  the next content, a directory for each transaction

The content is replaced by exchanging two directories in one step, so there is always a whole one.
Reference: cache/volume_cache.go.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
from typing import IO, TYPE_CHECKING

from lifecycle.cache.directories import (
    Staging,
    locked,
    recover_directory,
    remove_abandoned_staging,
    replace_directory,
)
from lifecycle.errors import CacheEntryNotFoundError, CacheError, VerificationError
from lifecycle.files.atomic import sync_directory
from lifecycle.files.regular_file import open_regular
from lifecycle.images.stored_image import MAX_DOCUMENT
from lifecycle.model.label_text import read_cache_metadata
from lifecycle.model.lifecycle_metadata import CacheMetadata
from lifecycle.oci.digest import is_digest
from lifecycle.oci.gojson import dumps
from lifecycle.progress import NO_PROGRESS, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.oci.digest import DiffId
    from lifecycle.progress import Progress

METADATA_NAME = "io.buildpacks.lifecycle.cache.metadata"

_LOG = logging.getLogger(__name__)
_CHUNK = 1024 * 1024
_SHOWN = len("sha256:") + 12
_NO_LINK = frozenset({errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Hard links to files of other users may be forbidden, and CIFS and FUSE may have none."""


class VolumeCache:
    """A cache of layers in the directory ``path``, which has to exist; ``progress`` hears of their bytes."""

    def __init__(self, path: Path, *, progress: Progress = NO_PROGRESS) -> None:
        if not path.is_dir():
            raise CacheError("is not a directory", where=path, remedy="create the cache directory")
        self._path = path
        self._progress = progress
        self._committed = path / "committed"
        # A cache that may only be read is used as it is.
        with contextlib.suppress(OSError), locked(path):
            recover_directory(self._committed)
            self._committed.mkdir(exist_ok=True)

    @property
    def name(self) -> str:
        """The path of the directory."""
        return str(self._path)

    def metadata(self) -> CacheMetadata:
        """Return what the cache says of itself; unreadable or missing is empty."""
        try:
            data = self.metadata_bytes()
            return CacheMetadata() if data is None else read_cache_metadata(data.decode("utf-8", errors="replace"))
        except (OSError, ValueError) as error:
            _LOG.warning("Ignoring cache '%s' because its metadata is corrupt", self.name)
            _LOG.debug("%s: %s", self._committed / METADATA_NAME, error)
            return CacheMetadata()

    def metadata_bytes(self) -> bytes | None:
        """Return the file of what the cache says of itself, ``None`` if there is none.

        Raises ``OSError``, and ``ValueError`` for one that is larger than a configuration with such a label may be.
        """
        try:
            with open_regular(self._committed / METADATA_NAME) as file:
                data = file.read(MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return None
        if len(data) > MAX_DOCUMENT:
            raise ValueError(f"has more than {MAX_DOCUMENT} bytes")
        return data

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        try:
            file = open_regular(self._committed / _file_name(diff_id))
        except FileNotFoundError as error:
            raise _not_found(diff_id) from error
        except OSError as error:
            raise CacheError(f"failed to get cache layer with SHA '{diff_id}': {error.strerror}") from error
        with file:
            chunks = _watched(_chunks(file), "restoring", diff_id, _size(file), self._progress)
            yield from _hashed(chunks, diff_id)

    def layer_size(self, diff_id: DiffId) -> int | None:
        """Return the size of a layer's file in bytes, ``None`` if there is none that can be looked at."""
        try:
            return (self._committed / _file_name(diff_id)).stat().st_size
        except (OSError, CacheEntryNotFoundError):
            return None

    def begin(self) -> VolumeTransaction:
        """Start to replace the content."""
        try:
            with locked(self._path):
                remove_abandoned_staging(self._path)
                return VolumeTransaction(self._committed, Staging(self._path), self._progress)
        except OSError as error:
            raise CacheError(f"can't be written: {error.strerror}", where=error.filename or self._path) from error


class VolumeTransaction:
    """The next content of a ``VolumeCache``, whose directory ``committed`` it will replace."""

    def __init__(self, committed: Path, staging: Staging, progress: Progress) -> None:
        self._committed = committed
        self._staging = staging
        self._progress = progress
        self._open = True

    def add(self, source: LayerSource, diff_id: DiffId) -> None:
        """Add a layer, whose bytes have to be those of ``diff_id``."""
        with self._staged(diff_id) as part:
            if part is not None:
                chunks = _watched(source.chunks(), "caching", diff_id, None, self._progress)
                _write(part, _hashed(chunks, diff_id))

    def add_blob(self, blob: LayerBlob) -> None:
        """Add a layer that is stored already, unpacked."""
        with self._staged(blob.diff_id) as part:
            if part is not None:
                size = blob.uncompressed_size
                _write(part, _watched(blob.uncompressed(), "caching", blob.diff_id, size, self._progress))

    def reuse(self, diff_id: DiffId) -> None:
        """Keep a layer of the current content, once its bytes have proved right."""
        with self._staged(diff_id) as part:
            if part is None:
                return
            # Linked first, verified after: what another build's commit removes meanwhile stays readable here.
            _link_or_copy(self._committed / part.with_suffix(".tar").name, part, diff_id)
            with open_regular(part) as file:
                chunks = _watched(_chunks(file), "checking", diff_id, _size(file), self._progress)
                for _ in _hashed(chunks, diff_id):
                    pass
                os.fsync(file.fileno())

    def commit(self, metadata: CacheMetadata | None) -> None:
        """Replace the content by what was added and reused, all or nothing; a launch cache has no metadata."""
        self._require_open()
        self._open = False
        try:
            if metadata is not None:
                text = dumps(metadata.label()) + "\n"
                _write(self._staging.path / METADATA_NAME, [text.encode("utf-8", "surrogateescape")])
            sync_directory(self._staging.path)
            with locked(self._committed.parent):
                replace_directory(self._committed, self._staging.path)
        except OSError as error:
            raise CacheError(f"can't be committed: {error.strerror}", where=self._committed.parent) from error
        finally:
            self._staging.remove()

    def abort(self) -> None:
        """Leave the content as it is; harmless after ``commit``."""
        if self._open:
            self._open = False
            self._staging.remove()

    @contextlib.contextmanager
    def _staged(self, diff_id: DiffId) -> Iterator[Path | None]:
        """Give the temporary name of a layer, which becomes final at the end; ``None`` if it is there."""
        self._require_open()
        target = self._staging.path / _file_name(diff_id)
        if target.exists():
            yield None
            return
        part = target.with_suffix(".part")
        try:
            yield part
            part.rename(target)
        except OSError as error:
            where = self._committed.parent
            raise CacheError(f"can't be written: {error.strerror}", where=where) from error
        finally:
            part.unlink(missing_ok=True)

    def _require_open(self) -> None:
        if not self._open:
            raise CacheError("cache cannot be modified after commit", where=self._committed.parent)


def _file_name(diff_id: DiffId) -> str:
    if not is_digest(diff_id):
        raise _not_found(diff_id)
    return f"{diff_id}.tar"


def _not_found(diff_id: DiffId) -> CacheEntryNotFoundError:
    return CacheEntryNotFoundError(f"failed to find cache layer with SHA '{diff_id}'")


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _link_or_copy(source: Path, target: Path, diff_id: DiffId) -> None:
    try:
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise _not_found(diff_id) from error


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _watched(
    chunks: Iterable[bytes], doing: str, diff_id: DiffId, size: int | None, progress: Progress
) -> Iterator[bytes]:
    return watched(chunks, progress, task=f"{doing} {diff_id[:_SHOWN]}", total=size)


def _hashed(chunks: Iterable[bytes], diff_id: DiffId) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if (found := f"sha256:{hasher.hexdigest()}") != diff_id:
        raise VerificationError(f"expected layer contents to have SHA '{diff_id}'; found '{found}'")
