"""Judging one group: the verdicts of ``bin/detect``, then the trials of its plans, and the log of both.

Spec: buildpack.md "Phase #1: Detection".  Reference: the texts and levels of the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.errors import BuildpackDetectError, NoGroupDetectedError
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.plan import BuildPlan, Plan
from lifecycle.rules.plan import Participant, Want, resolved_plan, trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.rules.plan import Choice, Problem, Trial

PASS = 0
FAIL = 100
ERROR = -1
"""Exit status of an executable that was not run, was killed, or left a plan that can't be used."""


@dataclass(frozen=True, slots=True)
class DetectRun:
    """What came of ``bin/detect`` of a module; it may not have been run, being for other base images."""

    code: int
    output: bytes = b""
    error: str = ""
    plan: BuildPlan = field(default_factory=BuildPlan)


@dataclass(frozen=True, slots=True)
class Tried:
    """An element of the group that is judged."""

    element: GroupElement
    extension: bool
    run: DetectRun

    def __str__(self) -> str:
        return str(self.element)


@unique
class Verdict(StrEnum):
    """What a run means for the group."""

    PASS = "pass"  # noqa: S105  # a verdict
    SKIP = "skip"
    FAIL = "fail"
    ERROR = "err"


@dataclass(frozen=True, slots=True)
class Account:
    """What happened to one element.

    ``unmet`` are the dependencies it requires without a provider in some trial, ``unused`` those it provides
    to nobody; ``output`` is what its ``bin/detect`` printed, ``plan`` what it wrote if it passed.
    """

    id: str
    version: str
    extension: bool
    optional: bool
    verdict: Verdict
    code: int
    output: str
    error: str
    unmet: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    participates: bool = False
    plan: BuildPlan = field(default_factory=BuildPlan)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened to one group."""

    elements: tuple[Account, ...]
    trials: int
    passed: bool

    @property
    def errored(self) -> bool:
        """Whether a buildpack of it errored, which is worse than not to take part."""
        return any(account.verdict is Verdict.ERROR for account in self.elements)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log, printed when detection is over."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The group and plan that are left, if the group passed, the account of it and the log."""

    group: Group
    plan: Plan
    attempt: Attempt
    lines: tuple[Line, ...]


class NoGroupPassedError(NoGroupDetectedError):
    """No group passed; ``attempts`` tell why."""

    def __init__(self, attempts: tuple[Attempt, ...]) -> None:
        super().__init__("no buildpacks participating")
        self.attempts = attempts


class GroupErroredError(BuildpackDetectError):
    """No group passed and a buildpack errored; ``attempts`` tell which and why."""

    def __init__(self, attempts: tuple[Attempt, ...]) -> None:
        super().__init__("buildpack(s) failed with err")
        self.attempts = attempts


def judge(tried: Sequence[Tried]) -> Judgement:
    """Decide whether a group passes, and what of it takes part in the build."""
    lines = [line for each in tried for line in _outputs(each)]
    lines.append(_debug("======== Results ========"))
    verdicts = [_verdict(each) for each in tried]
    lines += [_result(each, verdict) for each, verdict in zip(tried, verdicts, strict=True)]
    passed = [each for each, verdict in zip(tried, verdicts, strict=True) if verdict is Verdict.PASS]
    made: list[Trial] = []
    if all(verdict is Verdict.PASS or each.element.optional for each, verdict in zip(tried, verdicts, strict=True)):
        if all(each.extension for each in passed):
            lines.append(_debug("fail: no viable buildpacks in group"))
        else:
            made = list(trials([_participant(each) for each in passed]))
            lines += [line for number, trial in enumerate(made, start=1) for line in _trial(number, trial)]
    kept = made[-1].kept if made else ()
    if kept:
        lines += _participating(kept, len(tried))
    problems = list(dict.fromkeys(problem for trial in made for problem in _named(trial.problems)))
    present = {(choice.participant.extension, choice.participant.id) for choice in kept}
    accounts = tuple(
        _account(each, verdict, problems, participates=(each.extension, each.element.id) in present)
        for each, verdict in zip(tried, verdicts, strict=True)
    )
    attempt = Attempt(accounts, len(made), passed=bool(kept))
    return Judgement(_group(passed, present), resolved_plan(kept), attempt, tuple(lines))


