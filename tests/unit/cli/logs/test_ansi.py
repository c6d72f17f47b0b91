"""Text without colors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli.logs.ansi import PlainOutput, plain

sequences = st.sampled_from(["\x1b[31m", "\x1b[0;1m", "\x1b[K", "\x1b[2J", "\x1b[38;2;1;2;3m", "\x1b[?25l"])
words = st.text(st.characters(exclude_characters="\x1b", exclude_categories=("Cs",)), max_size=10)


@given(st.lists(st.tuples(words, sequences)), words, st.integers(1, 7))
def test_sequences_go_and_all_else_stays_however_it_is_cut(pairs, last, size):
    text = "".join(word + sequence for word, sequence in pairs) + last
    expected = "".join(word for word, _ in pairs) + last
    assert plain(text) == expected
    filtered = PlainOutput()
    data = text.encode()
    assert b"".join(filtered(data[at : at + size]) for at in range(0, len(data), size)) == expected.encode()


@pytest.mark.parametrize("text", ["\x1bc", "\x1b]0;title\x07", "[31m", "a\x1b"])
def test_what_is_no_such_sequence_stays(text):
    assert plain(text) == text


def test_output_waits_for_the_end_of_a_sequence_but_not_for_long():
    filtered = PlainOutput()
    assert filtered(b"a\x1b[3") == b"a"
    assert filtered(b"1mb") == b"b"
    assert len(filtered(b"\x1b[" + b"1" * 1000)) > 900


def test_bytes_that_are_no_utf_8_stay():
    assert PlainOutput()(b"\xff\x1b[1m\xfe") == b"\xff\xfe"
    assert plain("\udcff\x1b[1m") == "\udcff"
