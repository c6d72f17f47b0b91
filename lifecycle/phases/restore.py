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

from lifecycle.errors import CacheEntryNotFoundError, CacheError, InvalidFileError
from lifecycle.files import codec
from lifecycle.files.atomic import write_atomic
from lifecycle.layers.extract import extract
from lifecycle.model.api import BuildpackApi, PlatformApi, PlatformFeature
from lifecycle.model.ids import directory_name
from lifecycle.model.lifecycle_metadata import CacheMetadata, LifecycleMetadata
from lifecycle.oci.digest import DiffId
from lifecycle.oci.gojson import Struct
from lifecycle.phases.cache_sources import NO_SOURCES, UNUSABLE, Pinned, fetch, pin_all
from lifecycle.phases.layer_contents import (
    in_image,
    move_into_place,
    remove_layer,
    staging_in,
)
from lifecycle.phases.layer_sboms import LayerSboms
from lifecycle.phases.timer import timed
from lifecycle.rules.cache_choice import Match
from lifecycle.rules.restoration import OTHER_VERSION, Origin, Restoration, Restored, restorations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from lifecycle.cache.store import Cache
    from lifecycle.images.store import Image
    from lifecycle.model.group import GroupElement
    from lifecycle.model.layer import Store
    from lifecycle.model.lifecycle_metadata import BuildpackLayer
    from lifecycle.phases.cache_sources import CacheSources, Contents
    from lifecycle.rules.cache_choice import Choice

_LOG = logging.getLogger(__name__)
_MAX_WORKERS = 8


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
    """What became of one layer, and why.

    ``source`` is the index of the source that its buildpack was given, ``origin`` that of the one that its bytes came
    from or, for metadata alone, will come from; 0 where there is none.  ``size`` counts the blob's bytes.
    """

    buildpack_id: str
    name: str
    restored: Restored
    reason: str
    diff_id: str = ""
    source: int = 0
    origin: int = 0
    match: Match = Match.PREVIOUS
    size: int = 0
    image: Image | None = None

    @property
    def id(self) -> str:
        """How messages call the layer."""
        return f"{self.buildpack_id}:{self.name}"


@dataclass(frozen=True, slots=True)
class RestoredLayers:
    """The account: every layer that app image or cache remember, by the group's order and by name.

    ``choices`` says of each buildpack which named source it has, and why not the others.
    """

    layers: tuple[RestoredLayer, ...]
    choices: Mapping[str, Choice] = field(default_factory=dict)


