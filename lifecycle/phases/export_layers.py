"""The layers of an app image above its run image, put on one by one.

Spec: buildpack.md "Phase #4: Export"; platform.md "Exporter".  Reference: the order of the layers and the
messages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.files.built_layers import BuiltLayer, BuiltLayers, has_directory, read_built_layers
from lifecycle.images.store import BlobSource, Image, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.layers.source import (
    WatchedLayer,
    diff_id,
    directory_layer,
    expected_size,
    launcher_layer,
    process_types_layer,
    slice_layers,
)
from lifecycle.model.api import PlatformFeature
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, LayerSha
from lifecycle.oci.config import HistoryEntry
from lifecycle.progress import NO_PROGRESS
from lifecycle.rules import export_plan
from lifecycle.rules.export_plan import Action, Candidate, LayerKind, LayerVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.lifecycle_metadata import LifecycleMetadata
    from lifecycle.oci.digest import DiffId
    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.progress import Progress

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class LayerStack:
    """The layers above the run image so far, the lowest first, and what was decided on each.

    ``elsewhere`` has, by their ids, launch layers whose metadata came from another image than the previous one.
    """

    previous: Image | None
    work_dir: Path
    observe: Callable[[LayerVerdict], None]
    progress: Progress = NO_PROGRESS
    elsewhere: Mapping[str, ReusedLayer] = field(default_factory=dict)
    layers: list[LayerBlob | ReusedLayer] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    verdicts: list[LayerVerdict] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    @property
    def available(self) -> frozenset[str] | None:
        """The diffIDs of the previous image, less those whose blobs it turned out to have lost."""
        return None if self.previous is None else frozenset(self.previous.config.diff_ids) - self.lost

    def place(self, candidate: Candidate, source: LayerSource) -> LayerVerdict:
        """Put on a layer: that of the previous image if it has these bytes, or else a new one."""
        size = None if self.progress is NO_PROGRESS else expected_size(source)
        if export_plan.comparable(candidate, self.available):
            watched = WatchedLayer(source, self.progress, task=f"comparing {candidate.id}", size=size)
            found, size = diff_id(watched)
            verdict = export_plan.judge_contents(candidate, found, self.available)
            if verdict.action is Action.REUSE and self._previous_holds(found):
                return self.reuse(replace(verdict, size=size))
        packed = WatchedLayer(source, self.progress, task=f"packing {candidate.id}", size=size)
        return self.add(candidate, write_blob(packed, self.work_dir))

    def add(self, candidate: Candidate, blob: LayerBlob, history: HistoryEntry | None = None) -> LayerVerdict:
        """Put on a stored layer."""
        verdict = replace(
            export_plan.judge_contents(candidate, blob.diff_id, self.available),
            action=Action.ADD,
            size=blob.uncompressed_size,
            stored_size=blob.size,
        )
        self.layers.append(blob)
        return self._done(verdict, history)

    def reuse(self, verdict: LayerVerdict) -> LayerVerdict:
        """Put on a layer of the previous image."""
        if self.previous is None or verdict.diff_id is None:
            raise ExportError(f"cannot reuse '{verdict.id}', the previous image is not available")
        self.layers.append(ReusedLayer(self.previous, verdict.diff_id))
        return self._done(verdict, None)

    def take(self, verdict: LayerVerdict) -> LayerVerdict:
        """Put on a layer without contents: that of the image that its metadata came from."""
        if verdict.id not in self.elsewhere:
            return self.reuse(verdict)
        self.layers.append(self.elsewhere[verdict.id])
        return self._done(verdict, None)

    def judge_absence(self, candidate: Candidate) -> LayerVerdict:
        """Decide on a launch layer that is metadata only."""
        taken = self.elsewhere.get(candidate.id)
        if taken is None or candidate.cached:
            return export_plan.judge_absence(candidate, self.available)
        reason = f"kept: buildpack left metadata only, the layer is in {taken.image.reference}"
        return candidate.verdict(Action.REUSE, reason, taken.diff_id)

    def refuse(self, verdicts: Sequence[LayerVerdict]) -> None:
        """Raise ``ExportError`` if some layers can't be had, before the first is stored."""
        refused = [verdict for verdict in verdicts if verdict.action is Action.REFUSE]
        for verdict in refused:
            self.verdicts.append(verdict)
            self.observe(verdict)
        if refused:
            raise ExportError(
                "; ".join(verdict.reason for verdict in refused),
                remedy="if its buildpack wrote the .toml of a layer and no directory, correct it; if a layer was lost, "
                "build without the previous image and the cache, so that it is made again",
            )

    def _previous_holds(self, diff_id: DiffId) -> bool:
        """Say whether the previous image still has the blob of a layer; what it lost is made again."""
        image = self.previous
        if isinstance(image, BlobSource):
            descriptor = image.manifest.layers[image.config.diff_ids.index(diff_id)]
            if not image.has_blob(descriptor):
                self.lost.add(diff_id)
                return False
        return True

    def _done(self, verdict: LayerVerdict, history: HistoryEntry | None) -> LayerVerdict:
        self.history.append(history or HistoryEntry(created_by=verdict.created_by))
        self.verdicts.append(verdict)
        if verdict.kind is not LayerKind.APP:
            doing = "Reusing" if verdict.action is Action.REUSE else "Adding"
            _LOG.info("%s layer '%s'", doing, verdict.id)
        _LOG.debug("Layer '%s' SHA: %s", verdict.id, verdict.diff_id)
        self.observe(verdict)
        return verdict


