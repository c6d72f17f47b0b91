"""Restoration: layers of the last build come back, as the app image and the cache remember them.

Spec: platform.md "Restorer" (outputs, "Layer Restoration"), buildpack.md "Layer Types".
Nothing is visible before all of its bytes proved right.  A layer whose contents can't be had does not come
back at all, where the reference leaves its metadata, which would mislead its buildpack.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import (
    CacheError,
    ImageError,
    InvalidFileError,
    UnsafeArchiveError,
    VerificationError,
)
from lifecycle.files import codec
from lifecycle.files.atomic import write_atomic
from lifecycle.model.api import BuildpackApi, PlatformApi, PlatformFeature
from lifecycle.model.ids import directory_name
from lifecycle.model.lifecycle_metadata import CacheMetadata, LifecycleMetadata
from lifecycle.oci.digest import DiffId
from lifecycle.oci.gojson import Struct
from lifecycle.phases.layer_contents import (
    extract_directory,
    in_image,
    move_into_place,
    remove_layer,
    staging_in,
)
from lifecycle.phases.layer_sboms import LayerSboms
from lifecycle.rules.restoration import OTHER_VERSION, Origin, Restoration, Restored, restorations

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from lifecycle.cache.store import Cache
    from lifecycle.model.group import GroupElement
    from lifecycle.model.lifecycle_metadata import BuildpackLayer

_LOG = logging.getLogger(__name__)
_MAX_WORKERS = 8

# What a broken or unreachable cache raises, and metadata that no TOML file can hold: reasons to do without.
_UNUSABLE = (CacheError, ImageError, InvalidFileError, UnsafeArchiveError, VerificationError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreInputs:
    """What a restoration needs to know.  Spec: platform.md "Restorer" (inputs).

    ``metadata`` is that of the previous image, from analyzed.toml.  ``image_layers_dir`` is the place of the
    layers directory in images and caches where that differs from ``layers_dir``.
    """

    api: PlatformApi
    layers_dir: Path
    buildpacks: tuple[GroupElement, ...]
    metadata: LifecycleMetadata = field(default_factory=LifecycleMetadata)
    skip_layers: bool = False
    image_layers_dir: PurePosixPath | None = None


@dataclass(frozen=True, slots=True)
class RestoredLayer:
    """What became of one layer, and why."""

    buildpack_id: str
    name: str
    restored: Restored
    reason: str

    @property
    def id(self) -> str:
        """How messages call the layer."""
        return f"{self.buildpack_id}:{self.name}"


@dataclass(frozen=True, slots=True)
class RestoredLayers:
    """The account: every layer that app image or cache remember, by the group's order and by name."""

    layers: tuple[RestoredLayer, ...]


def restore(inputs: RestoreInputs, *, cache: Cache | None) -> RestoredLayers:
    """Restore the layers and the stores of the group's buildpacks.

    Raises ``BuildpackApiError`` for an unsupported Buildpack API and ``LifecycleError`` when the layers
    directory can't be written; whatever is wrong with the cache is a warning.
    """
    for buildpack in inputs.buildpacks:
        BuildpackApi.parse(buildpack.api, module=f"Buildpack '{buildpack}'")
        _restore_store(inputs, buildpack)
    if inputs.skip_layers:
        _LOG.info("Skipping buildpack layer analysis")
        return RestoredLayers(())
    cached = _remembered(cache)
    with staging_in(inputs.layers_dir) as staging:
        sboms = LayerSboms(inputs.layers_dir / "sbom" / "launch", staging / "sbom")
        cached = _restore_cached_sboms(inputs, cache, cached, sboms)
        layers = [layer for each in inputs.buildpacks for layer in _decide(inputs, each, cached, staging, sboms)]
        for layer in layers:
            layer.announce()
        with ThreadPoolExecutor(max_workers=min(_MAX_WORKERS, (os.cpu_count() or 1) + 1)) as workers:
            account = tuple(workers.map(lambda layer: layer.carry_out(cache), layers))
    if PlatformFeature.SBOM in inputs.api:
        shutil.rmtree(inputs.layers_dir / "sbom", ignore_errors=True)
    return RestoredLayers(account)


def _remembered(cache: Cache | None) -> CacheMetadata:
    """Return what the cache says of itself; one out of reach costs time, not the build."""
    if cache is None:
        return CacheMetadata()
    try:
        return cache.metadata()
    except CacheError as error:
        _LOG.warning("Skipping restore from cache '%s': %s", cache.name, error)
        return CacheMetadata()


