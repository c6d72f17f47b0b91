"""metadata.toml, which builder leaves for exporter and launcher, and the label made from it.

Spec: platform.md "metadata.toml (TOML)", "io.buildpacks.build.metadata (JSON)".
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from lifecycle.model.api import PlatformApi, PlatformFeature
from lifecycle.model.base import ListOf, SpecModel
from lifecycle.model.group import GroupElement
from lifecycle.model.launch import AttributedBomEntry, Label, Slice
from lifecycle.oci.gojson import JsonText, Struct


class Process(SpecModel):
    """A process type of the app in the newest shape: the command is a list.

    ``args`` is ``None`` where launch.toml has none, which is written differently from an empty list.
    """

    type: str = ""
    command: ListOf[str] = ()
    args: ListOf[str] | None = None
    direct: bool = False
    default: bool = False
    buildpack_id: str = ""
    working_dir: str = ""
    exec_env: ListOf[str] = ()

    @field_validator("command", mode="before")
    @classmethod
    def _command_of_older_apis_is_a_string(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def struct(self, api: PlatformApi) -> Struct:
        """Return the table ``[[processes]]`` of metadata.toml; commands keep the reference's JSON escapes."""
        command: Any
        args = None if self.args is None else list(self.args)
        if PlatformFeature.COMMAND_LIST in api:
            command = [JsonText(word) for word in self.command]
        else:
            command = JsonText(self.command[0] if self.command else "")
            args = [*self.command[1:], *(self.args or ())]
        return Struct(
            {
                "type": self.type,
                "command": command,
                "args": args,
                "direct": self.direct,
                "default": self.default or None,
                "buildpack-id": self.buildpack_id,
                "working-dir": self.working_dir or None,
                "exec-env": list(self.exec_env) or None,
            }
        )

    def label(self, api: PlatformApi) -> Struct:
        """Return the object of the label's ``processes``."""
        fields = Struct(type=self.type)
        if PlatformFeature.COMMAND_LIST in api:
            fields["command"] = list(self.command)
            fields["args"] = None if self.args is None else list(self.args)
        else:
            fields["command"] = self.command[0] if self.command else ""
            fields["args"] = [*self.command[1:], *(self.args or ())]
        fields["direct"] = self.direct
        if self.default:
            fields["default"] = True
        fields["buildpackID"] = self.buildpack_id
        if self.working_dir:
            fields["working-dir"] = self.working_dir
        if self.exec_env:
            fields["exec-env"] = list(self.exec_env)
        return fields


class LauncherSource(SpecModel):
    """What the label says of the launcher in the image."""

    version: str
    repository: str
    commit: str

    def label(self) -> Struct:
        """Return the object of the label's ``launcher``."""
        git = Struct(repository=self.repository, commit=self.commit)
        return Struct(version=self.version, source=Struct(git=git))


def _slice_struct(row: Slice) -> Struct:
    return Struct(paths=None if row.paths is None else list(row.paths))


class BuildMetadata(SpecModel):
    """``<layers>/config/metadata.toml``."""

    bom: ListOf[AttributedBomEntry] = ()
    buildpacks: ListOf[GroupElement] = ()
    extensions: ListOf[GroupElement] = ()
    labels: ListOf[Label] = ()
    processes: ListOf[Process] | None = None
    slices: ListOf[Slice] = ()
    default_process_type: str = Field(default="", alias="buildpack-default-process-type")

    def struct(self, api: PlatformApi) -> Struct:
        """Return the tables in the reference's order.  ``bom`` is written only where ``api`` has it."""
        with_bom = PlatformFeature.BOM_IN_LABEL in api and bool(self.bom)
        return Struct(
            {
                "bom": [entry.struct() for entry in self.bom] if with_bom else None,
                "buildpacks": [element.struct() for element in self.buildpacks],
                "extensions": [element.struct() for element in self.extensions] or None,
                "labels": [Struct(key=label.key, value=label.value) for label in self.labels] or None,
                "processes": [process.struct(api) for process in self.processes or ()],
                "slices": [_slice_struct(each) for each in self.slices] or None,
                "buildpack-default-process-type": self.default_process_type or None,
            }
        )

    def label(self, api: PlatformApi, launcher: LauncherSource) -> Struct:
        """Return the JSON object of the label io.buildpacks.build.metadata."""
        fields = Struct()
        if PlatformFeature.BOM_IN_LABEL in api:
            fields["bom"] = [entry.struct() for entry in self.bom] or None
        fields["buildpacks"] = [element.label() for element in self.buildpacks]
        if self.extensions:
            fields["extensions"] = [element.label() for element in self.extensions]
        fields["launcher"] = launcher.label()
        fields["processes"] = None if self.processes is None else [each.label(api) for each in self.processes]
        if self.default_process_type:
            fields["buildpack-default-process-type"] = self.default_process_type
        return fields
