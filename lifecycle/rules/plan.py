"""Resolving build plans: who provides what is required, and who drops out.

Spec: buildpack.md "Phase #1: Detection" (trials), "Build Plan (TOML)".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import TYPE_CHECKING

from lifecycle.model.plan import Plan, PlanEntry, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.model.plan import BuildPlan, PlanSections, Require


@dataclass(frozen=True, slots=True)
class Participant:
    """A module that passed ``bin/detect``, with its build plan."""

    id: str
    version: str
    optional: bool
    extension: bool
    plan: BuildPlan

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A participant with the alternative of its plan that a trial uses, and the names in it, each once."""

    participant: Participant
    sections: PlanSections
    optional: bool
    provided: tuple[str, ...]
    required: tuple[str, ...]


class Want(Enum):
    """What keeps a participant out of a trial."""

    PROVIDER = "requires"
    REQUIRER = "provides unused"


@dataclass(frozen=True, slots=True)
class Problem:
    """A dependency that has no provider up to ``participant``, or nobody from it on who requires it."""

    participant: Participant
    want: Want
    dependency: str
    fatal: bool

    def __str__(self) -> str:
        outcome = "fail" if self.fatal else "skip"
        return f"{outcome}: {self.participant} {self.want.value} {self.dependency}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of alternatives: what was wrong, and who stays (nobody if it failed)."""

    problems: tuple[Problem, ...]
    kept: tuple[Choice, ...]


def trials(participants: Sequence[Participant]) -> Iterator[Trial]:
    """Try every combination of alternatives, depth first and left to right, up to the first that succeeds."""
    for choices in product(*(_alternatives(participant) for participant in participants)):
        trial = run_trial(choices)
        yield trial
        if trial.kept:
            return


def _alternatives(participant: Participant) -> list[Choice]:
    """Return its choices; only the last may be dropped, or an optional module never got to its second."""
    sections = participant.plan.alternatives()
    return [
        Choice(
            participant,
            each,
            optional=participant.optional and number == len(sections),
            provided=tuple(dict.fromkeys(provide.name for provide in each.provides)),
            required=tuple(dict.fromkeys(require.name for require in each.requires)),
        )
        for number, each in enumerate(sections, start=1)
    ]


def run_trial(choices: Sequence[Choice]) -> Trial:
    """Drop optional choices until every dependency is met; fail for a required one that isn't.

    What is left must hold a buildpack.
    """
    kept = tuple(choices)
    problems: list[Problem] = []
    while found := _problems(kept):
        problems += found
        if found[-1].fatal:
            return Trial(tuple(problems), ())
        dropped = {id(problem.participant) for problem in found}
        kept = tuple(choice for choice in kept if id(choice.participant) not in dropped)
    if all(choice.participant.extension for choice in kept):
        kept = ()
    return Trial(tuple(problems), kept)


def _problems(choices: Sequence[Choice]) -> list[Problem]:
    """Return what is wrong with the choices, missing providers first, up to the first that is fatal."""
    found: list[Problem] = []
    provided: set[str] = set()
    for choice in choices:
        provided.update(choice.provided)
        for name in choice.required:
            if name not in provided:
                found.append(Problem(choice.participant, Want.PROVIDER, name, fatal=not choice.optional))
                if found[-1].fatal:
                    return found
    last = {name: index for index, choice in enumerate(choices) for name in choice.required}
    for index, choice in enumerate(choices):
        for name in choice.provided:
            if last.get(name, -1) < index:
                found.append(Problem(choice.participant, Want.REQUIRER, name, fatal=not choice.optional))
                if found[-1].fatal:
                    return found
    return found


def resolved_plan(kept: Sequence[Choice]) -> Plan:
    """Return the plan of a trial: one entry for each dependency, in the order of their first mention."""
    providers: dict[str, list[Provider]] = {}
    requires: dict[str, list[Require]] = {}
    for choice in kept:
        participant = choice.participant
        for provide in choice.sections.provides:
            providers.setdefault(provide.name, []).append(
                Provider(id=participant.id, version=participant.version, extension=participant.extension)
            )
        for require in choice.sections.requires:
            requires.setdefault(require.name, []).append(require)
    return Plan(
        entries=tuple(
            PlanEntry(providers=tuple(each), requires=tuple(requires[name])) for name, each in providers.items()
        )
    )


def entries_for(plan: Plan, module_id: str, *, extension: bool) -> tuple[Require, ...]:
    """Return what the plan asks of a module: all that entries with it among the providers require."""
    return tuple(
        require for entry in plan.entries if _provided_by(entry, module_id, extension) for require in entry.requires
    )


def without_entries_of(plan: Plan, module_id: str, *, extension: bool) -> Plan:
    """Return the plan without the entries that the module provides: they are met."""
    return Plan(entries=tuple(entry for entry in plan.entries if not _provided_by(entry, module_id, extension)))


def _provided_by(entry: PlanEntry, module_id: str, extension: bool) -> bool:  # noqa: FBT001  # private, two callers
    return any(each.id == module_id and each.extension == extension for each in entry.providers)
