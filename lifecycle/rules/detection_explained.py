"""Detection explained: what became of each member of a group, and the least change to an order that would let it pass.

Spec: buildpack.md "Phase #1: Detection" (trials).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from lifecycle.rules.detection import ERROR, FAIL, Account, Verdict
from lifecycle.rules.plan import Participant, Want, trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lifecycle.rules.detection import Attempt
    from lifecycle.rules.plan import Choice, Problem, Trial

MAX_CHANGES = 3
_MOST_SUGGESTIONS = 3
_MAX_STATES = 400
_MAX_TRIALS = 100
"""Bounds of the search: alternatives multiply, and orders may be long."""


def fate(account: Account, *, clean: Callable[[str], str] = str) -> tuple[str, str]:
    """Return what became of a member of a group, in a word, and why; ``clean`` is for what it printed."""
    lines = account.output.split("\n")
    said = clean(account.error or next((line.strip() for line in reversed(lines) if line.strip()), ""))
    match account.verdict:
        case Verdict.ERROR:
            status = "" if account.code == ERROR else f"bin/detect exited with status {account.code}"
            return "error", ": ".join(filter(None, (status, said)))
        case Verdict.FAIL:
            return "failed", said
        case Verdict.SKIP:
            return "skipped", said or "optional"
        case Verdict.PASS:
            problems = [f"requires {name}, which none provides" for name in account.unmet]
            problems += [f"provides {name}, which none requires" for name in account.unused]
            return ("missing" if problems else "passed"), "; ".join(problems)


class Kind(Enum):
    """How a group of an order can be changed."""

    MOVE_BEFORE = "put {module} before {other}"
    MOVE_AFTER = "put {module} after {other}"
    ADD_BEFORE = "add {module} before {other}"
    ADD_AFTER = "add {module} after {other}"
    MAKE_OPTIONAL = "make {module} optional"
    LEAVE_OUT = "leave out {module}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change to a group and the reason for it; modules are named ``<id>@<version>``."""

    kind: Kind
    module: str
    other: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind.value.format(module=self.module, other=self.other)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Changes with which a group would pass, and the modules that would take part then.

    ``group`` is the index of the attempt.  The changes are as few as can be.
    """

    group: int
    changes: tuple[Change, ...]
    taking_part: tuple[str, ...]

    def __str__(self) -> str:
        would = ", ".join(self.taking_part)
        return f"{'; and '.join(map(str, self.changes))} (would build with {would})"


def about_order(suggestion: Suggestion) -> bool:
    """Say whether a suggestion leaves every buildpack in and is about their order alone."""
    return all(change.kind not in {Kind.MAKE_OPTIONAL, Kind.LEAVE_OUT} for change in suggestion.changes)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group as it might be, with the changes that lead to it."""

    members: tuple[Account, ...]
    changes: tuple[Change, ...] = ()

    @property
    def key(self) -> tuple[tuple[bool, str, bool], ...]:
        return tuple((member.extension, member.id, member.optional) for member in self.members)


def suggestions(attempts: Sequence[Attempt]) -> tuple[Suggestion, ...]:
    """Return how groups that failed would pass, the smallest changes first, at most three.

    Members whose ``bin/detect`` failed are never taken to pass; modules of other groups may be added where theirs
    passed.  A group none of whose buildpacks passed ``bin/detect`` gets no suggestion.
    """
    known = {
        account.id: account
        for attempt in attempts
        for account in attempt.elements
        if account.verdict is Verdict.PASS and not account.extension
    }
    found: list[Suggestion] = []
    for index, attempt in enumerate(attempts):
        if not attempt.passed and any(each.verdict is Verdict.PASS and not each.extension for each in attempt.elements):
            found += _search(index, attempt, tuple(known.values()))
    unique = {suggestion.changes: suggestion for suggestion in reversed(found)}
    return tuple(sorted(unique.values(), key=_rank)[:_MOST_SUGGESTIONS])


def _rank(suggestion: Suggestion) -> tuple[int, int, int]:
    """Prefer few changes, then many buildpacks, then the group that comes first."""
    return len(suggestion.changes), -len(suggestion.taking_part), suggestion.group


