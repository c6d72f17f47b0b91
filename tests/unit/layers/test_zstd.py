"""Layers that are zstd streams, against the library and against streams put together by hand."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError, UnsafeArchiveError
from lifecycle.layers.blob import decompressed

MAGIC = b"\x28\xb5\x2f\xfd"
LAST_EMPTY_BLOCK = b"\x01\x00\x00"
RLE_BLOCK = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"\x00"

contents = st.one_of(
    st.binary(max_size=2000),
    st.builds(bytes, st.integers(0, 400_000)),
    st.builds(lambda data, times: data * times, st.binary(min_size=1, max_size=50), st.integers(1, 9000)),
)
skippable = st.builds(
    lambda kind, data: bytes([0x50 + kind]) + b"\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data,
    st.integers(0, 15),
    st.binary(max_size=300),
)


def frame(data: bytes, *, level: int = 3, checksum: bool = True, size: bool = True) -> bytes:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=size)
    return compressor.compress(data)


frames = st.builds(
    lambda data, level, checksum, size: (data, frame(data, level=level, checksum=checksum, size=size)),
    contents,
    st.integers(-5, 9),
    st.booleans(),
    st.booleans(),
)
parts = st.one_of(frames, st.tuples(st.just(b""), skippable))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.lists(parts, min_size=1, max_size=5), st.integers(1, 3000))
def test_a_stream_of_several_frames_in_any_pieces_is_read_whole(streams: list[tuple[bytes, bytes]], size: int) -> None:
    stored = b"".join(stream for _, stream in streams)
    assert b"".join(decompressed(pieces(stored, size))) == b"".join(data for data, _ in streams)


@given(st.lists(parts, min_size=1, max_size=3), st.data())
def test_a_stream_that_breaks_off_within_a_frame_is_refused(
    streams: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stored = b"".join(stream for _, stream in streams)
    cut = data.draw(st.integers(4, len(stored) - 1))
    ends = {sum(len(stream) for _, stream in streams[:count]) for count in range(len(streams))}
    if cut in ends:
        whole = b"".join(data for data, _ in streams)
        assert whole.startswith(b"".join(decompressed([stored[:cut]])))
    else:
        with pytest.raises(CorruptImageError, match=r"truncated|not a valid"):
            list(decompressed([stored[:cut]]))


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_damaged_stream_is_refused_or_harmless(content: bytes, data: st.DataObject) -> None:
    stored = bytearray(frame(content))
    position = data.draw(st.integers(4, len(stored) - 1))
    stored[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = b"".join(decompressed([bytes(stored)]))
    except CorruptImageError:
        return
    assert found == content


def test_rubbish_after_the_stream_is_refused() -> None:
    with pytest.raises(CorruptImageError, match="not a valid zstd stream"):
        list(decompressed([frame(b"x") + b"rubbish"]))


def window(log: int) -> bytes:
    """Return a frame that asks for a window of 2**log bytes."""
    return MAGIC + bytes([0x00, (log - 10) << 3]) + LAST_EMPTY_BLOCK


def test_a_window_of_128_mib_is_allowed_and_a_larger_one_is_not() -> None:
    assert list(decompressed([window(27)])) == []
    with pytest.raises(CorruptImageError, match="memory"):
        list(decompressed([window(28)]))


def bomb(blocks: int) -> bytes:
    return MAGIC + bytes([0x00, (20 - 10) << 3]) + RLE_BLOCK * blocks + LAST_EMPTY_BLOCK


def test_a_large_expansion_comes_in_small_pieces() -> None:
    found = [len(each) for each in decompressed([bomb(1000)])]
    assert sum(found) == 1000 * 128 * 1024
    assert max(found) <= 1 << 20


def test_more_than_the_limit_is_refused_before_it_is_unpacked() -> None:
    seen = 0
    with pytest.raises(UnsafeArchiveError, match="more than 1000000 bytes"):  # noqa: PT012  # counts what came before
        for chunk in decompressed([bomb(1000)], limit=1_000_000):
            seen += len(chunk)
    assert seen <= 1_000_000


def test_a_block_of_no_kind_is_refused() -> None:
    with pytest.raises(CorruptImageError, match="block of no kind"):
        list(decompressed([MAGIC + b"\x00\x50" + b"\x07\x00\x00"]))
