"""launch.toml and build.toml, what bin/build leaves beside its layers.

Spec: buildpack.md "launch.toml (TOML)", "build.toml (TOML)".
"""

from __future__ import annotations

from pydantic import Field

from lifecycle.model.base import ListOf, SpecModel, Table
from lifecycle.oci.gojson import Struct


class LaunchProcess(SpecModel):
    """One ``[[processes]]`` row as a buildpack writes it; its shape depends on the Buildpack API."""

    type: str = ""
    command: str | ListOf[str] = ()
    args: ListOf[str] | None = None
    direct: bool | None = None
    default: bool = False
    working_dir: str = ""
    exec_env: ListOf[str] = ()


class Slice(SpecModel):
    """One ``[[slices]]`` row: globs of app files that share a layer."""

    paths: ListOf[str] | None = None


class Label(SpecModel):
    """One ``[[labels]]`` row: a label of the app image."""

    key: str = ""
    value: str = ""


class BomEntry(SpecModel):
    """One row of the deprecated bill of materials."""

    name: str = ""
    version: str = ""
    metadata: Table | None = None


class BomSource(SpecModel):
    """The buildpack that a bom row comes from."""

    id: str
    version: str


class AttributedBomEntry(BomEntry):
    """A bom row with the buildpack that wrote it."""

    buildpack: BomSource

    def struct(self) -> Struct:
        """Return the row as metadata.toml, report.toml and labels hold it."""
        fields = Struct(name=self.name)
        if self.version:
            fields["version"] = self.version
        fields["metadata"] = self.metadata
        fields["buildpack"] = Struct(id=self.buildpack.id, version=self.buildpack.version)
        return fields


class Launch(SpecModel):
    """launch.toml."""

    processes: ListOf[LaunchProcess] = ()
    slices: ListOf[Slice] = ()
    labels: ListOf[Label] = ()
    bom: ListOf[BomEntry] = ()


class Unmet(SpecModel):
    """A plan entry that the buildpack leaves to a later one."""

    name: str = ""


class Build(SpecModel):
    """build.toml."""

    unmet: ListOf[Unmet] = ()
    bom: ListOf[BomEntry] = Field(default=())