def _search(index: int, attempt: Attempt, known: tuple[Account, ...]) -> list[Suggestion]:
    """Return the changes of least number that let the group pass."""
    level = [_Group(attempt.elements)]
    seen = {level[0].key}
    for _ in range(MAX_CHANGES + 1):
        passing: list[Suggestion] = []
        following: list[_Group] = []
        for group in level:
            kept, steps = _judged(group, known)
            if kept:
                passing.append(Suggestion(index, group.changes, tuple(str(each.participant) for each in kept)))
            for changed in steps:
                if changed.key not in seen and len(seen) < _MAX_STATES:
                    seen.add(changed.key)
                    following.append(changed)
        if passing:
            return passing
        level = following
    return []


def _judged(group: _Group, known: tuple[Account, ...]) -> tuple[tuple[Choice, ...], list[_Group]]:
    """Return who takes part if the group passes, else the groups that one more change makes of it."""
    barred = [each for each in group.members if each.verdict is not Verdict.PASS and not each.optional]
    if barred:
        return (), [_without(group, barred[0])]
    members = [each for each in group.members if each.verdict is Verdict.PASS]
    participants = [Participant(each.id, each.version, each.optional, each.extension, each.plan) for each in members]
    made = list(islice(trials(participants), _MAX_TRIALS))
    if made and made[-1].kept:
        return made[-1].kept, []
    return (), [changed for problem in _obstacles(made) for changed in _remedies(group, problem, known)]


def _obstacles(made: Sequence[Trial]) -> list[Problem]:
    """Return what is in the way: what is fatal, or else what drops the last buildpack."""
    fatal = [problem for trial in made for problem in trial.problems if problem.fatal]
    found = fatal or [problem for trial in made for problem in trial.problems]
    return list({(str(each.participant), each.want, each.dependency): each for each in found}.values())


def _without(group: _Group, account: Account) -> _Group:
    name = f"{account.id}@{account.version}"
    if account.verdict is Verdict.FAIL and account.code == FAIL:
        change = Change(Kind.MAKE_OPTIONAL, name, "", "its bin/detect says that it is not for this app")
    else:
        change = Change(Kind.LEAVE_OUT, name, "", "its bin/detect ended with an error")
    rest = tuple(each for each in group.members if each is not account)
    return _Group(rest, (*group.changes, change))


def _remedies(group: _Group, problem: Problem, known: tuple[Account, ...]) -> Iterator[_Group]:
    """Yield the groups in which somebody else meets the need, and one that can do without its owner."""
    owner = next(each for each in group.members if _is(each, problem.participant))
    wants_provider = problem.want is Want.PROVIDER
    name = problem.dependency
    present = {each.id for each in group.members if not each.extension}
    helpers = [each for each in group.members if each.verdict is Verdict.PASS and not each.extension]
    helpers += [each for each in known if each.id not in present]
    for helper in helpers:
        if helper is owner or name not in _names(helper, provided=wants_provider):
            continue
        yield _placed(group, helper, owner, name, before=wants_provider, added=helper.id not in present)
    if not owner.optional:
        need = f"requires {name}, which none provides" if wants_provider else f"provides {name}, which none requires"
        change = Change(Kind.MAKE_OPTIONAL, str(problem.participant), "", f"it {need}")
        members = tuple(replace(each, optional=True) if each is owner else each for each in group.members)
        yield _Group(members, (*group.changes, change))


def _is(account: Account, participant: Participant) -> bool:
    return (account.extension, account.id) == (participant.extension, participant.id)


def _names(account: Account, *, provided: bool) -> set[str]:
    return {
        each.name
        for sections in account.plan.alternatives()
        for each in (sections.provides if provided else sections.requires)
    }


def _placed(group: _Group, helper: Account, owner: Account, name: str, *, before: bool, added: bool) -> _Group:
    """Return the group in which ``helper`` stands before the one that requires, or after the one that provides."""
    rest = [each for each in group.members if each is not helper]
    at = rest.index(owner)
    rest.insert(at if before else at + 1, replace(helper, optional=False) if added else helper)
    does, needs = ("provides", "requires") if before else ("requires", "provides")
    kind = {
        (True, True): Kind.ADD_BEFORE,
        (True, False): Kind.ADD_AFTER,
        (False, True): Kind.MOVE_BEFORE,
        (False, False): Kind.MOVE_AFTER,
    }[added, before]
    reason = f"it {does} {name}, which {owner.id} {needs}"
    change = Change(kind, f"{helper.id}@{helper.version}", f"{owner.id}@{owner.version}", reason)
    return _Group(tuple(rest), (*group.changes, change))