@timed("Restorer")
def restore(inputs: RestoreInputs, *, cache: Cache | None, sources: CacheSources = NO_SOURCES) -> RestoredLayers:
    """Restore the layers and the stores of the group's buildpacks.

    A buildpack that one of ``sources`` knows has its layers from there, any other from previous image and ``cache``.
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
        pinned, choices = pin_all(
            inputs.buildpacks,
            sources,
            staging=staging,
            layers_dir=inputs.layers_dir,
            image_layers_dir=inputs.image_layers_dir,
            with_sboms=PlatformFeature.SBOM in inputs.api,
        )
        work = _Work(inputs, staging, sboms, cache, cached, sources)
        layers = [layer for each in inputs.buildpacks for layer in work.decide(each, pinned.get(each.id))]
        for layer in layers:
            layer.announce()
        with ThreadPoolExecutor(max_workers=min(_MAX_WORKERS, (os.cpu_count() or 1) + 1)) as workers:
            account = tuple(workers.map(_Layer.carry_out, layers))
    if PlatformFeature.SBOM in inputs.api:
        shutil.rmtree(inputs.layers_dir / "sbom", ignore_errors=True)
    return RestoredLayers(account, choices if sources.opened else {})


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
    _save_store(inputs, buildpack, remembered.store)


def _save_store(inputs: RestoreInputs, buildpack: GroupElement, store: Store) -> None:
    path = inputs.layers_dir / directory_name(buildpack.id) / "store.toml"
    try:
        codec.save(path, Struct(metadata=store.metadata))
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
        extract(cache.layer(DiffId(sha)), root=root, target=sboms.cache_dir)
    except UNUSABLE as error:
        _LOG.warning("Skipping restore from cache '%s', whose SBOM files are unusable: %s", cache.name, error)
        return CacheMetadata()
    return cached


@dataclass(frozen=True, slots=True)
class _Work:
    """What the layers of all buildpacks have in common."""

    inputs: RestoreInputs
    staging: Path
    sboms: LayerSboms
    cache: Cache | None
    cached: CacheMetadata
    sources: CacheSources

    def decide(self, buildpack: GroupElement, pinned: Pinned | None) -> list[_Layer]:
        inputs = self.inputs
        directory = inputs.layers_dir / directory_name(buildpack.id)
        if pinned is not None:
            if pinned.step.store is not None:
                _save_store(inputs, buildpack, pinned.step.store)
            decided = pinned.decisions()
        else:
            in_app, in_cache = inputs.metadata.of(buildpack.id), self.cached.of(buildpack.id)
            decided = restorations(in_app.layers if in_app else {}, in_cache.layers if in_cache else {}, api=inputs.api)
        return [
            _Layer(buildpack.id, directory / name, decision, self, pinned, self._places(pinned))
            for name, decision in decided.items()
        ]

    def _places(self, pinned: Pinned | None) -> Mapping[int, Contents]:
        """Return where contents may come from; the source that knows the layer is first."""
        if self.cache is None:
            return pinned.places if pinned else {}
        cache = {self.sources.cache_index: self.cache}
        return {**pinned.places, **cache} if pinned else {**cache, **self.sources.usable()}


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer to restore, and all that it takes."""

    buildpack_id: str
    path: Path
    decision: Restoration
    work: _Work
    pinned: Pinned | None
    places: Mapping[int, Contents]

    @property
    def id(self) -> str:
        return f"{self.buildpack_id}:{self.path.name}"

    def announce(self) -> None:
        """Log what will be done.  Reference: the texts."""
        decision = self.decision
        if decision.restored is Restored.NOTHING:
            level = logging.INFO if self.work.sources.opened else logging.DEBUG
            _LOG.log(level, 'Not restoring "%s": %s', self.id, decision.reason)
        else:
            _LOG.info('Restoring metadata for "%s" from %s', self.id, self._shown(str(decision.origin)))
        if decision.restored is Restored.CONTENTS:
            _LOG.info('Restoring data for "%s" from %s', self.id, self._shown("cache"))
        if decision.reason == OTHER_VERSION or (decision.outdated and os.path.lexists(self.path)):
            _LOG.info('Removing "%s", wrong sha', self.id)

    def carry_out(self) -> RestoredLayer:
        """Do what was decided, or say why it can't be done."""
        decision = self.decision
        if decision.outdated:
            remove_layer(self.path)
        if decision.layer is None or decision.origin is None:
            return self._account(Restored.NOTHING, decision.reason)
        try:
            origin = self._restore(decision.layer, decision.origin)
        except UNUSABLE as error:
            _LOG.warning("Skipping restore for layer %s: %s", self.id, error)
            remove_layer(self.path)
            return self._account(Restored.NOTHING, str(error))
        return self._account(decision.restored, decision.reason, origin)

    def _restore(self, layer: BuildpackLayer, origin: Origin) -> int:
        """Restore the layer and return the index of the source of its bytes."""
        inputs = self.work.inputs
        metadata = _layer_toml(layer, self.id)
        found = 0
        if self.decision.restored is Restored.CONTENTS and self.places:
            root = in_image(self.path, layers_dir=inputs.layers_dir, image_layers_dir=inputs.image_layers_dir)
            extracted = Path(tempfile.mkdtemp(dir=self.work.staging)) / "layer"
            found = fetch(
                self.places,
                DiffId(layer.sha),
                lambda tar, path: extract(tar, root=root, target=path),
                extracted,
            )
            move_into_place(extracted, self.path)
        elif self.pinned is not None:
            found = self._holder(self.pinned, layer)
        if PlatformFeature.SBOM in inputs.api:
            sboms = self.pinned.sboms if self.pinned else self.work.sboms
            sboms.hand_out(self.path, buildpack_id=self.buildpack_id, origin=origin)
        write_atomic(self.path.with_name(f"{self.path.name}.toml"), metadata)
        return found

    def _holder(self, pinned: Pinned, layer: BuildpackLayer) -> int:
        """Return the source that an export can take the layer from; raise ``CacheEntryNotFoundError`` without one."""
        found = pinned.holder(DiffId(layer.sha))
        if found:
            return found
        previous = self.work.inputs.metadata.of(self.buildpack_id)
        known = previous.layers.get(self.path.name) if previous else None
        if known is not None and known.sha == layer.sha:
            return self.work.sources.image_index
        raise CacheEntryNotFoundError(f"no source has the layer {layer.sha} to put on an image")

    def _shown(self, otherwise: str) -> str:
        return self.pinned.name if self.pinned else otherwise

    def _account(self, restored: Restored, reason: str, origin: int = 0) -> RestoredLayer:
        sources, decision = self.work.sources, self.decision
        diff_id = decision.layer.sha if decision.layer else ""
        if self.pinned is None:
            by_cache = restored is Restored.CONTENTS or decision.origin is Origin.CACHE
            known = sources.cache_index if by_cache else sources.image_index
            known = known if decision.layer else 0
            return RestoredLayer(self.buildpack_id, self.path.name, restored, reason, diff_id, known, origin or known)
        image = None
        if restored is Restored.METADATA and origin in self.pinned.places:
            image = self.pinned.image(origin, DiffId(diff_id))
        return RestoredLayer(
            self.buildpack_id,
            self.path.name,
            restored,
            reason,
            diff_id,
            self.pinned.choice.source,
            origin,
            self.pinned.choice.match,
            self.pinned.size(self.path.name),
            image,
        )


def _layer_toml(layer: BuildpackLayer, where: str) -> bytes:
    """Return ``<layer>.toml`` without ``[types]``; empty where the buildpack had written no metadata."""
    if layer.data is not None and not isinstance(layer.data, dict):
        raise InvalidFileError("has metadata that is not a table", where=where)
    return codec.dumps(Struct(metadata=layer.data), where=where).encode()
