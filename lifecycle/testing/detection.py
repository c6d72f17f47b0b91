"""What came of a detection, as values that tests compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lifecycle.errors import InvalidFileError
from lifecycle.files.codec import parse_toml
from lifecycle.files.explanation import explain
from lifecycle.model.plan import BuildPlan, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.model.group import Group
    from lifecycle.model.plan import Require
    from lifecycle.rules.detection import Attempt
    from lifecycle.testing.conditions import Call
    from lifecycle.testing.log import Log


@dataclass(frozen=True, slots=True, repr=False)
class WrittenPlan:
    """The build plan that a ``bin/detect`` wrote: its first choice, ``alternatives`` with all, and its text."""

    model: BuildPlan
    text: str

    @property
    def provides(self) -> list[str]:
        """The names that it provides."""
        return [each.name for each in self.model.provides]

    @property
    def requires(self) -> list[str]:
        """The names that it requires."""
        return [each.name for each in self.model.requires]

    @property
    def alternatives(self) -> list[tuple[list[str], list[str]]]:
        """Names provided and required by each choice, the first one included."""
        return [
            ([each.name for each in sections.provides], [each.name for each in sections.requires])
            for sections in self.model.alternatives()
        ]

    def required(self, name: str) -> Require:
        """Return the requirement of that name, with its metadata; raise ``KeyError`` that names those there are."""
        for each in self.model.requires:
            if each.name == name:
                return each
        raise KeyError(f"the plan does not require {name!r} but {self.requires}")

    def __repr__(self) -> str:
        return " or ".join(f"provides {given} requires {wanted}" for given, wanted in self.alternatives)


@dataclass(frozen=True, slots=True, repr=False)
class Detection:
    """What came of detection.

    ``passed`` says whether the group passed: every ``bin/detect`` that must, and the resolution of their plans.
    ``group`` and ``resolved`` are what builds go on with.  ``calls`` are the runs by buildpack id; ``log``,
    ``exit_code`` and ``plan`` are those of the first buildpack.
    """

    passed: bool
    group: Group
    resolved: Plan
    attempts: tuple[Attempt, ...]
    calls: Mapping[str, Call]

    @property
    def report(self) -> str:
        """What became of each, and what order would pass if none did."""
        return report_of(self.attempts)

    @property
    def exit_code(self) -> int:
        """The exit status of the first buildpack."""
        return self._first.status

    @property
    def log(self) -> Log:
        """What the first buildpack printed."""
        return self._first.log

    @property
    def plan(self) -> WrittenPlan:
        """The build plan of the first buildpack."""
        return _written(self._first, next(iter(self.calls)))

    def plan_of(self, buildpack_id: str) -> WrittenPlan:
        """Return the build plan of a buildpack; raise ``InvalidFileError`` for one that is malformed."""
        return _written(self.calls[buildpack_id], buildpack_id)

    @property
    def buildpacks(self) -> list[str]:
        """The ids of those that take part in the build."""
        return [element.id for element in self.group.group]

    @property
    def extensions(self) -> list[str]:
        """The ids of the image extensions that take part."""
        return [element.id for element in self.group.group_extensions]

    @property
    def _first(self) -> Call:
        if not self.calls:
            raise InvalidFileError("no bin/detect ran", remedy="see the report of this detection")
        return next(iter(self.calls.values()))

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<detection {'passed' if self.passed else 'failed'}\n{self.report}\n>"


def _written(call: Call, buildpack_id: str) -> WrittenPlan:
    where = f"build plan of {buildpack_id}"
    table = parse_toml(call.plan, where=where)
    try:
        return WrittenPlan(BuildPlan.model_validate(table), call.plan)
    except ValidationError as error:
        raise explain(error, where, table) from error


def report_of(attempts: Iterable[Attempt]) -> str:
    """Say of each member of each group what became of it, and what order would pass if none did."""
    from lifecycle.rules.detection_explained import fate, suggestions  # noqa: PLC0415  # for failures alone

    rows = list(attempts)
    lines = []
    for number, attempt in enumerate(rows, start=1):
        if len(rows) > 1:
            lines.append(f"group {number} of {len(rows)}")
        for account in attempt.elements:
            word, why = fate(account)
            lines.append(f"  {word:<7} {account.id}@{account.version}  {why}".rstrip())
    lines += [f"would pass: {each}" for each in suggestions(rows)]
    return "\n".join(lines)
