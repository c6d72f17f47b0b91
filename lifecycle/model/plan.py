"""Build plans: what bin/detect says, plan.toml, and the plan given to bin/build.

Spec: buildpack.md "Build Plan (TOML)", "Buildpack Plan (TOML)"; platform.md "plan.toml (TOML)".
"""

from __future__ import annotations

from pydantic import Field

from lifecycle.model.base import ListOf, SpecModel, Table
from lifecycle.oci.gojson import Struct


class Provide(SpecModel):
    """A dependency that a module can provide."""

    name: str


class Require(SpecModel):
    """A dependency that a buildpack wants."""

    name: str
    version: str = ""
    metadata: Table = Field(default_factory=dict)

    def struct(self) -> Struct:
        """Return the table as plan.toml and a buildpack plan hold it."""
        return Struct(name=self.name, version=self.version or None, metadata=self.metadata or None)


class PlanSections(SpecModel):
    """One alternative of a build plan."""

    provides: ListOf[Provide] = ()
    requires: ListOf[Require] = ()


class BuildPlan(PlanSections):
    """What ``bin/detect`` writes: a first choice, and alternatives to it in order."""

    or_: ListOf[PlanSections] = Field(default=(), alias="or")

    def alternatives(self) -> tuple[PlanSections, ...]:
        """Return the choices in the order in which they are tried."""
        return (PlanSections(provides=self.provides, requires=self.requires), *self.or_)


class Provider(SpecModel):
    """A module of the group that provides a dependency."""

    id: str
    version: str = ""
    extension: bool = False


class PlanEntry(SpecModel):
    """One dependency of the build: who provides it and what is asked of it."""

    providers: ListOf[Provider] = ()
    requires: ListOf[Require] = ()

    def struct(self) -> Struct:
        """Return the table ``[[entries]]`` of plan.toml."""
        return Struct(
            providers=[
                Struct(id=provider.id, version=provider.version, extension=provider.extension or None)
                for provider in self.providers
            ],
            requires=[require.struct() for require in self.requires],
        )


class Plan(SpecModel):
    """plan.toml: the resolved build plan."""

    entries: ListOf[PlanEntry] = ()

    def struct(self) -> Struct:
        """Return the tables as they are written; no entries, an empty file."""
        return Struct(entries=[entry.struct() for entry in self.entries] or None)


class BuildpackPlan(SpecModel):
    """The plan that one buildpack gets: the requirements that it has to meet."""

    entries: ListOf[Require] = ()

    def struct(self) -> Struct:
        """Return the tables as they are written; no entries, an empty file."""
        return Struct(entries=[entry.struct() for entry in self.entries] or None)
