"""Durations as Go writes them, and the lines about them."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.phases.timer import duration, timed


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (12_250_001, "12.250001ms"),
        (999_999_999, "999.999999ms"),
        (3_300_000_000, "3.3s"),
        (60_000_000_000, "1m0s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_a_duration_is_written_as_in_go(nanoseconds, text):
    assert duration(nanoseconds) == text


UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "µs": 1_000, "ns": 1}


@given(st.integers(0, 10**17))
def test_a_duration_can_be_read_back(nanoseconds):
    total = 0
    for whole, part, unit in re.findall(r"(\d+)(?:\.(\d+))?(h|ms|m|s|µs|ns)", duration(nanoseconds)):
        total += int(whole) * UNITS[unit] + (int(part) * UNITS[unit] // 10 ** len(part) if part else 0)
    assert total == nanoseconds


def test_begin_and_end_are_logged_also_of_what_fails(caplog):
    @timed("Builder")
    def fails():
        raise ValueError

    with caplog.at_level(logging.DEBUG), pytest.raises(ValueError, match=r"\A\Z"):
        fails()
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
    begin, end = caplog.messages
    assert re.fullmatch(f"Timer: Builder started at {time}", begin)
    assert re.fullmatch(rf"Timer: Builder ran for [\d.hmsµn]+ and ended at {time}", end)
