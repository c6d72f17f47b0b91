"""The part of the build plan that one buildpack gets, and what it leaves to later ones.

Spec: buildpack.md "Phase #3: Build", "build.toml (TOML)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.plan import BuildpackPlan, Plan
from lifecycle.rules.plan import entries_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifecycle.model.launch import Unmet


def plan_for(plan: Plan, buildpack_id: str) -> BuildpackPlan:
    """Return what the rest of the plan asks of a buildpack."""
    return BuildpackPlan(entries=entries_for(plan, buildpack_id, extension=False))


def check_unmet(unmet: Sequence[Unmet], given: BuildpackPlan, *, where: Path) -> None:
    """Raise ``InvalidFileError`` unless every row names an entry of the plan that the buildpack was given."""
    names = {entry.name for entry in given.entries}
    for each in unmet:
        if not each.name:
            raise InvalidFileError("unmet.name is required", where=where)
        if each.name not in names:
            raise InvalidFileError(f"unmet.name '{each.name}' must match a requested dependency", where=where)


def without_met(plan: Plan, given: BuildpackPlan, unmet: Sequence[Unmet]) -> Plan:
    """Return the plan for later buildpacks: what was given and is not called unmet is met."""
    met = {entry.name for entry in given.entries} - {each.name for each in unmet}
    return Plan(
        entries=tuple(
            entry for entry in plan.entries if met.isdisjoint(require.name for require in entry.requires)
        )
    )
