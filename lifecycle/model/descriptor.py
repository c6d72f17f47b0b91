"""buildpack.toml and extension.toml.

Spec: buildpack.md "buildpack.toml (TOML)", image_extension.md "extension.toml".
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from lifecycle.model.base import ListOf, SpecModel, Table
from lifecycle.model.ids import BuildpackId, ModuleVersion
from lifecycle.model.target import Target


def _names(value: Any) -> Any:
    """Read ``exec-env`` as the reference (strings) or as the specification (tables with ``name``) writes it."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return [item["name"] for item in value]
    return value


class ModuleInfo(SpecModel):
    """The table ``[buildpack]`` or ``[extension]``."""

    id: BuildpackId
    version: ModuleVersion
    name: str = ""
    homepage: str = ""
    clear_env: bool = False
    description: str = ""
    sbom_formats: ListOf[str] = ()
    exec_env: ListOf[str] = ()

    _read_exec_env = field_validator("exec_env", mode="before")(_names)


class StackEntry(SpecModel):
    """One ``[[stacks]]`` row: a build environment of the time before targets."""

    id: str = ""
    mixins: ListOf[str] = ()


class OrderElement(SpecModel):
    """One buildpack or extension of a group in an order."""

    id: BuildpackId
    version: ModuleVersion = ""
    optional: bool = False
    exec_env: ListOf[str] = ()

    _read_exec_env = field_validator("exec_env", mode="before")(_names)

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


class OrderGroup(SpecModel):
    """One ``[[order]]`` row: buildpacks that are tried together."""

    group: ListOf[OrderElement] = ()


class BuildpackDescriptor(SpecModel):
    """buildpack.toml; with ``order`` it is a composite buildpack."""

    api: str = ""
    buildpack: ModuleInfo
    order: ListOf[OrderGroup] = ()
    targets: ListOf[Target] = ()
    stacks: ListOf[StackEntry] = ()
    metadata: Table = Field(default_factory=dict)

    @model_validator(mode="after")
    def _component_or_composite(self) -> BuildpackDescriptor:
        if self.order and (self.targets or self.stacks):
            raise ValueError("a composite buildpack (with [[order]]) has neither [[targets]] nor [[stacks]]")
        return self


class ExtensionDescriptor(SpecModel):
    """extension.toml."""

    api: str = ""
    extension: ModuleInfo
    targets: ListOf[Target] = ()
    metadata: Table = Field(default_factory=dict)


class Order(SpecModel):
    """order.toml.  Spec: platform.md "order.toml (TOML)"."""

    order: ListOf[OrderGroup] = ()
    order_extensions: ListOf[OrderGroup] = ()


class SystemBuildpacks(SpecModel):
    """``[system.pre]`` or ``[system.post]``."""

    buildpacks: ListOf[OrderElement] = ()


class SystemTables(SpecModel):
    """``[system]``."""

    pre: SystemBuildpacks = Field(default_factory=SystemBuildpacks)
    post: SystemBuildpacks = Field(default_factory=SystemBuildpacks)


class System(SpecModel):
    """system.toml.  Spec: platform.md "system.toml (TOML)"."""

    system: SystemTables = Field(default_factory=SystemTables)
