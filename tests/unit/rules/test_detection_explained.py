"""What order would pass: the least change to a group that failed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.group import GroupElement
from lifecycle.model.plan import BuildPlan
from lifecycle.rules.detection import ERROR, FAIL, PASS, Attempt, DetectRun, Tried, judge
from lifecycle.rules.detection_explained import MAX_CHANGES, Kind, fate, suggestions


def tried(name, *, provides=(), requires=(), code=PASS, optional=False, extension=False, error="", output=b""):
    plan = BuildPlan.model_validate(
        {"provides": [{"name": each} for each in provides], "requires": [{"name": each} for each in requires]}
    )
    return Tried(GroupElement(id=name, version="1", optional=optional), extension, DetectRun(code, output, error, plan))


def attempt(*members) -> Attempt:
    return judge(members).attempt


def told(*attempts):
    return [str(each) for each in suggestions(attempts)]


def test_a_provider_that_comes_too_late_is_put_first():
    group = attempt(tried("wants", requires=["x"]), tried("gives", provides=["x"]))
    assert told(group) == [
        "put gives@1 before wants@1: it provides x, which wants requires (would build with gives@1, wants@1)"
    ]


def test_what_nobody_after_it_requires_is_put_before_who_does():
    group = attempt(tried("wants", requires=["x"], optional=True), tried("gives", provides=["x"]))
    assert told(group) == [
        "put wants@1 after gives@1: it requires x, which gives provides (would build with gives@1, wants@1)"
    ]


def test_a_provider_of_another_group_is_added():
    one = attempt(tried("wants", requires=["x"]))
    other = attempt(tried("gives", provides=["x"]), tried("absent", code=FAIL))
    assert told(one, other)[0] == (
        "add gives@1 before wants@1: it provides x, which wants requires (would build with gives@1, wants@1)"
    )


def test_a_requirer_of_another_group_is_added_after_what_is_provided_to_nobody():
    one = attempt(tried("gives", provides=["x"]))
    other = attempt(tried("wants", requires=["x"]), tried("absent", code=FAIL))
    assert told(one, other)[0].startswith("add wants@1 after gives@1: it requires x, which gives provides")


def test_a_buildpack_whose_detection_failed_may_be_optional():
    assert told(attempt(tried("base"), tried("absent", code=FAIL))) == [
        "make absent@1 optional: its bin/detect says that it is not for this app (would build with base@1)"
    ]


def test_a_buildpack_that_errs_is_left_out():
    assert told(attempt(tried("base"), tried("errs", code=3))) == [
        "leave out errs@1: its bin/detect ended with an error (would build with base@1)"
    ]


def test_a_buildpack_that_nobody_can_serve_is_made_optional():
    assert told(attempt(tried("base"), tried("wants", requires=["x"]))) == [
        "make wants@1 optional: it requires x, which none provides (would build with base@1)"
    ]


def test_several_changes_are_told_together():
    group = attempt(
        tried("wants", requires=["x", "y"]), tried("gives-x", provides=["x"]), tried("gives-y", provides=["y"])
    )
    [first, *_] = suggestions([group])
    assert [change.kind for change in first.changes] == [Kind.MOVE_BEFORE, Kind.MOVE_BEFORE]
    assert first.taking_part[-1] == "wants@1"


def test_a_group_without_a_buildpack_that_passed_gets_no_suggestion():
    assert told(attempt(tried("one", code=FAIL), tried("other", code=FAIL))) == []
    assert told(attempt(tried("alone", requires=["x"]))) == []


def test_a_group_that_passed_gets_no_suggestion():
    assert told(attempt(tried("base"))) == []


def test_extensions_are_never_moved():
    group = attempt(
        tried("ext", provides=["x"], extension=True, optional=True), tried("wants", requires=["x", "y"]), tried("base")
    )
    assert told(group) == ["make wants@1 optional: it requires y, which none provides (would build with base@1)"]


NAMES = st.lists(st.sampled_from("xyz"), max_size=2, unique=True)


@given(
    st.lists(
        st.tuples(NAMES, NAMES, st.sampled_from([PASS, PASS, PASS, FAIL, 3]), st.booleans()), min_size=1, max_size=5
    )
)
def test_a_suggested_change_makes_the_group_pass_as_detection_judges_it(rows):
    members = [
        tried(f"b{index}", provides=provides, requires=requires, code=code, optional=optional)
        for index, (provides, requires, code, optional) in enumerate(rows)
    ]
    by_name = {f"{each.element.id}@1": each for each in members}
    for suggestion in suggestions([attempt(*members)]):
        assert 1 <= len(suggestion.changes) <= MAX_CHANGES
        group = list(members)
        for change in suggestion.changes:
            names = [f"{each.element.id}@1" for each in group]
            at = names.index(change.module)
            match change.kind:
                case Kind.LEAVE_OUT:
                    group.pop(at)
                case Kind.MAKE_OPTIONAL:
                    element = group[at].element.model_copy(update={"optional": True})
                    group[at] = replace(group[at], element=element)
                case Kind.MOVE_BEFORE | Kind.MOVE_AFTER:
                    moved = group.pop(at)
                    names.pop(at)
                    group.insert(names.index(change.other) + (change.kind is Kind.MOVE_AFTER), moved)
                case _:
                    raise AssertionError(change)
        judgement = judge(group)
        assert judgement.attempt.passed
        assert tuple(map(str, judgement.group.group)) == suggestion.taking_part
        assert set(suggestion.taking_part) <= by_name.keys()


@pytest.mark.parametrize(
    ("member", "word", "why"),
    [
        (tried("a"), "passed", ""),
        (tried("a", code=FAIL, output=b"x\nno Procfile\n"), "failed", "no Procfile"),
        (tried("a", code=FAIL, optional=True), "skipped", "optional"),
        (tried("a", code=7, output=b"bad\n"), "error", "bin/detect exited with status 7: bad"),
        (tried("a", code=ERROR, error="can't be started"), "error", "can't be started"),
        (tried("a", requires=["x"]), "missing", "requires x, which none provides"),
        (tried("a", provides=["x"]), "missing", "provides x, which none requires"),
    ],
)
def test_the_fate_of_a_member_is_told_with_its_reason(member, word, why):
    [account] = attempt(member).elements
    assert fate(account) == (word, why)
