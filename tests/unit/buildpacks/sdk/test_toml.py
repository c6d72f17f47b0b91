"""The writer of TOML, read back by the standard library."""

from __future__ import annotations

import datetime as dt
import math
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnb_buildpack as bp

scalars = (
    st.text()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.times()
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@settings(max_examples=60)
@given(st.dictionaries(st.text(), values, max_size=4))
def test_any_table_is_read_back_as_it_was_written(table):
    assert tomllib.loads(bp.toml_text(table)) == table


def test_not_a_number_is_written_as_such():
    assert math.isnan(tomllib.loads(bp.toml_text({"it": math.nan}))["it"])


def test_what_is_none_is_left_out_at_every_depth():
    assert bp.toml_text({"a": None, "b": {"c": None}, "d": [{"e": None, "f": [{"g": None}, 1]}]}) == (
        "[b]\n\n[[d]]\nf = [{}, 1]\n"
    )


def test_plain_values_come_before_tables_so_that_they_do_not_become_part_of_one():
    assert bp.toml_text({"table": {"x": 1}, "plain": 2}) == "plain = 2\n\n[table]\nx = 1\n"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"a": {"b": object()}}, "a.b: object has no TOML form"),
        ({"a": "\ud800"}, "a: .* no text that UTF-8 can hold"),
        ({1: 2}, "a TOML key is a string, not 1"),
    ],
)
def test_what_toml_can_not_hold_is_named(table, problem):
    with pytest.raises(TypeError, match=problem):
        bp.toml_text(table)


def test_times_with_an_offset_keep_it():
    moment = dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert tomllib.loads(bp.toml_text({"at": moment})) == {"at": moment}
