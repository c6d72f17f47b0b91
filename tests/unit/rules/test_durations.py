"""Durations are read as Go reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rules.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("336h0m0s", 1_209_600),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        (".5m", 30),
        ("100ms", 0.1),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("-2s", -2),
        ("+2s", 2),
        ("0", 0),
        ("2562047h", 9_223_369_200),
    ],
)
def test_a_duration_is_a_sum_of_numbers_with_units(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1d", "1h-2m", ".s", "--1s", "9999999h", "1h\n", "\u0661s"])
def test_anything_else_is_none(text):
    assert parse_duration(text) is None


@given(st.text("0123456789.hmsnuµ+- ", max_size=12))
def test_any_text_is_a_duration_or_none(text):
    assert isinstance(parse_duration(text), float | None)
