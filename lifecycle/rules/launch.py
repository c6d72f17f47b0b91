"""What launch.toml says of processes and of the old bill of materials, and how those of a group are merged.

Spec: buildpack.md "launch.toml (TOML)".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.api import BuildpackFeature
from lifecycle.model.build_metadata import Process
from lifecycle.model.launch import AttributedBomEntry, BomSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lifecycle.model.api import BuildpackApi
    from lifecycle.model.group import GroupElement
    from lifecycle.model.launch import BomEntry, LaunchProcess


@dataclass(frozen=True, slots=True)
class LaunchProcesses:
    """The processes of one launch.toml in the newest shape, and warnings about them."""

    processes: tuple[Process, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MergedProcesses:
    """The processes of a group by type, none marked as default; ``default_type`` is empty without a default."""

    processes: tuple[Process, ...] = ()
    default_type: str = ""


def launch_processes(
    rows: Sequence[LaunchProcess], *, buildpack_id: str, api: BuildpackApi, where: Path
) -> LaunchProcesses:
    """Return the processes that a buildpack defines; raise ``InvalidFileError`` for what its API forbids."""
    if sum(row.default for row in rows) > 1:
        raise InvalidFileError(
            "multiple default process types aren't allowed", where=where, remedy="mark one process as default"
        )
    warnings = []
    processes = []
    for row in rows:
        working_dir = row.working_dir
        if working_dir and BuildpackFeature.WORKING_DIRECTORY not in api:
            warnings.append(
                "process working directory isn't supported in this buildpack api version. "
                f"Ignoring working directory for process '{row.type}'"
            )
            working_dir = ""
        processes.append(
            Process(
                type=row.type,
                command=_command(row, api, where),
                args=row.args,
                direct=BuildpackFeature.COMMAND_LIST in api or bool(row.direct),
                default=row.default,
                buildpack_id=buildpack_id,
                working_dir=working_dir,
                exec_env=row.exec_env if BuildpackFeature.EXEC_ENV in api else (),
            )
        )
    return LaunchProcesses(tuple(processes), tuple(warnings))


def _command(row: LaunchProcess, api: BuildpackApi, where: Path) -> tuple[str, ...]:
    if BuildpackFeature.COMMAND_LIST not in api:
        if isinstance(row.command, str):
            return (row.command,) if row.command else ()
        if row.command:
            raise InvalidFileError(
                f"the command of process '{row.type}' has to be a string in Buildpack API {api}", where=where
            )
        return ()
    if row.direct is not None:
        raise InvalidFileError(
            "process.direct is not supported on this buildpack version",
            where=where,
            remedy=f"remove 'direct' from process '{row.type}'",
        )
    if isinstance(row.command, str):
        raise InvalidFileError(
            f"the command of process '{row.type}' has to be an array of strings in Buildpack API {api}",
            where=where,
        )
    return row.command


def merge_processes(merged: MergedProcesses, added: Iterable[Process]) -> tuple[MergedProcesses, str]:
    """Add the processes of a later buildpack, which replace those of the same type.

    Also returns the type that was the default and no longer is because its new definition isn't one, or ``""``.
    """
    by_type = {process.type: process for process in merged.processes}
    default_type = merged.default_type
    redefined = ""
    for process in added:
        if process.default:
            default_type, redefined = process.type, ""
        elif default_type and process.type == default_type:
            default_type, redefined = "", process.type
        by_type[process.type] = process.model_copy(update={"default": False})
    ordered = sorted(by_type.values(), key=lambda process: process.type.encode("utf-8", "surrogateescape"))
    return MergedProcesses(tuple(ordered), default_type), redefined


def attributed_bom(
    rows: Iterable[BomEntry], buildpack: GroupElement, *, where: Path
) -> tuple[AttributedBomEntry, ...]:
    """Return the rows with their buildpack; raise ``InvalidFileError`` for a version outside of ``metadata``.

    Spec: buildpack.md "bom Arrays".
    """
    source = BomSource(id=buildpack.id, version=buildpack.version)
    result = []
    for row in rows:
        if row.version:
            raise InvalidFileError(
                f"bom entry '{row.name}' has a top level version which is not allowed. "
                "The buildpack should instead set metadata.version",
                where=where,
            )
        result.append(AttributedBomEntry(name=row.name, metadata=row.metadata, buildpack=source))
    return tuple(result)
