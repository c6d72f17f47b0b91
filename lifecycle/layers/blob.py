"""Layers as they are stored: compressed, addressed by digest.

Spec: OCI image-spec layer.md, descriptor.md.  Reference: gzip without name or time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lifecycle.errors import CorruptImageError, UnsafeArchiveError
from lifecycle.oci.digest import DiffId, Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lifecycle.layers.source import LayerSource

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 18
_LEVEL = 1

MAX_LAYER = 1 << 40
"""Bytes of one layer, uncompressed, beyond which it is taken for a decompression bomb."""

MAX_RATIO = 1100
"""Deflate can't do better than about 1 : 1032; what claims more is no honest stream."""


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer in a file: ``size`` bytes of ``digest``, ``uncompressed_size`` bytes of ``diff_id``."""

    diff_id: DiffId
    digest: Digest
    size: int
    uncompressed_size: int
    path: Path


class _Sink(Protocol):
    def write(self, data: bytes) -> None: ...


class _HashingFile:
    """Writes through to a file and keeps digest and size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hasher.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        return Digest("sha256:" + self._hasher.hexdigest())


def write_blob(source: LayerSource, directory: Path) -> LayerBlob:
    """Store a layer gzipped in ``directory`` under its hex digest, in one pass and flat memory.

    The file appears by rename once it is whole and on disk.  Errors of ``source`` pass through and leave nothing.
    """
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=".layer-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            sink = _HashingFile(file)
            found, uncompressed_size = _gzip(source.chunks(), sink)
            file.flush()
            os.fsync(file.fileno())
        path = directory / sink.digest().removeprefix("sha256:")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return LayerBlob(found, sink.digest(), sink.size, uncompressed_size, path)


def _gzip(chunks: Iterable[bytes], sink: _Sink) -> tuple[DiffId, int]:
    """Compress into ``sink``; return diffID and size of what went in."""
    hasher = hashlib.sha256()
    crc = size = 0
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    sink.write(_GZIP_HEADER)
    for chunk in chunks:
        hasher.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        if data := deflate.compress(chunk):
            sink.write(data)
    sink.write(deflate.flush())
    sink.write(crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
    return DiffId("sha256:" + hasher.hexdigest()), size


def decompressed(chunks: Iterable[bytes], *, where: str = "layer") -> Iterator[bytes]:
    """Yield the tar of a stored layer, gzipped or plain as its first bytes say.

    Raises ``CorruptImageError`` for a broken stream or an unknown compression, ``UnsafeArchiveError`` for a bomb.
    """
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= len(_ZSTD_MAGIC):
            break
    if head.startswith(_ZSTD_MAGIC):
        raise CorruptImageError("is compressed with zstd, which this version can't read", where=where)
    whole = _chained(head, stream)
    yield from _gunzip(whole, where) if head.startswith(_GZIP_MAGIC) else whole


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _gunzip(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the content of all gzip members."""
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    read = written = 0
    for chunk in chunks:
        read += len(chunk)
        data = chunk
        while data:
            if member.eof:
                member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                out = member.decompress(data, _CHUNK)
            except zlib.error as error:
                raise CorruptImageError(f"is not a valid gzip stream: {error}", where=where) from error
            written += len(out)
            if written > MAX_LAYER or written > max(read, 1 << 16) * MAX_RATIO:
                raise UnsafeArchiveError("unpacks to far more than a layer can hold", where=where)
            if out:
                yield out
            data = member.unused_data if member.eof else member.unconsumed_tail
    while not member.eof and (out := member.decompress(member.unconsumed_tail, _CHUNK)):
        yield out
    if read and not member.eof:
        raise CorruptImageError("is a truncated gzip stream", where=where)
