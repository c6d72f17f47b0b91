"""The caches that a build names, from inputs to open sources, and their report on its way from phase to phase."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.specification import DISTRIBUTED, LOCAL, REGISTRY, CacheSpec, is_path
from lifecycle.cli.caches.specs import shared_specs, snapshot_path, source_specs
from lifecycle.errors import InvalidInputError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.codec import load, save
from lifecycle.images.retyped import retyped
from lifecycle.images.store import ReusedLayer
from lifecycle.model.cache_report import CacheAction, CacheReport, CacheSnapshot, SourceRow
from lifecycle.model.cached_step import StepFacts
from lifecycle.oci.digest import DiffId, Digest, is_digest
from lifecycle.oci.reference import parse_reference
from lifecycle.phases.cache_report import report_export, report_restoration
from lifecycle.phases.cache_sources import NO_SOURCES, CacheSources
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cache.sources.model import Opened
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import Image
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.target import TargetData
    from lifecycle.phases.restore import RestoredLayers
    from lifecycle.progress import Progress
    from lifecycle.rules.export_plan import LayerVerdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What an export has to know of the caches: the report so far, and layers that named sources give to the image."""

    report: CacheReport
    elsewhere: Mapping[str, ReusedLayer] = field(default_factory=dict)

    def elsewhere_for(self, base: Image) -> Mapping[str, ReusedLayer]:
        """Return the layers of named sources as an image on ``base`` has them."""
        return {name: retyped(layer, base) for name, layer in self.elsewhere.items()}

    def exported(self, verdicts: Sequence[LayerVerdict]) -> CacheReport:
        """Return the report after the export."""
        return report_export(self.report, verdicts, taken=self.elsewhere)


def open_sources(
    specs: Sequence[CacheSpec],
    remote: RemoteStores,
    *,
    target: TargetData,
    exec_env: str,
    layers_dir: str,
    registry: str,
    progress: Progress = NO_PROGRESS,
) -> CacheSources:
    """Open the sources that a build names; each that can't be used is a warning.

    ``registry`` is that of the image to write, ``""`` where it goes elsewhere.
    """
    if not specs:
        return NO_SOURCES
    from lifecycle.cache.sources.open import Opener

    began = time.monotonic()
    opened = Opener(remote.cache_client, progress=progress).open_all(specs)
    for each in opened:
        _announce(each)
        if each.status == "foreign" and each.spec.type == REGISTRY:
            _lend(each.spec, remote)
    distro = target.distro
    facts = StepFacts(
        os=target.os,
        arch=target.arch,
        variant=target.arch_variant,
        distro=distro.name if distro else "",
        distro_version=distro.version if distro else "",
        exec_env=exec_env,
        layers_dir=layers_dir,
    )
    return CacheSources(opened=opened, facts=facts, registry=registry, began=began)


def _lend(spec: CacheSpec, remote: RemoteStores) -> None:
    """Let the image to write take blobs of a cache of BuildKit's own, which is good for nothing else.

    The registry may take as long to answer as for any source.
    """
    from lifecycle.cache.sources.open import DEADLINE
    from lifecycle.cache.targets.buildkit_manifest import read_cache_manifest

    reference = parse_reference(spec.get("ref"))
    client = remote.cache_client(spec.number("timeout", DEADLINE))
    with contextlib.suppress(LifecycleError), client:
        stored = client.manifest(reference)
        found = None if stored is None else read_cache_manifest(stored.data, where=reference.name)
        if found is not None:
            remote.registry.lend((each.digest for each in found.blobs), reference)


def registry_of(name: str) -> str:
    """Return the registry of an image name, ``""`` where it has none."""
    try:
        return parse_reference(name).registry if name and not name.startswith("/") else ""
    except InvalidInputError:
        return ""


def _announce(opened: Opened) -> None:
    source = opened.source
    if source is None:
        _LOG.warning("Cache source #%d %s is %s: %s", opened.index, opened.spec, _state(opened), opened.error)
        return
    steps = source.steps()
    layers = sum(len(step.layers) for step in steps)
    _LOG.info("Cache source #%d %s: %s with %d layers", opened.index, source.name, source.kind, layers)


def _state(opened: Opened) -> str:
    return {"missing": "missing", "denied": "not to be read", "foreign": "of no use"}.get(opened.status, "unusable")


