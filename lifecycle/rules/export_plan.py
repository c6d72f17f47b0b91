"""Which layers an app image gets on top of its run image, and whether each is new, reused or refused.

Spec: buildpack.md "Phase #4: Export"; platform.md "Exporter".  Reference: the ids, texts and the order of
layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.oci.digest import DiffId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.build_metadata import Process
    from lifecycle.model.group import GroupElement
    from lifecycle.model.layer import LayerMetadata
    from lifecycle.model.lifecycle_metadata import BuildpackLayer, LifecycleMetadata

LAUNCH_SBOM_ID = "buildpacksio/lifecycle:launch.sbom"
CACHE_SBOM_ID = "buildpacksio/lifecycle:cache.sbom"
SBOM_CREATED_BY = "Software Bill-of-Materials"

_FORBIDDEN_IN_TYPES = frozenset("/><:|&\\")


@unique
class LayerKind(StrEnum):
    """What a layer holds."""

    EXTENSION = "extension"
    BUILDPACK = "buildpack"
    SBOM = "sbom"
    APP = "app"
    LAUNCHER = "launcher"
    CONFIG = "config"
    PROCESS_TYPES = "process-types"


@unique
class Action(StrEnum):
    """What becomes of a layer."""

    ADD = "add"
    REUSE = "reuse"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A layer that the image is to have, before its bytes are known.

    ``recorded`` holds the diffIDs that the previous image says of it: none, one, or those of all app layers.
    """

    id: str
    kind: LayerKind
    created_by: str
    has_contents: bool = True
    cached: bool = False
    recorded: frozenset[str] = frozenset()

    def verdict(self, action: Action, reason: str, diff_id: DiffId | None) -> LayerVerdict:
        """Return what becomes of the layer."""
        return LayerVerdict(
            id=self.id, kind=self.kind, action=action, reason=reason, created_by=self.created_by, diff_id=diff_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVerdict:
    """What becomes of one layer, and why.

    ``size`` counts the bytes of its tar (0: unknown), ``stored_size`` the bytes that had to be stored anew.
    """

    id: str
    kind: LayerKind
    action: Action
    reason: str
    created_by: str = ""
    diff_id: DiffId | None = None
    size: int = 0
    stored_size: int = 0


def launch_layer(
    buildpack: GroupElement,
    name: str,
    layer: LayerMetadata,
    *,
    has_contents: bool,
    previous: LifecycleMetadata,
) -> Candidate:
    """Return the candidate for a launch layer of a buildpack."""
    recorded = recorded_layer(previous, buildpack.id, name)
    return Candidate(
        id=f"{buildpack.id}:{name}",
        kind=LayerKind.BUILDPACK,
        created_by=f"Layer: '{name}', Created by buildpack: {buildpack}",
        has_contents=has_contents,
        cached=layer.types.cache,
        recorded=_known(recorded.sha if recorded else ""),
    )


def recorded_layer(previous: LifecycleMetadata, buildpack_id: str, name: str) -> BuildpackLayer | None:
    """Return what the previous image says of a layer, whatever the version of the buildpack was."""
    layers = previous.of(buildpack_id)
    return None if layers is None else layers.layers.get(name)


def sbom_layer(previous: LifecycleMetadata) -> Candidate:
    """Return the candidate for the layer of launch SBOM files."""
    return Candidate(
        id=LAUNCH_SBOM_ID,
        kind=LayerKind.SBOM,
        created_by=SBOM_CREATED_BY,
        recorded=_known(previous.sbom.sha if previous.sbom else ""),
    )


def app_layers(slices: int, previous: LifecycleMetadata) -> tuple[Candidate, ...]:
    """Return the candidates for the app: one for each slice and one for what is left."""
    recorded = frozenset(layer.sha for layer in previous.app or () if layer.sha)
    return tuple(
        Candidate(
            id=f"slice-{number}",
            kind=LayerKind.APP,
            created_by=f"Application Slice: {number}" if slices else "Application Layer",
            recorded=recorded,
        )
        for number in range(1, slices + 2)
    )


def launcher_layer(previous: LifecycleMetadata) -> Candidate:
    """Return the candidate for the layer with the launcher."""
    return Candidate(
        id="buildpacksio/lifecycle:launcher",
        kind=LayerKind.LAUNCHER,
        created_by="Buildpacks Application Launcher",
        recorded=_known(previous.launcher.sha),
    )


def config_layer(previous: LifecycleMetadata) -> Candidate:
    """Return the candidate for the layer with metadata.toml."""
    return Candidate(
        id="buildpacksio/lifecycle:config",
        kind=LayerKind.CONFIG,
        created_by="Buildpacks Launcher Config",
        recorded=_known(previous.config.sha),
    )


def process_types_layer(previous: LifecycleMetadata) -> Candidate:
    """Return the candidate for the layer with one link for each process type."""
    return Candidate(
        id="buildpacksio/lifecycle:process-types",
        kind=LayerKind.PROCESS_TYPES,
        created_by="Buildpacks Process Types",
        recorded=_known(previous.process_types.sha),
    )


def _known(sha: str) -> frozenset[str]:
    return frozenset({sha} if sha else ())


def comparable(candidate: Candidate, available: frozenset[str] | None) -> bool:
    """Say whether a layer could be reused, so that it is worth hashing it before storing it.

    ``available`` are the diffIDs of the previous image, ``None`` where there is no previous image.
    """
    return bool(candidate.recorded & (available or frozenset()))


def judge_contents(candidate: Candidate, diff_id: DiffId, available: frozenset[str] | None) -> LayerVerdict:
    """Decide on a layer whose contents are there: reuse what did not change, add the rest."""
    if diff_id in candidate.recorded and diff_id in (available or ()):
        action, reason = Action.REUSE, "unchanged"
    elif not candidate.recorded:
        action, reason = Action.ADD, "new layer"
    elif available is None:
        action, reason = Action.ADD, "the previous image is not available"
    elif diff_id in candidate.recorded:
        action, reason = Action.ADD, "the previous image lacks it"
    else:
        action, reason = Action.ADD, "contents changed"
    return candidate.verdict(action, reason, diff_id)


def judge_absence(candidate: Candidate, available: frozenset[str] | None) -> LayerVerdict:
    """Decide on a launch layer that is metadata only: the previous image has to have it.

    Spec: buildpack.md "Phase #4: Export", which makes the export fail otherwise.
    """
    diff_id: DiffId | None = None
    action = Action.REFUSE
    if candidate.cached:
        reason = f"layer '{candidate.id}' is cache=true but has no contents"
    elif not candidate.recorded:
        reason = f"cannot reuse '{candidate.id}', previous image has no metadata for layer '{candidate.id}'"
    elif available is None:
        reason = f"cannot reuse '{candidate.id}', the previous image is not available"
    elif not candidate.recorded <= available:
        reason = f"cannot reuse '{candidate.id}', the previous image has no layer {', '.join(candidate.recorded)}"
    else:
        (recorded,) = candidate.recorded
        diff_id = DiffId(recorded)
        action, reason = Action.REUSE, "kept: buildpack left metadata only"
    return candidate.verdict(action, reason, diff_id)


def check_process_types(processes: Sequence[Process]) -> None:
    """Raise ``ExportError`` for a process type that can't be the name of a link."""
    for process in processes:
        if not process.type:
            raise ExportError(
                "type is required for all processes", remedy="give each [[processes]] of launch.toml a type"
            )
        if _FORBIDDEN_IN_TYPES & set(process.type) or "\0" in process.type or process.type in {".", ".."}:
            raise ExportError(
                f"invalid process type '{process.type}': type may not contain characters '/><:|&\\'",
                remedy="rename it in the buildpack's launch.toml",
            )


def default_process(processes: Sequence[Process], *, wanted: str, buildpacks_default: str) -> str:
    """Return the process type that the image starts by default, ``""`` for none.

    Spec: platform.md "Exporter": <process-type> has to be a process of a buildpack.
    """
    if not wanted:
        return buildpacks_default
    if all(process.type != wanted for process in processes):
        types = ", ".join(process.type for process in processes)
        raise ExportError(
            f"tried to set {wanted} to default but it doesn't exist",
            remedy=f"choose one of the process types of the build: {types}"
            if types
            else "name no default process: no buildpack of the build defines a process",
        )
    return wanted
