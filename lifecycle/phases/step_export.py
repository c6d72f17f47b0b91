"""Records of the steps of a build, with the blobs of their layers, for caches that keep more than layers.

Spec: buildpack.md "Layer Types" says which layers a cache keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifecycle.cache.store import ExportedSteps
from lifecycle.files.built_layers import has_directory, read_built_layers
from lifecycle.files.codec import read_toml
from lifecycle.layers.source import diff_id, directory_layer
from lifecycle.model.api import PlatformFeature
from lifecycle.model.canonical import tagged
from lifecycle.model.step_record import LayerRecord, StepRecord, step_key
from lifecycle.rules.export_plan import LAUNCH_SBOM_ID
from lifecycle.rules.step_key import build_layers, field_digest, upstream_content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.files.built_layers import BuiltLayer, BuiltLayers
    from lifecycle.images.store import ReusedLayer
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.base import Table
    from lifecycle.model.observed_step import ObservedStep
    from lifecycle.model.plan import Plan
    from lifecycle.oci.digest import DiffId
    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.rules.export_plan import LayerVerdict
    from lifecycle.rules.step_key import UpstreamLayer

_OUTPUTS = ("launch.toml", "build.toml", "store.toml")
_SBOM_PLACES = ("cache", "build")


def export_steps(
    inputs: ExportInputs,
    *,
    verdicts: Sequence[LayerVerdict],
    layers: Sequence[LayerBlob | ReusedLayer],
    observed: Sequence[ObservedStep] = (),
    plan: Plan | None = None,
    pack: Callable[[LayerSource, LayerRecord | None], LayerBlob | None] = lambda _source, _record: None,
) -> ExportedSteps:
    """Return what each step left.

    ``verdicts`` and ``layers`` are those of the app image of the same build, whose layers need not be read again.
    ``observed`` is what the build saw of the steps, without which they have no keys.  ``pack`` stores a layer that is
    not in the image, or returns ``None`` if no cache wants it; SBOM files come without a record.
    Raises ``LifecycleError``.
    """
    known = {verdict.id: verdict.diff_id for verdict in verdicts if verdict.diff_id is not None}
    sizes = {verdict.diff_id: verdict.size for verdict in verdicts if verdict.diff_id is not None and verdict.size}
    work = _StepExport(inputs, known, sizes, {each.buildpack_id: each for each in observed}, pack)
    work.blobs.update({layer.diff_id: layer for layer in layers})
    steps = tuple(work.step(read_built_layers(inputs.layers_dir, each)) for each in inputs.group.group)
    return ExportedSteps(steps, work.blobs, work.sboms(), _detected(inputs, plan))


@dataclass(slots=True)
class _StepExport:
    inputs: ExportInputs
    known: Mapping[str, DiffId]
    sizes: Mapping[DiffId, int]
    observed: Mapping[str, ObservedStep]
    pack: Callable[[LayerSource, LayerRecord | None], LayerBlob | None]
    blobs: dict[DiffId, LayerBlob | ReusedLayer] = field(default_factory=dict)
    upstream: list[UpstreamLayer] = field(default_factory=list)

    def step(self, built: BuiltLayers) -> StepRecord:
        """Return the record of one buildpack; ignored layers are not part of it."""
        record = StepRecord(
            buildpack=built.buildpack,
            layers=tuple(self._layer(built, layer) for layer in built.layers if _is_used(layer)),
            outputs={name: table for name in _OUTPUTS if (table := _table(built.directory / name)) is not None},
        )
        found = self.observed.get(built.buildpack.id)
        if found is not None:
            record = replace(
                record, app_after=found.app_after, environment_after=found.environment_after, facts=found.facts
            )
            if not found.withheld:
                upstream = field_digest("upstream", upstream_content(self.upstream, found.environment))
                fields = {**found.fields, "upstream": upstream}
                record = replace(record, key=step_key(fields), inputs=fields)
        self.upstream += build_layers(built.buildpack.id, record.layers)
        return record

    def _layer(self, built: BuiltLayers, layer: BuiltLayer) -> LayerRecord:
        record = LayerRecord(layer.name, layer.metadata.types, layer.metadata.metadata)
        known = self.known.get(f"{built.buildpack.id}:{layer.name}")
        if known is not None:
            return replace(record, diff_id=known, size=self.sizes.get(known))
        if not layer.has_contents:
            return record
        found, size = self._pack(layer.path, record)
        return replace(record, diff_id=found, size=size)

    def sboms(self) -> dict[str, DiffId]:
        """Return the layers with SBOM files."""
        found = {}
        if LAUNCH_SBOM_ID in self.known:
            found["launch"] = self.known[LAUNCH_SBOM_ID]
        if PlatformFeature.SBOM in self.inputs.api:
            for place in _SBOM_PLACES:
                path = self.inputs.layers_dir / "sbom" / place
                if has_directory(path):
                    found[place], _ = self._pack(path, None)
        return found

    def _pack(self, path: Path, record: LayerRecord | None) -> tuple[DiffId, int]:
        inputs = self.inputs
        source = directory_layer(path, uid=inputs.uid, gid=inputs.gid, mapping=inputs.layers_mapping)
        blob = self.pack(source, record)
        if blob is None:
            return diff_id(source)
        self.blobs.setdefault(blob.diff_id, blob)
        return blob.diff_id, blob.uncompressed_size


def _is_used(layer: BuiltLayer) -> bool:
    types = layer.metadata.types
    return types.launch or types.build or types.cache


def _table(path: Path) -> Table | None:
    return read_toml(path, missing_ok=True, regular=True)


def _detected(inputs: ExportInputs, plan: Plan | None) -> dict[str, Any]:
    found: dict[str, Any] = {"group": tagged(_present(inputs.group.struct()))}
    if plan is not None:
        found["plan"] = tagged(_present(plan.struct()))
    return found


def _present(value: Any) -> Any:
    """Return a table without its empty values, which TOML leaves out."""
    match value:
        case dict():
            return {key: _present(each) for key, each in value.items() if each is not None}
        case list():
            return [_present(each) for each in value]
        case _:
            return value
