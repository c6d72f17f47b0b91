"""Gzip streams made and read.  Spec: RFC 1952 "File format"; RFC 1951 "Details of block format"."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from lifecycle.errors import CorruptImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAGIC: Final = b"\x1f\x8b"
_HEADER: Final = bytes.fromhex("1f8b08000000000004ff")
_CHUNK: Final = 1 << 18
_BLOCK: Final = (1 << 16) - 1
"""Bytes; the most that a stored block can hold."""

_WINDOW: Final = 2 * _BLOCK
"""Bytes of input after which it is asked whether packing was worth it."""

_SAMPLE: Final = 1 << 11
"""Bytes of a block that are tried."""

_WORTH: Final = 1 / 32
"""The part of its size that packing has to save."""


def is_gzip(head: bytes) -> bool:
    """Say whether a stream that begins so is one of gzip members."""
    return head.startswith(_MAGIC)


def unpacked(chunks: Iterable[bytes], *, where: str) -> Iterator[bytes]:
    """Yield the content of all members; raise ``CorruptImageError`` for a broken stream."""
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if member.eof:
                    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
                out = member.decompress(data, _CHUNK)
                data = member.unused_data if member.eof else member.unconsumed_tail
                while out:
                    yield out
                    # What did not fit into the last piece may wait inside zlib with no input left.
                    out = b"" if data or member.eof else member.decompress(b"", _CHUNK)
    except zlib.error as error:
        raise CorruptImageError(f"is not a valid gzip stream: {error}", where=where) from error
    if not member.eof:
        raise CorruptImageError("is a truncated gzip stream", where=where)


class Packer:
    """Packs a stream into one gzip member, whose header says nothing of file or time; ``level`` is 1 to 9.

    What does not shrink is stored: jars, wheels and archives, with which deflate takes twice as long as with text.
    The output follows from the data, however it is cut into chunks, and from the version of zlib.  ISA-L is faster
    and gives other bytes on other processors, so that builders would not agree on a manifest.
    """

    def __init__(self, level: int) -> None:
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        self._rest = b""
        self._stores = False
        self._read = self._written = 0
        self._pending = [_HEADER]

    def encode(self, data: bytes) -> bytes:
        """Return what is packed so far."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        gathered = self._rest + data if self._rest else data
        whole = len(gathered) - len(gathered) % _BLOCK
        view = memoryview(gathered)
        self._rest = bytes(view[whole:])
        packed, self._pending = self._pending, []
        for start in range(0, whole, _BLOCK):
            packed.append(self._block(view[start : start + _BLOCK]))
        return b"".join(packed)

    def end(self) -> bytes:
        """Return the rest."""
        trailer = self._crc.to_bytes(4, "little") + (self._size % (1 << 32)).to_bytes(4, "little")
        return b"".join((*self._pending, self._deflate.compress(self._rest), self._deflate.flush(), trailer))

    def _block(self, block: memoryview) -> bytes:
        if self._stores:
            if not _shrinks(block):
                return _stored(block)
            self._stores = False
        packed = self._deflate.compress(block)
        self._read += len(block)
        self._written += len(packed)
        if self._read >= _WINDOW:
            if self._written > self._read * (1 - _WORTH):
                self._stores = True
                # It ends on a whole byte, and later blocks don't refer to earlier ones.
                packed += self._deflate.flush(zlib.Z_FULL_FLUSH)
            self._read = self._written = 0
        return packed


def _shrinks(block: memoryview) -> bool:
    middle = len(block) // 2
    sample = block[middle : middle + _SAMPLE]
    return len(zlib.compress(sample, 1)) < len(sample) * (1 - 2 * _WORTH)


def _stored(block: memoryview) -> bytes:
    size = len(block)
    return b"".join((b"\0", size.to_bytes(2, "little"), (size ^ 0xFFFF).to_bytes(2, "little"), block))
