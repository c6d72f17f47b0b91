"""group.toml.  Spec: platform.md "group.toml (TOML)"."""

from __future__ import annotations

from lifecycle.model.api import BuildpackApi
from lifecycle.model.base import ListOf, SpecModel
from lifecycle.model.ids import BuildpackId, ModuleVersion
from lifecycle.oci.gojson import Struct


class GroupElement(SpecModel):
    """One buildpack or extension that takes part in the build."""

    id: BuildpackId
    version: ModuleVersion = ""
    api: str = ""
    homepage: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    def struct(self) -> Struct:
        """Return the table as group.toml and metadata.toml hold it."""
        return Struct(
            id=self.id,
            version=self.version,
            api=self.api or None,
            homepage=self.homepage or None,
            optional=self.optional or None,
        )

    def label(self) -> Struct:
        """Return the object as the label io.buildpacks.build.metadata holds it."""
        present = Struct(id=self.id, version=self.version)
        if self.homepage:
            present["homepage"] = self.homepage
        if self.optional:
            present["optional"] = True
        return present


class Group(SpecModel):
    """group.toml: the buildpacks and extensions that detection chose, in order."""

    group: ListOf[GroupElement] = ()
    group_extensions: ListOf[GroupElement] = ()

    def check_apis(self) -> None:
        """Raise ``BuildpackApiError`` unless each buildpack has an API that is supported.

        Reference: every phase that reads group.toml checks it, for detection may have been another lifecycle's.
        """
        for element in self.group:
            BuildpackApi.parse(element.api, module=f"Buildpack '{element}'")

    def struct(self) -> Struct:
        """Return the tables as they are written; no extensions, no table."""
        return Struct(
            {
                "group": [element.struct() for element in self.group],
                "group-extensions": [element.struct() for element in self.group_extensions] or None,
            }
        )
