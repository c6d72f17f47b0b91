"""Build plans, as the lifecycle reads them."""

from __future__ import annotations

import tomllib

import pytest

import cnb_buildpack as bp
from lifecycle.model.plan import BuildPlan


def test_a_plan_with_alternatives_is_read_by_the_lifecycle_in_their_order():
    plan = bp.BuildPlan(provides=["a"], requires=["a", bp.Require("b", {"version": "1"})])
    plan = plan.or_(bp.BuildPlan(provides=["c"]).or_(bp.BuildPlan())).or_(bp.BuildPlan(requires=["d"]))
    read = BuildPlan.model_validate(tomllib.loads(bp.toml_text(plan.table())))
    assert [
        ([each.name for each in one.provides], [(each.name, each.metadata) for each in one.requires])
        for one in read.alternatives()
    ] == [(["a"], [("a", {}), ("b", {"version": "1"})]), (["c"], []), ([], []), ([], [("d", {})])]


@pytest.fixture
def plan():
    return bp.Plan.parse(
        {
            "entries": [
                {"name": "python", "metadata": {"version": "3.11", "launch": False, "extras": ["a", "b"]}},
                {"name": "node"},
                {"name": "python", "metadata": {"version": "3.12", "launch": True, "extras": ["b", "c"]}},
            ]
        }
    )


def test_entries_are_found_by_name(plan):
    assert [entry.metadata.get("version") for entry in plan.named("python")] == ["3.11", "3.12"]
    assert ("node" in plan, "ruby" in plan) == (True, False)


def test_metadata_of_several_entries_is_merged_by_the_rules_given(plan):
    assert plan.merged("python", version=bp.last, launch=bp.any_true, extras=bp.union) == {
        "version": "3.12",
        "launch": True,
        "extras": ["a", "b", "c"],
    }
    assert plan.merged("python", version=max, launch=bp.first, extras=bp.first)["launch"] is False
    assert plan.merged("node") == {}


def test_a_contradiction_without_a_rule_is_an_error_that_names_the_values(plan):
    with pytest.raises(bp.BuildpackError, match=r"ask for python with different version: '3.11', '3.12'; make them"):
        plan.merged("python", launch=bp.any_true, extras=bp.union)