def _debug(text: str) -> Line:
    return Line(logging.DEBUG, text)


def _info(text: str) -> Line:
    return Line(logging.INFO, text)


def _outputs(tried: Tried) -> list[Line]:
    """Return the output and error of a run, shown to the user if the run errored."""
    run = tried.run
    level = logging.DEBUG if run.code in {PASS, FAIL} else logging.INFO
    lines = []
    if run.output:
        lines.append(Line(level, f"======== Output: {tried} ========"))
        lines.append(Line(level, run.output.decode(errors="replace")))
    if run.error:
        lines.append(Line(level, f"======== Error: {tried} ========"))
        lines.append(Line(level, run.error))
    return lines


def _verdict(tried: Tried) -> Verdict:
    """Return the verdict.  Spec: buildpack.md "Phase #1: Detection"."""
    if tried.run.code == PASS:
        return Verdict.PASS
    if tried.run.code == FAIL:
        return Verdict.SKIP if tried.element.optional else Verdict.FAIL
    return Verdict.ERROR


def _result(tried: Tried, verdict: Verdict) -> Line:
    match verdict:
        case Verdict.PASS | Verdict.SKIP | Verdict.FAIL:
            return _debug(f"{verdict}: {tried}")
        case Verdict.ERROR:
            code = "" if tried.run.code == ERROR else f" ({tried.run.code})"
            return _info(f"{verdict}:  {tried}{code}")


def _participant(tried: Tried) -> Participant:
    element = tried.element
    return Participant(element.id, element.version, element.optional, tried.extension, tried.run.plan)


def _trial(number: int, trial: Trial) -> list[Line]:
    lines = [
        _debug(f"Resolving plan... (try #{number})"),
        *(_debug(str(problem)) for problem in trial.problems),
    ]
    if not trial.kept and not any(problem.fatal for problem in trial.problems):
        lines.append(_debug("fail: no viable buildpacks in group"))
    return lines


def _participating(kept: Sequence[Choice], of: int) -> list[Line]:
    lines = [_info(f"{len(kept)} of {of} buildpacks participating")] if len(kept) != of else []
    width = max(len(choice.participant.id) for choice in kept)
    return lines + [_info(f"{each.participant.id:<{width}} {each.participant.version}") for each in kept]


def _named(problems: Sequence[Problem]) -> list[tuple[bool, str, Want, str]]:
    return [(each.participant.extension, each.participant.id, each.want, each.dependency) for each in problems]


def _account(
    tried: Tried, verdict: Verdict, problems: Sequence[tuple[bool, str, Want, str]], *, participates: bool
) -> Account:
    def of(want: Want) -> tuple[str, ...]:
        identity = (tried.extension, tried.element.id, want)
        return tuple(dependency for *key, dependency in problems if tuple(key) == identity)

    return Account(
        id=tried.element.id,
        version=tried.element.version,
        extension=tried.extension,
        optional=tried.element.optional,
        verdict=verdict,
        code=tried.run.code,
        output=tried.run.output.decode(errors="replace"),
        error=tried.run.error,
        unmet=of(Want.PROVIDER),
        unused=of(Want.REQUIRER),
        participates=participates,
        plan=tried.run.plan,
    )


def _group(passed: Sequence[Tried], present: set[tuple[bool, str]]) -> Group:
    """Return what takes part, as group.toml names it: nothing in it is optional any more."""

    def chosen(*, extension: bool) -> tuple[GroupElement, ...]:
        return tuple(
            each.element.model_copy(update={"optional": False})
            for each in passed
            if each.extension is extension and (extension, each.element.id) in present
        )

    return Group(group=chosen(extension=False), group_extensions=chosen(extension=True))
