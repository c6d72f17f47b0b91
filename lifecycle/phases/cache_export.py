"""Export of the cache: the cached layers of the buildpacks and their SBOM files, for the next build.

A cache makes builds faster, no more: what goes wrong here is a warning and never fails a build.
Spec: platform.md "Exporter" (cache); buildpack.md "Layer Types".  Reference: phase/cache.go for rules and
messages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.errors import CacheEntryNotFoundError, LifecycleError, VerificationError
from lifecycle.files.built_layers import has_directory, read_built_layers
from lifecycle.layers.source import diff_id, directory_layer
from lifecycle.model.api import PlatformFeature
from lifecycle.model.lifecycle_metadata import BuildpackLayers, CacheMetadata, LayerSha
from lifecycle.phases.export_layers import recorded_as
from lifecycle.phases.timer import timed
from lifecycle.rules import cache_plan
from lifecycle.rules.export_plan import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.store import Cache, CacheTransaction
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.group import GroupElement
    from lifecycle.oci.digest import DiffId
    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.rules.export_plan import Candidate, LayerVerdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheExported:
    """What the cache holds now, and what became of each layer."""

    metadata: CacheMetadata
    verdicts: tuple[LayerVerdict, ...]


@timed("Cache")
def export_cache(
    inputs: ExportInputs,
    *,
    cache: Cache,
    exported: Sequence[LayerVerdict] = (),
    blobs: Iterable[LayerBlob] = (),
    before_commit: Callable[[], object] = lambda: None,
    observe: Callable[[LayerVerdict], None] = lambda _: None,
) -> CacheExported | None:
    """Replace the content of ``cache``; return ``None``, after a warning, where that fails.

    ``exported`` is what the export of the same layers found: those need not be hashed again.  ``blobs`` are the
    layers that it stored in files, which need not be compressed again as long as those files are there.
    ``before_commit`` may wait for something that the cache must not precede; what it raises ends the export.
    """
    transaction = None
    try:
        transaction = cache.begin()
        known = {verdict.id: verdict for verdict in exported}
        stored = {blob.diff_id: blob for blob in blobs}
        work = _CacheExport(inputs, cache.metadata(), transaction, observe, known, stored, [])
        buildpacks = tuple(work.add_buildpack(buildpack) for buildpack in inputs.group.group)
        metadata = CacheMetadata(sbom=work.add_sbom(), buildpacks=buildpacks or None)
        before_commit()
        transaction.commit(metadata)
    except LifecycleError as error:
        _LOG.warning("Failed to export cache: %s", error)
        return None
    finally:
        if transaction is not None:
            transaction.abort()
    return CacheExported(metadata, tuple(work.verdicts))


@dataclass(frozen=True, slots=True)
class _CacheExport:
    inputs: ExportInputs
    previous: CacheMetadata
    transaction: CacheTransaction
    observe: Callable[[LayerVerdict], None]
    exported: Mapping[str, LayerVerdict]
    stored: Mapping[DiffId, LayerBlob]
    verdicts: list[LayerVerdict]

    def add_buildpack(self, buildpack: GroupElement) -> BuildpackLayers:
        """Add the cached layers of a buildpack; one that can't be added is left out with a warning."""
        layers = {}
        for layer in read_built_layers(self.inputs.layers_dir, buildpack).layers:
            if not layer.metadata.types.cache:
                continue
            candidate = cache_plan.cache_layer(buildpack, layer.name, self.previous)
            if not layer.has_contents:
                _LOG.warning("Failed to cache layer '%s' because it has no contents", candidate.id)
                continue
            try:
                found = self._add(candidate, self._directory(layer.path))
            except LifecycleError as error:
                _LOG.warning("Failed to cache layer '%s': %s", candidate.id, error)
                continue
            layers[layer.name] = recorded_as(layer, found)
        return BuildpackLayers(key=buildpack.id, version=buildpack.version, layers=layers)

    def add_sbom(self) -> LayerSha:
        """Add the SBOM files of cached layers, if there are any."""
        path = self.inputs.layers_dir / "sbom" / "cache"
        if PlatformFeature.SBOM not in self.inputs.api or not has_directory(path):
            return LayerSha()
        _LOG.debug("Found SBOM of type cache for at %s", path)
        return LayerSha(sha=self._add(cache_plan.sbom_layer(self.previous), self._directory(path)))

    def _add(self, candidate: Candidate, source: LayerSource) -> DiffId:
        known = self.exported.get(candidate.id)
        found, size = (known.diff_id, known.size) if known and known.diff_id else diff_id(source)
        verdict = replace(cache_plan.judge(candidate, found), size=size)
        if verdict.action is Action.REUSE:
            _LOG.info("Reusing cache layer '%s'", candidate.id)
            _LOG.debug("Layer '%s' SHA: %s", candidate.id, found)
            try:
                self.transaction.reuse(found)
            except (CacheEntryNotFoundError, VerificationError) as error:
                _LOG.warning("Skipping reuse for layer %s: %s", candidate.id, error)
                verdict = replace(verdict, action=Action.ADD, reason="the cached copy is missing or broken")
        if verdict.action is Action.ADD:
            _LOG.info("Adding cache layer '%s'", candidate.id)
            _LOG.debug("Layer '%s' SHA: %s", candidate.id, found)
            if found in self.stored:
                self.transaction.add_blob(self.stored[found])
            else:
                self.transaction.add(source, found)
            verdict = replace(verdict, stored_size=size)
        self.verdicts.append(verdict)
        self.observe(verdict)
        return found

    def _directory(self, path: Path) -> LayerSource:
        inputs = self.inputs
        return directory_layer(path, uid=inputs.uid, gid=inputs.gid, mapping=inputs.layers_mapping)
