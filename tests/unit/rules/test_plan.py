"""Trials of build plans, against an oracle that tries every subset of a group."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.plan import BuildPlan, Plan
from lifecycle.rules.plan import Participant, entries_for, resolved_plan, trials, without_entries_of


def sections(provides="", requires=""):
    return {
        "provides": [{"name": name} for name in provides.split()],
        "requires": [{"name": name} for name in requires.split()],
    }


def participant(name, *alternatives, optional=False, extension=False):
    first, *others = alternatives or [sections()]
    plan = BuildPlan.model_validate({**first, "or": others})
    return Participant(name, "1", optional or extension, extension, plan)


def outcome(*participants):
    *_, last = trials(participants)
    return [choice.participant.id for choice in last.kept]


def log(*participants):
    return [[str(problem) for problem in trial.problems] for trial in trials(participants)]


@pytest.mark.requirement("BP-PLAN-005")
def test_a_required_buildpack_needs_a_provider_that_is_not_later():
    consumer = participant("consumer", sections(requires="x"))
    provider = participant("provider", sections(provides="x"))
    assert outcome(consumer, provider) == []
    assert log(consumer, provider) == [["fail: consumer@1 requires x"]]
    assert outcome(provider, consumer) == ["provider", "consumer"]


@pytest.mark.requirement("BP-PLAN-004")
def test_a_required_buildpack_needs_somebody_for_what_it_provides_that_is_not_earlier():
    unused = participant("unused", sections(provides="x"))
    assert outcome(unused) == []
    assert log(unused) == [["fail: unused@1 provides unused x"]]
    both = participant("both", sections("x", "x"))
    assert outcome(both) == ["both"]
    assert outcome(both, unused) == []


@pytest.mark.requirement("BP-PLAN-006", "BP-PLAN-007")
def test_optional_buildpacks_drop_out_until_the_rest_fits():
    provider = participant("provider", sections(provides="x"), optional=True)
    middle = participant("middle", sections(provides="y", requires="x"), optional=True)
    consumer = participant("consumer", sections(requires="y z"), optional=True)
    app = participant("app")
    assert outcome(provider, middle, consumer, app) == ["app"]
    assert log(provider, middle, consumer, app) == [
        [
            "skip: consumer@1 requires z",
            "skip: middle@1 provides unused y",
            "skip: provider@1 provides unused x",
        ]
    ]


@pytest.mark.requirement("BP-PLAN-008")
def test_an_extension_drops_out_when_nobody_requires_what_it_provides():
    extension = participant("curl", sections(provides="curl"), extension=True)
    assert outcome(extension, participant("app")) == ["app"]
    assert outcome(extension, participant("app", sections(requires="curl"))) == ["curl", "app"]


@pytest.mark.requirement("BP-PLAN-009")
def test_several_may_provide_and_several_may_require_the_same():
    group = [
        participant("ext", sections(provides="x"), extension=True),
        participant("a", sections(provides="x")),
        participant("b", sections(requires="x")),
        participant("c", sections(requires="x")),
    ]
    *_, last = trials(group)
    assert resolved_plan(last.kept).struct() == {
        "entries": [
            {
                "providers": [
                    {"id": "ext", "version": "1", "extension": True},
                    {"id": "a", "version": "1", "extension": None},
                ],
                "requires": [
                    {"name": "x", "version": None, "metadata": None},
                    {"name": "x", "version": None, "metadata": None},
                ],
            }
        ]
    }


@pytest.mark.requirement("BP-PLAN-001", "BP-PLAN-002", "BP-PLAN-003")
def test_alternatives_are_tried_depth_first_and_the_first_that_fits_decides():
    left = participant("left", sections("a"), sections("b"), sections("c"))
    right = participant("right", sections(requires="p"), sections(requires="b"), sections(requires="c"))
    assert log(left, right) == [
        ["fail: right@1 requires p"],
        ["fail: right@1 requires b"],
        ["fail: right@1 requires c"],
        ["fail: right@1 requires p"],
        [],
    ]
    *_, last = trials([left, right])
    assert [entry.requires[0].name for entry in resolved_plan(last.kept).entries] == ["b"]


def test_an_optional_buildpack_drops_out_only_with_its_last_alternative():
    optional = participant("o", sections(provides="a"), sections(provides="b"), optional=True)
    app = participant("app", sections(requires=""))
    assert log(optional, app) == [["fail: o@1 provides unused a"], ["skip: o@1 provides unused b"]]


def test_a_group_of_extensions_alone_fails():
    alone = participant("ext", extension=True)
    assert outcome(alone) == []
    assert outcome(alone, participant("o", sections(requires="x"), optional=True)) == []


def test_entries_of_the_plan_are_in_the_order_of_their_first_mention():
    names = "z a m"
    *_, last = trials([participant("p", sections(names)), participant("q", sections(requires="m a z"))])
    assert [entry.requires[0].name for entry in resolved_plan(last.kept).entries] == names.split()


def test_what_a_module_provides_is_asked_of_it_and_then_met():
    plan = Plan.model_validate(
        {
            "entries": [
                {
                    "providers": [{"id": "a"}],
                    "requires": [{"name": "x"}, {"name": "x", "metadata": {"k": 1}}],
                },
                {"providers": [{"id": "a", "extension": True}, {"id": "b"}], "requires": [{"name": "y"}]},
            ]
        }
    )
    assert [require.metadata for require in entries_for(plan, "a", extension=False)] == [{}, {"k": 1}]
    assert [require.name for require in entries_for(plan, "a", extension=True)] == ["y"]
    assert without_entries_of(plan, "a", extension=True).entries == plan.entries[:1]
    assert without_entries_of(plan, "c", extension=False) == plan


names = st.lists(st.sampled_from("xyz"), max_size=2).map(" ".join)
alternatives = st.lists(st.builds(sections, names, names), min_size=1, max_size=3)


@st.composite
def groups(draw):
    return [
        participant(
            f"bp{index}",
            *draw(alternatives),
            optional=draw(st.booleans()),
            extension=draw(st.integers(0, 4)) == 0,
        )
        for index in range(draw(st.integers(1, 4)))
    ]


def consistent(chosen):
    """The specification's sentences on one set of modules, said without any order of dropping."""
    for index, (_, own) in enumerate(chosen):
        earlier = {provide.name for _, each in chosen[: index + 1] for provide in each.provides}
        later = {require.name for _, each in chosen[index:] for require in each.requires}
        if any(require.name not in earlier for require in own.requires):
            return False
        if any(provide.name not in later for provide in own.provides):
            return False
    return True


