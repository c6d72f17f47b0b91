"""Met and unmet entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError
from lifecycle.model.launch import Unmet
from lifecycle.model.plan import Plan, PlanEntry, Require
from lifecycle.rules.buildpack_plan import met_names, without_met

NAMES = st.lists(st.sampled_from("abcd"), max_size=5)


def requires(names):
    return [Require(name=name) for name in names]


@pytest.mark.requirement("BP-BLD-013", "BP-BLD-016")
@given(given_names=NAMES, unmet=NAMES)
def test_what_is_given_and_not_listed_is_met(given_names, unmet):
    rows = [Unmet(name=name) for name in unmet]
    if set(unmet) <= set(given_names):
        assert met_names(requires(given_names), rows) == set(given_names) - set(unmet)
    else:
        with pytest.raises(InvalidFileError, match="must match a requested dependency"):
            met_names(requires(given_names), rows)


def test_an_unmet_row_without_name_is_refused():
    with pytest.raises(InvalidFileError, match=r"unmet\.name is required"):
        met_names(requires("a"), [Unmet()])


def test_the_error_says_what_was_given():
    with pytest.raises(InvalidFileError, match=r"unmet\.name 'z' .*the buildpack plan has a, b"):
        met_names(requires("ba"), [Unmet(name="z")])


@pytest.mark.requirement("BP-BLD-015")
@given(st.lists(NAMES, max_size=4), st.frozensets(st.sampled_from("abcd")))
def test_no_entry_is_left_for_what_was_met(entries, met):
    plan = Plan(entries=tuple(PlanEntry(requires=tuple(requires(names))) for names in entries))
    left = [[require.name for require in entry.requires] for entry in without_met(plan, met).entries]
    assert left == [names for names in entries if not met.intersection(names)]