def _restore_store(inputs: RestoreInputs, buildpack: GroupElement) -> None:
    remembered = inputs.metadata.of(buildpack.id)
    if remembered is None or remembered.store is None:
        return
    path = inputs.layers_dir / directory_name(buildpack.id) / "store.toml"
    try:
        codec.save(path, Struct(metadata=remembered.store.metadata))
    except InvalidFileError as error:
        _LOG.warning("Skipping restore of the store of %s: %s", buildpack.id, error)


def _restore_cached_sboms(
    inputs: RestoreInputs, cache: Cache | None, cached: CacheMetadata, sboms: LayerSboms
) -> CacheMetadata:
    """Fetch the SBOM files of the cache, and return what the cache can be used for.

    A layer without the SBOM that belongs to it would lose it for ever: without SBOM files the cache is of no
    use.
    """
    sha = cached.sbom.sha
    if cache is None or not sha or PlatformFeature.SBOM not in inputs.api:
        return cached
    _LOG.info("Restoring data for SBOM from cache")
    path = inputs.layers_dir / "sbom" / "cache"
    root = in_image(path, layers_dir=inputs.layers_dir, image_layers_dir=inputs.image_layers_dir)
    try:
        extract_directory(cache.layer(DiffId(sha)), root=root, target=sboms.cache_dir)
    except _UNUSABLE as error:
        _LOG.warning("Skipping restore from cache '%s', whose SBOM files are unusable: %s", cache.name, error)
        return CacheMetadata()
    return cached


def _decide(
    inputs: RestoreInputs, buildpack: GroupElement, cached: CacheMetadata, staging: Path, sboms: LayerSboms
) -> list[_Layer]:
    in_app, in_cache = inputs.metadata.of(buildpack.id), cached.of(buildpack.id)
    decisions = restorations(in_app.layers if in_app else {}, in_cache.layers if in_cache else {}, api=inputs.api)
    directory = inputs.layers_dir / directory_name(buildpack.id)
    return [
        _Layer(buildpack.id, directory / name, decision, inputs, staging, sboms) for name, decision in decisions.items()
    ]


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer to restore, and all that it takes."""

    buildpack_id: str
    path: Path
    decision: Restoration
    inputs: RestoreInputs
    staging: Path
    sboms: LayerSboms

    @property
    def id(self) -> str:
        return f"{self.buildpack_id}:{self.path.name}"

    def announce(self) -> None:
        """Log what will be done.  Reference: the texts."""
        decision = self.decision
        if decision.restored is Restored.NOTHING:
            _LOG.debug('Not restoring "%s": %s', self.id, decision.reason)
        else:
            _LOG.info('Restoring metadata for "%s" from %s', self.id, decision.origin)
        if decision.restored is Restored.CONTENTS:
            _LOG.info('Restoring data for "%s" from cache', self.id)
        if decision.reason == OTHER_VERSION or (decision.outdated and os.path.lexists(self.path)):
            _LOG.info('Removing "%s", wrong sha', self.id)

    def carry_out(self, cache: Cache | None) -> RestoredLayer:
        """Do what was decided, or say why it can't be done."""
        decision = self.decision
        if decision.outdated:
            remove_layer(self.path)
        if decision.layer is None or decision.origin is None:
            return self._account(Restored.NOTHING, decision.reason)
        try:
            self._restore(decision.layer, decision.origin, cache)
        except _UNUSABLE as error:
            _LOG.warning("Skipping restore for layer %s: %s", self.id, error)
            remove_layer(self.path)
            return self._account(Restored.NOTHING, str(error))
        return self._account(decision.restored, decision.reason)

    def _restore(self, layer: BuildpackLayer, origin: Origin, cache: Cache | None) -> None:
        metadata = _layer_toml(layer, self.id)
        if self.decision.restored is Restored.CONTENTS and cache is not None:
            root = in_image(self.path, layers_dir=self.inputs.layers_dir, image_layers_dir=self.inputs.image_layers_dir)
            extracted = Path(tempfile.mkdtemp(dir=self.staging)) / "layer"
            extract_directory(cache.layer(DiffId(layer.sha)), root=root, target=extracted)
            move_into_place(extracted, self.path)
        if PlatformFeature.SBOM in self.inputs.api:
            self.sboms.hand_out(self.path, buildpack_id=self.buildpack_id, origin=origin)
        write_atomic(self.path.with_name(f"{self.path.name}.toml"), metadata)

    def _account(self, restored: Restored, reason: str) -> RestoredLayer:
        return RestoredLayer(self.buildpack_id, self.path.name, restored, reason)


def _layer_toml(layer: BuildpackLayer, where: str) -> bytes:
    """Return ``<layer>.toml`` without ``[types]``; empty where the buildpack had written no metadata."""
    if layer.data is not None and not isinstance(layer.data, dict):
        raise InvalidFileError("has metadata that is not a table", where=where)
    return codec.dumps(Struct(metadata=layer.data), where=where).encode()
