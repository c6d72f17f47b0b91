"""What a buildpack met of the plan it was given, and what is left for later ones.

Spec: buildpack.md "Unmet Buildpack Plan Entries", "build.toml (TOML)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lifecycle.model.launch import Unmet
    from lifecycle.model.plan import Require


def met_names(given: Sequence[Require], unmet: Sequence[Unmet]) -> frozenset[str]:
    """Return the dependencies that a buildpack met: what it was given less what it lists in build.toml.

    Raises ``InvalidFileError`` for a row that names none of what was given.
    """
    names = frozenset(require.name for require in given)
    for row in unmet:
        if not row.name:
            raise InvalidFileError("unmet.name is required")
        if row.name not in names:
            raise InvalidFileError(
                f"unmet.name '{row.name}' must match a requested dependency",
                remedy=f"the buildpack plan has {', '.join(sorted(names)) or 'no entries'}",
            )
    return names - {row.name for row in unmet}


def without_met(plan: Plan, met: Collection[str]) -> Plan:
    """Return the plan without entries for what was met; later buildpacks don't get these."""
    return Plan(
        entries=tuple(entry for entry in plan.entries if not any(require.name in met for require in entry.requires))
    )
