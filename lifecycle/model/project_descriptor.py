"""project.toml, in which the author of an app says how to build it.

Schema 0.2 and, upgraded while it is read, 0.1.  Spec: extensions/project-descriptor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from lifecycle.model.base import ListOf, SpecModel

SCHEMA_VERSIONS = ("0.1", "0.2")

_BUILD_KEYS = ("builder", "include", "exclude", "buildpacks", "env")
"""Of ``[build]`` in schema 0.1."""


def unread_table(table: Mapping[str, Any]) -> str | None:
    """Say which table of a project.toml only another schema knows, and what to do; ``None`` if there is none.

    Reference: pack's "not supported in schema version".
    """
    if "_" not in table:
        io = table.get("io")
        if isinstance(io, Mapping) and "buildpacks" in io:
            return f'[io.buildpacks] is not read without [_] and its schema-version = "{SCHEMA_VERSIONS[-1]}": add it'
        return None
    build = table.get("build")
    if isinstance(build, Mapping) and not build.keys().isdisjoint(_BUILD_KEYS):
        return "[build] is only read without [_]: write [io.buildpacks] instead"
    return None


class InlineScript(SpecModel):
    """An inline buildpack: a script that lives in project.toml."""

    api: str
    inline: str
    shell: str = "/bin/sh"


class ProjectBuildpack(SpecModel):
    """A buildpack that the project asks for, by version, by location or as an inline script."""

    id: str = ""
    version: str = ""
    uri: str = ""
    script: InlineScript | None = None

    @model_validator(mode="after")
    def _one_way_to_find_it(self) -> ProjectBuildpack:
        if (self.script is not None) + bool(self.uri) + bool(self.version) > 1:
            raise ValueError("give either version, uri or script, not more than one")
        if not self.id and not self.uri and self.script is None:
            raise ValueError("a buildpack needs an id, a uri or a script")
        return self


class ProjectGroup(SpecModel):
    """``[io.buildpacks.pre]`` or ``[io.buildpacks.post]``."""

    group: ListOf[ProjectBuildpack] = ()


class EnvEntry(SpecModel):
    """A variable of the build environment."""

    name: str = Field(min_length=1)
    value: str


class ProjectBuild(SpecModel):
    """``[io.buildpacks.build]``."""

    env: ListOf[EnvEntry] = ()


class ProjectBuildpacks(SpecModel):
    """``[io.buildpacks]``: what concerns the build."""

    builder: str = ""
    include: ListOf[str] | None = None
    exclude: ListOf[str] | None = None
    group: ListOf[ProjectBuildpack] = ()
    pre: ProjectGroup = Field(default_factory=ProjectGroup)
    post: ProjectGroup = Field(default_factory=ProjectGroup)
    build: ProjectBuild = Field(default_factory=ProjectBuild)

    @model_validator(mode="after")
    def _include_or_exclude(self) -> ProjectBuildpacks:
        if self.include is not None and self.exclude is not None:
            raise ValueError("include and exclude exclude each other; keep one of them")
        return self


class ProjectIo(SpecModel):
    """``[io]``."""

    buildpacks: ProjectBuildpacks = Field(default_factory=ProjectBuildpacks)


class ProjectTable(SpecModel):
    """``[_]``: what the project is."""

    schema_version: str
    id: str = ""
    name: str = ""
    version: str = ""

    @model_validator(mode="after")
    def _known_schema(self) -> ProjectTable:
        if self.schema_version not in SCHEMA_VERSIONS:
            raise ValueError(f"schema-version {self.schema_version!r} is not one of {', '.join(SCHEMA_VERSIONS)}")
        return self


class ProjectDescriptor(SpecModel):
    """project.toml."""

    project: ProjectTable = Field(alias="_", default_factory=lambda: ProjectTable(schema_version="0.1"))
    io: ProjectIo = Field(default_factory=ProjectIo)

    @model_validator(mode="before")
    @classmethod
    def _upgrade_schema_0_1(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "_" in data:
            return data
        build = data.get("build", {})
        if not isinstance(build, dict):
            raise ValueError("build is not a table")  # noqa: TRY004  # pydantic reports only ValueError
        project_table = data.get("project", {})
        if not isinstance(project_table, dict):
            raise ValueError("project is not a table")  # noqa: TRY004  # as above
        buildpacks = {key: build[key] for key in ("builder", "include", "exclude") if key in build}
        buildpacks["group"] = build.get("buildpacks", [])
        buildpacks["build"] = {"env": build.get("env", [])}
        project = {key: value for key, value in project_table.items() if key in {"id", "name", "version"}}
        return {"_": {"schema-version": "0.1", **project}, "io": {"buildpacks": buildpacks}}

    @property
    def buildpacks(self) -> ProjectBuildpacks:
        """What concerns the build."""
        return self.io.buildpacks
