import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.progress import NO_PROGRESS, watched


@given(st.lists(st.binary()), st.booleans())
def test_every_chunk_passes_and_the_task_ends_once_and_last(chunks, is_known):
    seen = []
    whole = sum(map(len, chunks))
    total = whole if is_known else None
    passed = list(watched(chunks, lambda *told: seen.append(told), task="copy", total=total))
    assert passed == chunks
    assert seen[-1] == ("copy", whole, whole)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {task for task, _, _ in seen} == {"copy"}
    if whole:
        assert sum(done == end for _, done, end in seen) == 1


def test_a_task_whose_source_breaks_ends_too():
    def broken():
        yield b"abc"
        raise OSError

    seen = []
    with pytest.raises(OSError, match=r"^$"):
        list(watched(broken(), lambda *told: seen.append(told), task="copy", total=10))
    assert seen == [("copy", 0, 10), ("copy", 3, 10), ("copy", 3, 3)]


def test_a_task_whose_reader_stops_ends_too():
    seen = []
    chunks = watched([b"abc", b"d"], lambda *told: seen.append(told), task="copy", total=4)
    next(chunks)
    chunks.close()
    assert seen[-1] == ("copy", 0, 0)


def test_nobody_needs_to_watch():
    assert list(watched([b"abc"], NO_PROGRESS, task="copy", total=None)) == [b"abc"]
