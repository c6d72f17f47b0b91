"""Layers that image extensions made, with the times and owner names of their entries made constant.

Reference: layers/tar.go: each entry keeps its owner, its name and the tar format in which it came.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError
from lifecycle.layers.blob import decompressed
from lifecycle.layers.tar import BLOCK, MTIME, TRAILER, padding
from lifecycle.oci.digest import verified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.oci.manifest import Descriptor

_CHUNK = 1 << 18
_NAMES = slice(265, 329)
_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
_DEVICES = slice(329, 345)
_EXTENDED = frozenset("xgLK")


@dataclass(frozen=True, slots=True)
class _Normalised:
    path: Path
    descriptor: Descriptor

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar with every header normalised and its content as it is."""
        stream = io.BufferedReader(_Reader(self._stored()), _CHUNK)
        while block := stream.read(BLOCK):
            if len(block) < BLOCK:
                raise CorruptImageError("ends within a header", where=str(self.path))
            if block == bytes(BLOCK):
                break
            yield from self._entry(block, stream)
        while stream.read(_CHUNK):
            pass
        yield TRAILER

    def _stored(self) -> Iterator[bytes]:
        def chunks() -> Iterator[bytes]:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

        where = str(self.path)
        promised = self.descriptor
        return decompressed(verified(chunks(), digest=promised.digest, size=promised.size, where=where), where=where)

    def _entry(self, block: bytes, stream: io.BufferedReader[_Reader]) -> Iterator[bytes]:
        kind = chr(block[156])
        try:
            size = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size
        except tarfile.HeaderError as error:
            raise CorruptImageError(f"has a broken header: {error}", where=str(self.path)) from error
        yield block if kind in _EXTENDED else _constant(block)
        left = size + len(padding(size))
        while left:
            chunk = stream.read(min(_CHUNK, left))
            if not chunk:
                raise CorruptImageError("ends within a file", where=str(self.path))
            left -= len(chunk)
            yield chunk


class _Reader(io.RawIOBase):
    """Chunks as a raw file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _constant(block: bytes) -> bytes:
    header = bytearray(block)
    header[_MTIME] = b"%011o\x00" % MTIME
    header[_NAMES] = bytes(64)
    if header[_DEVICES] == bytes(16):
        header[_DEVICES] = b"0000000\x000000000\x00"
    header[_CHECKSUM] = b"        "
    header[_CHECKSUM] = b"%06o\x00 " % sum(header)
    return bytes(header)


def normalised_layer(path: Path, descriptor: Descriptor) -> _Normalised:
    """Return the layer stored in ``path`` as a source; its bytes are verified while they are read.

    ``chunks`` raises ``CorruptImageError`` or ``VerificationError`` for a layer that isn't what ``descriptor`` says.
    """
    return _Normalised(path, descriptor)
