"""Processes of buildpacks: the newest shape of what each wrote, and what the image gets of all of them.

Spec: buildpack.md "launch.toml (TOML)"; platform.md "metadata.toml (TOML)".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.api import BuildpackFeature
from lifecycle.model.build_metadata import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.model.api import BuildpackApi
    from lifecycle.model.launch import LaunchProcess


@dataclass(frozen=True, slots=True)
class BuildpackProcesses:
    """The processes of one buildpack in the newest shape, and what its author should know."""

    processes: tuple[Process, ...]
    warnings: tuple[str, ...] = ()


def upgraded(written: Sequence[LaunchProcess], *, buildpack_id: str, api: BuildpackApi) -> BuildpackProcesses:
    """Return the processes of a launch.toml in the newest shape.

    Raises ``InvalidFileError`` for shapes that the Buildpack API doesn't have, and for several defaults.
    """
    if sum(process.default for process in written) > 1:
        raise InvalidFileError(
            "multiple default process types aren't allowed", remedy="keep default = true for one of them"
        )
    warnings = []
    processes = []
    for process in written:
        working_dir = process.working_dir
        if working_dir and BuildpackFeature.WORKING_DIRECTORY not in api:
            warnings.append(
                "process working directory isn't supported in this buildpack api version. "
                f"Ignoring working directory for process '{process.type}'"
            )
            working_dir = ""
        processes.append(
            Process(
                type=process.type,
                command=_command(process, api),
                args=process.args,
                direct=_direct(process, api),
                default=process.default,
                buildpack_id=buildpack_id,
                working_dir=working_dir,
                exec_env=process.exec_env,
            )
        )
    return BuildpackProcesses(tuple(processes), tuple(warnings))


def _command(process: LaunchProcess, api: BuildpackApi) -> tuple[str, ...]:
    command = process.command
    if BuildpackFeature.STRING_COMMAND in api:
        if isinstance(command, str):
            return (command,)
        problem = "is a list" if command else "is missing"
        raise InvalidFileError(
            f"the command of process '{process.type}' {problem}, but buildpack API {api} has it as a string",
            remedy="write one string, or raise the api of buildpack.toml",
        )
    if isinstance(command, str):
        raise InvalidFileError(
            f"the command of process '{process.type}' is a string, but buildpack API {api} has it as a list",
            remedy='write command = ["program", "argument"]',
        )
    return command


def _direct(process: LaunchProcess, api: BuildpackApi) -> bool:
    if BuildpackFeature.COMMAND_LIST not in api:
        return bool(process.direct)
    if process.direct is not None:
        raise InvalidFileError(
            "process.direct is not supported on this buildpack version",
            remedy=f"remove the key from process '{process.type}': since buildpack API 0.9 all are direct",
        )
    return True


@dataclass(frozen=True, slots=True)
class ProcessTypes:
    """The processes of the buildpacks so far by type, and which type is the default, if any."""

    by_type: Mapping[str, Process] = field(default_factory=dict)
    default: str = ""

    def extended(self, processes: Sequence[Process]) -> tuple[ProcessTypes, str]:
        """Return these with those of the next buildpack, which win, and a warning if a default gets lost."""
        by_type = dict(self.by_type)
        default = self.default
        warning = ""
        for process in processes:
            if process.default:
                default = process.type
                warning = ""
            elif process.type == default:
                default = ""
                warning = (
                    "redefining the following default process type with a process not marked as "
                    f"default: {process.type}"
                )
            by_type[process.type] = process
        return ProcessTypes(by_type, default), warning

    def listed(self) -> tuple[Process, ...]:
        """Return the processes sorted by type; none says that it is the default."""
        return tuple(
            self.by_type[process_type].model_copy(update={"default": False}) for process_type in sorted(self.by_type)
        )
