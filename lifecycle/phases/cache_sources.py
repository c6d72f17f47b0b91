"""Layers of earlier builds from the caches that a build names: which source each buildpack has, and their bytes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import (
    CacheEntryNotFoundError,
    CacheError,
    ImageError,
    InvalidFileError,
    UnsafeArchiveError,
    VerificationError,
)
from lifecycle.layers.extract import extract
from lifecycle.model.cached_step import SbomPlace, StepFacts
from lifecycle.oci.digest import DiffId
from lifecycle.phases.layer_contents import in_image
from lifecycle.phases.layer_sboms import LayerSboms
from lifecycle.rules.cache_choice import Choice, Match, choose, of_layer
from lifecycle.rules.restoration import Origin, Restoration, Restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path, PurePosixPath

    from lifecycle.cache.sources.model import Opened, Source
    from lifecycle.images.store import Image
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.model.group import GroupElement

_LOG = logging.getLogger(__name__)

UNUSABLE = (CacheError, ImageError, InvalidFileError, UnsafeArchiveError, VerificationError)
"""What a broken or unreachable cache raises, and metadata that no TOML file can hold: reasons to do without."""


class Contents(Protocol):
    """Anything that has layers by diffID."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSources:
    """The sources that a build names, opened, in the order of preference.

    ``keys`` are those of the steps of this build by the ids of buildpacks, as far as they are known, and ``facts``
    what they are made for.  ``registry`` is that of the image that is being built, which can take over blobs of its
    own without moving them; ``""`` where it goes elsewhere.  ``began`` is the monotonic time at which they began to be
    opened.
    """

    opened: tuple[Opened, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    facts: StepFacts = field(default_factory=StepFacts)
    registry: str = ""
    began: float = 0.0

    def usable(self) -> dict[int, Source]:
        """Return the sources that are there, by index."""
        return {each.index: each.source for each in self.opened if each.source is not None}

    @property
    def cache_index(self) -> int:
        """The index of ``-cache-dir`` or ``-cache-image``, which follow the sources."""
        return len(self.opened) + 1

    @property
    def image_index(self) -> int:
        """The index of the previous image, the last source."""
        return len(self.opened) + 2


NO_SOURCES = CacheSources()


@dataclass(frozen=True, slots=True)
class Pinned:
    """The source of one buildpack's layers: its step, its SBOM files, and all sources, itself first, for blobs."""

    choice: Choice
    step: CachedStep
    places: Mapping[int, Source]
    sboms: LayerSboms
    full: bool
    registry: str

    @property
    def name(self) -> str:
        """How messages call the source."""
        return f"#{self.choice.source} {self.places[self.choice.source].name}"

    def decisions(self) -> dict[str, Restoration]:
        """Decide on the layers of the step, by name."""
        decided = {}
        for layer in self.step.layers:
            found = of_layer(layer, exact=self.choice.match is Match.EXACT)
            recorded = None if found.restored is Restored.NOTHING else layer.recorded()
            origin = None if recorded is None else Origin.APP_IMAGE
            decided[layer.name] = Restoration(found.restored, found.reason, recorded, origin)
        return decided

    def size(self, name: str) -> int:
        """Return the bytes of a layer's blob, 0 where they are not known."""
        return next((layer.size for layer in self.step.layers if layer.name == name), 0)

    def holder(self, diff_id: DiffId) -> int:
        """Return the source from which an export can take the blob of a layer, 0 if there is none.

        Where the blob would be moved anyway, or ``verify=full`` demands it, all of its bytes are read now, so that
        an export does not fail on them.
        """
        for index, source in self.places.items():
            try:
                if source.image(diff_id) is None:
                    continue
                if self.full or not (self.registry and source.name.startswith(f"{self.registry}/")):
                    for _ in source.layer(diff_id):
                        pass
                    return index
                if source.has(diff_id):
                    return index
            except UNUSABLE as error:
                _LOG.warning("Passing over #%d for a layer: %s", index, error)
        return 0

    def image(self, index: int, diff_id: DiffId) -> Image | None:
        """Return the image with a layer's blob."""
        return self.places[index].image(diff_id)


def pin_all(
    buildpacks: Sequence[GroupElement],
    sources: CacheSources,
    *,
    staging: Path,
    layers_dir: Path,
    image_layers_dir: PurePosixPath | None,
    with_sboms: bool,
) -> tuple[dict[str, Pinned], dict[str, Choice]]:
    """Choose the source of each buildpack; those without one are missing from the first result.

    SBOM files are fetched here: a layer without those that belong to it would lose them for ever, so a source whose
    SBOM files can't be had is passed over.
    """
    usable = sources.usable()
    remembered = {index: source.steps() for index, source in usable.items()}
    sboms = _Sboms(staging, layers_dir, image_layers_dir, usable)
    unusable: dict[int, str] = {}
    while True:
        choices = {
            each.id: choose(
                each.id,
                remembered,
                facts=sources.facts,
                key=sources.keys.get(each.id, ""),
                unusable=unusable,
            )
            for each in buildpacks
        }
        failed = {
            choice.source: problem
            for choice in choices.values()
            if with_sboms and choice.step is not None and (problem := sboms.fetch(choice.source, choice.step))
        }
        if not failed:
            break
        unusable |= failed
    full = {each.index for each in sources.opened if each.spec.get("verify") == "full"}
    pinned = {
        buildpack_id: Pinned(
            choice,
            choice.step,
            {choice.source: usable[choice.source], **usable},
            sboms.of(choice.step),
            choice.source in full,
            sources.registry,
        )
        for buildpack_id, choice in choices.items()
        if choice.step is not None
    }
    return pinned, choices


@dataclass(frozen=True, slots=True)
class _Sboms:
    """The SBOM files of sources, below ``staging``, in a directory for each layer of them."""

    staging: Path
    layers_dir: Path
    image_layers_dir: PurePosixPath | None
    sources: Mapping[int, Source]
    known: dict[str, str] = field(default_factory=dict)

    def fetch(self, index: int, step: CachedStep) -> str:
        """Unpack the SBOM files of a step; return what is wrong with them."""
        for place, diff_id in step.sboms.items():
            if diff_id not in self.known:
                self.known[diff_id] = self._unpack(index, place, DiffId(diff_id))
            if self.known[diff_id]:
                return f"its SBOM files are unusable: {self.known[diff_id]}"
        return ""

    def of(self, step: CachedStep) -> LayerSboms:
        """Return the files of a step."""
        launch, cache = (
            self._directory(step.sboms.get(place, "none"), place) for place in (SbomPlace.LAUNCH, SbomPlace.CACHE)
        )
        return LayerSboms(launch, cache)

    def _directory(self, diff_id: str, place: SbomPlace) -> Path:
        return self.staging / f"sbom-{diff_id.removeprefix('sha256:')}" / place

    def _unpack(self, index: int, place: SbomPlace, diff_id: DiffId) -> str:
        target = self._directory(diff_id, place)
        target.parent.mkdir(exist_ok=True)
        root = in_image(
            self.layers_dir / "sbom" / place, layers_dir=self.layers_dir, image_layers_dir=self.image_layers_dir
        )
        contents: dict[int, Contents] = {index: self.sources[index], **self.sources}
        try:
            fetch(contents, diff_id, lambda tar, path: extract(tar, root=root, target=path), target)
        except UNUSABLE as error:
            return str(error)
        return ""


def fetch(
    places: Mapping[int, Contents], diff_id: DiffId, unpack: Callable[[Iterator[bytes], Path], object], target: Path
) -> int:
    """Unpack a layer from the first of ``places`` that has it right, and return which one that was.

    ``unpack`` makes a directory of a tar.  Raises what the first of them raised, if it is in none of them.
    """
    first: Exception | None = None
    for attempt, (index, place) in enumerate(places.items()):
        path = target.with_name(f"{target.name}.{attempt}")
        try:
            unpack(place.layer(diff_id), path)
        except UNUSABLE as error:
            if first is None:
                first = error
            if len(places) > 1 and not isinstance(error, CacheEntryNotFoundError):
                _LOG.debug("layer %s can't be had from %s: %s", diff_id, place.name, error)
            continue
        path.rename(target)
        return index
    raise first or CacheEntryNotFoundError(f"failed to find cache layer with SHA '{diff_id}'")