def add_launch_layers(inputs: ExportInputs, stack: LayerStack) -> tuple[BuildpackLayers, ...]:
    """Put on the launch layers of every buildpack, in the group's order; return the label's part on them."""
    previous = inputs.analyzed.metadata
    built = [read_built_layers(inputs.layers_dir, buildpack) for buildpack in inputs.group.group]
    candidates = [_launch_candidates(each, previous) for each in built]
    absent = {
        candidate.id: stack.judge_absence(candidate)
        for rows in candidates
        for _, candidate in rows
        if not candidate.has_contents
    }
    for each in built:
        _refuse_malformed(each)
    stack.refuse(list(absent.values()))

    recorded = []
    for each, rows in zip(built, candidates, strict=True):
        _LOG.debug("Processing buildpack directory: %s", each.directory)
        layers: dict[str, BuildpackLayer] = {}
        for layer, candidate in rows:
            _LOG.debug("Processing launch layer: %s", layer.path)
            if candidate.has_contents:
                verdict = stack.place(candidate, _directory(inputs, layer.path))
            else:
                verdict = stack.take(absent[candidate.id])
            layers[layer.name] = recorded_as(layer, verdict.diff_id or "")
        buildpack = each.buildpack
        recorded.append(BuildpackLayers(key=buildpack.id, version=buildpack.version, layers=layers, store=each.store))
    return tuple(recorded)


def recorded_as(layer: BuiltLayer, sha: str) -> BuildpackLayer:
    """Return what a label says of a layer."""
    types = layer.metadata.types
    return BuildpackLayer(
        sha=sha, data=layer.metadata.metadata, build=types.build, launch=types.launch, cache=types.cache
    )


def add_sbom(inputs: ExportInputs, stack: LayerStack) -> LayerSha | None:
    """Put on the layer of launch SBOM files, if there are any.  Spec: platform.md "Exporter", launch SBOM."""
    path = inputs.layers_dir / "sbom" / "launch"
    if PlatformFeature.SBOM not in inputs.api or not has_directory(path):
        return None
    _LOG.debug("Found SBOM of type launch for at %s", path)
    verdict = stack.place(export_plan.sbom_layer(inputs.analyzed.metadata), _directory(inputs, path))
    return LayerSha(sha=verdict.diff_id or "")


def add_app(inputs: ExportInputs, stack: LayerStack) -> tuple[LayerSha, ...]:
    """Put on one layer for each slice of the app and one for the rest.  Spec: buildpack.md "Slices"."""
    _LOG.debug("Adding app layers")
    patterns = [each.paths or () for each in inputs.build_metadata.slices]
    candidates = export_plan.app_layers(len(patterns), inputs.analyzed.metadata)
    sources = slice_layers(inputs.app_dir, patterns, uid=inputs.uid, gid=inputs.gid, mapping=inputs.app_mapping)
    verdicts = [stack.place(candidate, source) for candidate, source in zip(candidates, sources, strict=True)]
    reused = sum(verdict.action is Action.REUSE for verdict in verdicts)
    if reused:
        _LOG.info("Reused %d/%d app layer(s)", reused, len(verdicts))
    if added := len(verdicts) - reused:
        _LOG.info("Added %d/%d app layer(s)", added, len(verdicts))
    return tuple(LayerSha(sha=verdict.diff_id or "") for verdict in verdicts)


def add_launcher(inputs: ExportInputs, stack: LayerStack) -> tuple[LayerSha, LayerSha, LayerSha]:
    """Put on the layers of launcher, metadata.toml and process types; return theirs in that order."""
    previous = inputs.analyzed.metadata
    launcher = stack.place(export_plan.launcher_layer(previous), launcher_layer(inputs.launcher_path))
    config = stack.place(export_plan.config_layer(previous), _directory(inputs, inputs.layers_dir / "config"))
    types = [process.type for process in inputs.build_metadata.processes or ()]
    links = (
        stack.place(export_plan.process_types_layer(previous), process_types_layer(types)).diff_id if types else None
    )
    return LayerSha(sha=launcher.diff_id or ""), LayerSha(sha=config.diff_id or ""), LayerSha(sha=links or "")


def _launch_candidates(built: BuiltLayers, previous: LifecycleMetadata) -> list[tuple[BuiltLayer, Candidate]]:
    return [
        (
            layer,
            export_plan.launch_layer(
                built.buildpack,
                layer.name,
                layer.metadata,
                has_contents=layer.has_contents,
                previous=previous,
            ),
        )
        for layer in built.layers
        if layer.metadata.types.launch
    ]


def _refuse_malformed(built: BuiltLayers) -> None:
    if built.malformed:
        ids = " ".join(f"{built.buildpack.id}:{name}" for name, _ in built.malformed)
        _, cause = built.malformed[0]
        raise ExportError(f"failed to parse metadata for layers '[{ids}]'", remedy=f"correct {cause}") from cause


def _directory(inputs: ExportInputs, path: Path) -> LayerSource:
    return directory_layer(path, uid=inputs.uid, gid=inputs.gid, mapping=inputs.layers_mapping)
