"""Gzip streams that the exporter makes: the same bytes for the same data, and no work for what does not shrink."""

from __future__ import annotations

import gzip
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.layers.gzipped import Packer, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTS = st.lists(
    st.tuples(st.sampled_from(["random", "text", "zeros"]), st.integers(0, 300_000)), min_size=1, max_size=6
)


def noise(size: int, seed: object = 0) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def made(parts: list[tuple[str, int]]) -> bytes:
    kinds = {"text": lambda size: (b"def name(self):\n    return " * (size // 20 + 1))[:size], "zeros": bytes}
    return b"".join(kinds.get(kind, noise)(size) for kind, size in parts)


def packed(chunks: Iterable[bytes], level: int = 1) -> bytes:
    packer = Packer(level)
    return b"".join([*map(packer.encode, chunks), packer.end()])


@settings(deadline=None, max_examples=40)
@given(parts=PARTS, level=st.sampled_from([1, 6]), cuts=st.lists(st.integers(0, 1_000_000), max_size=8))
def test_whatever_goes_in_comes_out_and_the_cuts_do_not_show(
    parts: list[tuple[str, int]], level: int, cuts: list[int]
) -> None:
    data = made(parts)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = packed((data[start:end] for start, end in itertools.pairwise(edges)), level)
    assert stream == packed([data], level)
    assert gzip.decompress(stream) == data
    assert b"".join(unpacked([stream], where="layer")) == data


def test_what_does_not_shrink_is_stored_and_what_follows_shrinks_again() -> None:
    stored, text = noise(1_000_000), b"words of a file, " * 60_000
    # After the first blocks, the bytes stand in the stream as they are.
    assert stored[500_000:520_000] in packed([stored])
    assert len(packed([stored])) < len(stored) * 1.001
    assert len(packed([stored, text, stored])) < 2 * len(stored) + len(text) / 20


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 200_000])
def test_a_stream_of_any_length_is_whole(size: int) -> None:
    data = noise(size)
    assert gzip.decompress(packed([data])) == data