def oracle(group):
    """Return the ids of the first combination of alternatives whose largest consistent set has all that must stay."""
    numbered = [list(enumerate(member.plan.alternatives())) for member in group]
    for combination in product(*numbered):
        chosen = [(member, own) for member, (_, own) in zip(group, combination, strict=True)]
        must_stay = {
            member.id
            for member, (number, _) in zip(group, combination, strict=True)
            if not (member.optional and number == len(member.plan.alternatives()) - 1)
        }
        fitting = set()
        for size in range(len(chosen) + 1):
            for subset in combinations(chosen, size):
                if consistent(subset):
                    fitting |= {member.id for member, _ in subset}
        has_buildpack = any(not member.extension for member in group if member.id in fitting)
        if must_stay <= fitting and has_buildpack:
            return [member.id for member in group if member.id in fitting]
    return []


@given(groups())
def test_trials_keep_the_largest_set_that_fits(group):
    assert outcome(*group) == oracle(group)


@pytest.mark.requirement("PLAT-FILE-024")
@given(groups())
def test_every_entry_of_a_resolved_plan_has_providers_and_requires_of_one_name(group):
    *_, last = trials(group)
    plan = resolved_plan(last.kept)
    assert all(entry.providers and entry.requires for entry in plan.entries)
    assert all(len({require.name for require in entry.requires}) == 1 for entry in plan.entries)
    named = {provide.name for choice in last.kept for provide in choice.sections.provides}
    assert {entry.requires[0].name for entry in plan.entries} == named