def more_sources(settings: Settings, analyzed: Analyzed, sources: CacheSources) -> tuple[SourceRow, ...]:
    """Return the sources that follow those that the user named: the cache and the previous image."""
    rows = []
    if image := settings.text("cache_image"):
        rows.append(SourceRow(index=sources.cache_index, spec=image, kind="cache image", status="ok"))
    elif directory := settings.text("cache_dir"):
        rows.append(SourceRow(index=sources.cache_index, spec=directory, kind="volume", status="ok"))
    if analyzed.image is not None and analyzed.image.reference:
        name = analyzed.image.reference
        digest = name.rpartition("@")[2] if "@" in name else ""
        rows.append(
            SourceRow(index=sources.image_index, spec=name, kind="app image", name=name, digest=digest, status="ok")
        )
    return tuple(rows)


def use_of(settings: Settings, analyzed: Analyzed, sources: CacheSources, account: RestoredLayers) -> CacheUse | None:
    """Return what a restoration leaves for export and reports, ``None`` where nobody named a source or a report."""
    if not (sources.opened or settings.text("cache_report")):
        return None
    report = report_restoration(sources, account, more=more_sources(settings, analyzed, sources))
    if sources.began:
        report = report.model_copy(update={"restore_seconds": round(time.monotonic() - sources.began, 3)})
    for step in report.step:
        for each in step.preferred():
            _LOG.info("Passing over cache source #%d for %s: %s", each.source, step.buildpack, each.reason)
    elsewhere = {
        layer.id: ReusedLayer(layer.image, DiffId(layer.diff_id)) for layer in account.layers if layer.image is not None
    }
    return CacheUse(report, elsewhere)


def save_snapshot(settings: Settings, use: CacheUse, lease: str) -> None:
    """Leave for the exporter what the restorer found, and the name of its lease."""
    save(snapshot_path(settings), CacheSnapshot(cache=use.report, lease=lease).struct())


def load_snapshot(settings: Settings) -> CacheSnapshot | None:
    """Return what the restorer left; what can't be read is a warning."""
    try:
        return load(CacheSnapshot, snapshot_path(settings), missing_ok=True)
    except LifecycleError as error:
        _LOG.warning("Not using what the restorer said of caches: %s", error)
        return None


def use_again(settings: Settings, report: CacheReport, remote: RemoteStores) -> CacheUse:
    """Return what the restorer found, with the images that launch layers are to be taken from.

    A source that is not there any more is a warning; the export says what it lacks.
    """
    rows = {row.index: row for row in report.source if row.digest}
    elsewhere: dict[str, ReusedLayer] = {}
    opened: dict[int, Opened] = {}
    for layer in report.layer:
        row = rows.get(layer.origin)
        if layer.action != CacheAction.METADATA_ONLY or layer.match == "previous" or row is None:
            continue
        if row.index not in opened:
            opened[row.index] = _open_again(settings, row, remote)
            _remember(opened[row.index], row, report)
        found = opened[row.index]
        image = None if found.source is None else found.source.image(DiffId(layer.diff_id))
        if image is None:
            _LOG.warning("Cache source #%d %s: %s", row.index, row.name, found.error or f"lacks {layer.diff_id}")
        else:
            elsewhere[layer.id] = ReusedLayer(image, DiffId(layer.diff_id))
    return CacheUse(report, elsewhere)


def _remember(opened: Opened, row: SourceRow, report: CacheReport) -> None:
    """Let a shared cache know again which of its records layers came from."""
    from lifecycle.cache.sources.distributed import DistributedSource

    if isinstance(opened.source, DistributedSource):
        for step in report.step:
            if step.source == row.index and is_digest(step.record) and is_digest(step.record_key):
                opened.source.remember(Digest(step.record), Digest(step.record_key))


def _open_again(settings: Settings, row: SourceRow, remote: RemoteStores) -> Opened:
    from lifecycle.cache.sources.distributed import KIND
    from lifecycle.cache.sources.open import Opener

    path, _, digest = row.name.rpartition("@")
    if row.kind == KIND:
        # Where the names of a cache are kept elsewhere, and whose signatures count, is said in the inputs alone.
        known = (*source_specs(settings), *shared_specs(settings))
        own = next((each for each in known if each.type == DISTRIBUTED and _is_named(each, path)), None)
        spec = own or CacheSpec(DISTRIBUTED, {"ref": path}, row.name)
    elif path.startswith("/"):
        spec = CacheSpec(LOCAL, {"src": path, "digest": digest}, row.name)
    else:
        spec = CacheSpec(REGISTRY, {"ref": row.name}, row.name)
    return Opener(remote.cache_client).open_all([spec])[0]


def _is_named(spec: CacheSpec, name: str) -> bool:
    ref = spec.get("ref")
    return str(Path(ref).absolute()) == name if is_path(ref) else parse_reference(ref).context == name


def write_report(path: Path | None, report: CacheReport) -> None:
    """Write the report as JSON where that is asked for."""
    if path is not None:
        write_atomic(path, (json.dumps({"cache": report.struct()}, indent=2) + "\n").encode())
