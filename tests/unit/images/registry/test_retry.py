"""When something is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.images.registry.retry import Attempts, RetryPolicy, retry_after
from parts.registry_clients import FakeTime

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(
    tries=st.integers(1, 20),
    spread=st.floats(0, 1),
    total=st.floats(0, 500),
    asked=st.none() | st.floats(0, 1000),
)
def test_tries_and_time_are_bounded(tries, spread, total, asked):
    time = FakeTime(now=0)
    policy = RetryPolicy(tries=tries, total=total)
    attempts = Attempts(policy, time.clock)
    while attempts.wait(retry_after=asked):
        pass
    assert len(time.waits) < tries
    assert sum(time.waits) <= total + 1e-6
    assert all(asked is None or wait >= asked for wait in time.waits)


@given(failures=st.integers(1, 100), spread=st.floats(0, 1))
def test_waits_grow_and_half_of_each_is_left_to_chance(failures, spread):
    policy = RetryPolicy()
    longest = policy.delay(failures, 0)
    assert longest / 2 <= policy.delay(failures, spread) <= longest <= policy.longest_delay
    assert policy.delay(failures + 1, 0) >= longest


def test_a_host_that_never_answered_is_given_up_sooner():
    time = FakeTime()
    attempts = Attempts(RetryPolicy(), time.clock)
    while attempts.wait(reached=False):
        pass
    assert len(time.waits) == RetryPolicy().tries_unreached - 1
    assert sum(time.waits) < 2


def test_progress_starts_the_count_anew():
    time = FakeTime()
    attempts = Attempts(RetryPolicy(tries=2), time.clock)
    assert attempts.wait()
    attempts.progress()
    assert attempts.wait()
    assert not attempts.wait()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("-3", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, expected):
    assert retry_after(value, NOW.timestamp()) == expected


@given(st.text(max_size=60))
def test_any_retry_after_is_read_without_an_error(value):
    found = retry_after(value, NOW.timestamp())
    assert found is None or found >= 0
