"""Layers as they are stored: compressed, addressed by digest.

Spec: OCI image-spec layer.md, descriptor.md.  Reference: gzip without a file's name or time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from lifecycle.errors import ExportError, UnsafeArchiveError
from lifecycle.layers import gzipped, zstd
from lifecycle.oci.digest import DiffId, Digest, verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lifecycle.layers.source import LayerSource

MAX_UNCOMPRESSED = 1 << 38
"""Bytes of one layer (256 GiB) beyond which it is taken for a decompression bomb."""

Compression = Literal["gzip", "zstd", "none"]

LONGEST_MAGIC = 4
_CHUNK = 1 << 18
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer in a file: ``size`` bytes of ``digest``, ``uncompressed_size`` bytes of ``diff_id``."""

    diff_id: DiffId
    digest: Digest
    size: int
    uncompressed_size: int
    path: Path

    def chunks(self) -> Iterator[bytes]:
        """Yield the file, verified while it is read."""
        return verified(_read(self.path), digest=self.digest, size=self.size, where=str(self.path))

    def uncompressed(self) -> Iterator[bytes]:
        """Yield the tar, verified while it is read."""
        tar = decompressed(self.chunks(), where=str(self.path), limit=self.uncompressed_size)
        return verified(tar, digest=self.diff_id, size=self.uncompressed_size, where=str(self.path))


def write_blob(source: LayerSource, directory: Path, *, compression: Compression = "gzip", level: int = 1) -> LayerBlob:
    """Store a layer in ``directory`` under the hex digits of its digest, in one pass and in little memory.

    The file appears by rename once it is whole and on disk; errors of ``source`` pass through and leave
    nothing.
    One version of zlib, or of zstd, gives the same bytes for the same tar every time.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=".layer-")
    except OSError as error:
        raise _unwritable(directory, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            sink = _Sink(file, directory)
            tar = _Measure()
            encoder = _encoder(compression, level)
            for chunk in source.chunks():
                tar.update(chunk)
                sink.write(encoder.encode(chunk))
            sink.write(encoder.end())
            os.fchmod(file.fileno(), _MODE)
            sink.sync()
        path = directory / sink.measure.digest.removeprefix("sha256:")
        try:
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(directory, error) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return LayerBlob(DiffId(tar.digest), Digest(sink.measure.digest), sink.measure.size, tar.size, path)


def packing(head: bytes) -> Compression:
    """Say how something is packed that begins with ``head``, which has ``LONGEST_MAGIC`` bytes unless it is shorter."""
    if gzipped.is_gzip(head):
        return "gzip"
    return "zstd" if zstd.is_zstd(head) else "none"


def decompressed(
    chunks: Iterable[bytes],
    *,
    where: str = "layer",
    limit: int = MAX_UNCOMPRESSED,
) -> Iterator[bytes]:
    """Yield the tar of a stored layer, packed by gzip, zstd or not at all, as its first bytes and no media type say.

    Raises ``CorruptImageError`` for a broken stream or one that takes too much memory, ``UnsafeArchiveError`` for
    more than ``limit`` bytes.
    """
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= LONGEST_MAGIC:
            break
    contents = _chained(head, stream)
    match packing(head):
        case "gzip":
            contents = gzipped.unpacked(contents, where=where)
        case "zstd":
            contents = zstd.unpacked(contents, where=where)
        case "none":
            pass
    written = 0
    for content in contents:
        written += len(content)
        if written > limit:
            raise UnsafeArchiveError(f"unpacks to more than {limit} bytes", where=where)
        yield content


class _Measure:
    """Digest and size of what passes."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self.size = 0

    def update(self, data: bytes) -> None:
        self._hasher.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        return "sha256:" + self._hasher.hexdigest()


class _Sink:
    """A file whose digest and size are known."""

    def __init__(self, file: BinaryIO, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self.measure = _Measure()

    def write(self, data: bytes) -> None:
        self.measure.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def sync(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._directory, error) from error


class _Encoder(Protocol):
    def encode(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


def _encoder(compression: Compression, level: int) -> _Encoder:
    match compression:
        case "gzip":
            return gzipped.Packer(level)
        case "zstd":
            return zstd.Packer(level)
        case "none":
            return _Plain()


class _Plain:
    def encode(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise ExportError(f"can't be read: {error.strerror}", where=path) from error


def _unwritable(directory: Path, error: OSError) -> ExportError:
    return ExportError(f"a layer can't be written: {error.strerror}", where=directory)
