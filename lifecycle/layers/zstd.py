"""The content of zstd streams, in bounded memory.  Spec: RFC 8878 "Zstandard Frames", "Skippable Frames"."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, cast

from lifecycle.errors import CorruptImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_WINDOW: Final = 1 << 27
"""Bytes of earlier output that a stream may refer to (128 MiB, the limit of the zstd program)."""

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC: Final = b"\x2a\x4d\x18"
_CHUNK: Final = 1 << 18
_RLE_BLOCK, _RESERVED_BLOCK = 1, 3
_CHECKSUM_SIZE: Final = 4


def is_zstd(head: bytes) -> bool:
    """Say whether a stream that begins with these four bytes or more is one of zstd frames."""
    return head.startswith(_MAGIC) or (head[1:4] == _SKIPPABLE_MAGIC and head[0] >> 4 == 0x5)  # noqa: PLR2004  # the RFC's


def unpacked(chunks: Iterable[bytes], *, where: str) -> Iterator[bytes]:
    """Yield the content of all frames; raise ``CorruptImageError`` for a broken stream or too large a window."""
    import zstandard  # noqa: PLC0415  # it takes a phase long to load, and few layers need it

    source = _Source(chunks, where)
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
        cast("IO[bytes]", source), read_size=_CHUNK, read_across_frames=True
    )
    try:
        while content := reader.read(_CHUNK):
            yield content
    except zstandard.ZstdError as error:
        raise CorruptImageError(f"is not a valid zstd stream: {error}", where=where) from error
    source.end()


class Packer:
    """Packs a stream into one zstd frame; ``level`` is 1 to 22."""

    def __init__(self, level: int) -> None:
        import zstandard  # noqa: PLC0415  # it takes a phase long to load, and few layers need it

        self._compressor = zstandard.ZstdCompressor(level=level).compressobj()

    def encode(self, data: bytes) -> bytes:
        """Return what is packed so far."""
        return self._compressor.compress(data)

    def end(self) -> bytes:
        """Return the rest."""
        return self._compressor.flush()


class _Source:
    """The chunks as a file, whose frames are followed: the library does not tell when the last one breaks off."""

    def __init__(self, chunks: Iterable[bytes], where: str) -> None:
        self._chunks = iter(chunks)
        self._frames = _Frames(where)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._frames.follow(chunk)
            self._left = memoryview(chunk)
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)

    def end(self) -> None:
        """Check what the library may have left unread, and that the stream ends where a frame does."""
        while self.read(_CHUNK):
            pass
        self._frames.end()


class _Frames:
    """Where a stream is: so many bytes to skip, and then so many of a header to read."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._skip = 0
        self._header = b""
        self._needed = len(_MAGIC)
        self._take: Callable[[bytes], None] = self._take_magic
        self._has_checksum = False

    def follow(self, chunk: bytes) -> None:
        """Go on by these bytes; raise ``CorruptImageError`` where they are no frames."""
        at = 0
        while at < len(chunk):
            if self._skip:
                step = min(self._skip, len(chunk) - at)
                self._skip -= step
                at += step
                continue
            missing = self._needed - len(self._header)
            self._header += chunk[at : at + missing]
            at += missing
            if len(self._header) == self._needed:
                header, self._header = self._header, b""
                self._take(header)

    def end(self) -> None:
        """Raise ``CorruptImageError`` unless a frame has just ended."""
        if self._skip or self._header or self._take != self._take_magic:
            raise CorruptImageError("is a truncated zstd stream", where=self._where)

    def _expect(self, needed: int, take: Callable[[bytes], None]) -> None:
        self._needed, self._take = needed, take

    def _take_magic(self, header: bytes) -> None:
        if header == _MAGIC:
            self._expect(1, self._take_descriptor)
        elif is_zstd(header):
            self._expect(4, self._take_skippable_size)
        else:
            raise CorruptImageError("is not a valid zstd stream: a frame does not begin as one", where=self._where)

    def _take_skippable_size(self, header: bytes) -> None:
        self._skip = int.from_bytes(header, "little")
        self._expect(len(_MAGIC), self._take_magic)

    def _take_descriptor(self, header: bytes) -> None:
        flags = header[0]
        is_single_segment = bool(flags & 0x20)
        self._has_checksum = bool(flags & 0x04)
        content_size = (int(is_single_segment), 2, 4, 8)[flags >> 6]
        self._skip = (not is_single_segment) + (0, 1, 2, 4)[flags & 0x03] + content_size
        self._expect(3, self._take_block)

    def _take_block(self, header: bytes) -> None:
        block = int.from_bytes(header, "little")
        kind, size = block >> 1 & 0x03, block >> 3
        if kind == _RESERVED_BLOCK:
            raise CorruptImageError("is not a valid zstd stream: it has a block of no kind", where=self._where)
        self._skip = 1 if kind == _RLE_BLOCK else size
        if block & 1:
            self._skip += _CHECKSUM_SIZE * self._has_checksum
            self._expect(len(_MAGIC), self._take_magic)
