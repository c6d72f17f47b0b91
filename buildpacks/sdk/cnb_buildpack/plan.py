"""Build plans: what detect says, and the entries that build gets.

Spec: buildpack.md "Build Plan (TOML)", "Buildpack Plan (TOML)".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Require:
    """A dependency that a buildpack wants, and what it wants of it."""

    name: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a buildpack provides and requires, and alternatives to it, tried in their order."""

    provides: Sequence[str] = ()
    requires: Sequence[str | Require] = ()
    alternatives: tuple[BuildPlan, ...] = ()

    def or_(self, other: BuildPlan) -> BuildPlan:
        """Return a plan that is ``other`` where this one can't be met."""
        flat = (BuildPlan(other.provides, other.requires), *other.alternatives)
        return BuildPlan(self.provides, self.requires, (*self.alternatives, *flat))

    def table(self) -> dict[str, Any]:
        """Return the document that bin/detect writes."""
        return {**_sections(self), "or": [_sections(each) for each in self.alternatives] or None}


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One requirement that this buildpack is to meet."""

    name: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The requirements that this buildpack is to meet, in group order."""

    entries: tuple[PlanEntry, ...] = ()

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Plan:
        """Return the plan that a lifecycle wrote."""
        rows = document.get("entries", ())
        return cls(tuple(PlanEntry(row["name"], row.get("metadata", {})) for row in rows))

    def __iter__(self) -> Iterator[PlanEntry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name for entry in self.entries)

    def named(self, name: str) -> tuple[PlanEntry, ...]:
        """Return the entries of a name: several buildpacks may require the same."""
        return tuple(entry for entry in self.entries if entry.name == name)

    def merged(self, name: str, **how: Callable[[list[Any]], Any]) -> dict[str, Any]:
        """Return one table of the metadata of all entries of a name.

        Where they differ in a value, its rule of ``how`` decides (underscores stand for dashes too); without one,
        this raises ``BuildpackError``.
        """
        values: dict[str, list[Any]] = {}
        for entry in self.named(name):
            for key, value in entry.metadata.items():
                values.setdefault(key, []).append(value)
        return {key: _merge(name, key, found, how.get(key.replace("-", "_"))) for key, found in values.items()}


def any_true(values: list[Any]) -> bool:
    """Rule: one who wants it is enough."""
    return any(values)


def first(values: list[Any]) -> Any:
    """Rule: the earliest buildpack of the group decides."""
    return values[0]


def last(values: list[Any]) -> Any:
    """Rule: the latest buildpack of the group decides."""
    return values[-1]


def union(values: list[Any]) -> list[Any]:
    """Rule: all elements of all lists, each once, in the order in which they were asked for."""
    found: list[Any] = []
    for each in values:
        for element in each if isinstance(each, list) else [each]:
            if element not in found:
                found.append(element)
    return found


def _merge(name: str, key: str, values: list[Any], rule: Callable[[list[Any]], Any] | None) -> Any:
    if rule is not None:
        return rule(values)
    if any(value != values[0] for value in values):
        wanted = ", ".join(dict.fromkeys(map(repr, values)))
        raise BuildpackError(
            f"buildpacks of this group ask for {name} with different {key}: {wanted}", fix="make them agree"
        )
    return values[0]


def _sections(plan: BuildPlan) -> dict[str, Any]:
    requires = [Require(each) if isinstance(each, str) else each for each in plan.requires]
    return {
        "provides": [{"name": name} for name in plan.provides] or None,
        "requires": [{"name": each.name, "metadata": each.metadata or None} for each in requires] or None,
    }
