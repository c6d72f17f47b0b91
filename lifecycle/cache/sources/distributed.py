"""A cache that builders share as a source: one listing of its tags is all that a build sees of it.

Records are fetched when they are asked for: by the key of a step, which a build can tell from what the steps before it
left, or as the newest of their buildpack for the same target.
"""

from __future__ import annotations

import logging
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.publish import fetch
from lifecycle.cache.distributed.tags import Closed, Decided, Hint, read_tag, seen_of, short_digest
from lifecycle.errors import CacheEntryNotFoundError, CacheError, ImageError, UnsignedRecordError, VerificationError
from lifecycle.layers.blob import decompressed
from lifecycle.model.cached_step import CachedLayer, CachedStep
from lifecycle.model.layer import Store
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import DiffId, Digest, digest_of, verified
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.step_manifest import StepManifest
    from lifecycle.images.store import Image
    from lifecycle.model.step_record import StepRecord

_LOG = logging.getLogger(__name__)

KIND: Final = "distributed"
_MOST_HINTS: Final = 64
_UNUSABLE: Final = (CacheError, ImageError, VerificationError)


def open_distributed(repository: Repository) -> DistributedSource:
    """Return a cache as it is now; raise ``CacheError`` or ``ImageError`` if it can't be reached."""
    return DistributedSource(repository, repository.log.names())


@dataclass
class DistributedSource:
    """The repository as ``names``, one listing, show it.

    Its layers are those of the records that were asked for and of the newest ones: a cache may have many thousands.
    Steps of the buildpacks ``known_here`` come back by their exact keys only: this builder has its own layers of them,
    also those that no record holds.
    """

    repository: Repository
    names: frozenset[str]
    known_here: frozenset[str] = frozenset()
    _asked: dict[Digest, StepManifest | None] = field(default_factory=dict, init=False)
    _remembered: list[StepManifest] = field(default_factory=list, init=False)
    _fetched: dict[Digest, StepManifest | None] = field(default_factory=dict, init=False)
    _hints: tuple[StepManifest, ...] | None = field(default=None, init=False)

    @property
    def kind(self) -> str:
        """``distributed``."""
        return KIND

    @property
    def name(self) -> str:
        """The repository and the digest of its listing."""
        return f"{self.repository.name}@{self.digest}"

    @cached_property
    def digest(self) -> str:
        """The digest of the listing."""
        return digest_of("\n".join(sorted(self.names)).encode())

    def records(self) -> Mapping[Digest, StepRecord]:
        """Return the records by their keys, each fetched once, when it is asked for; those fetched can be listed."""
        return _Records(self)

    def steps(self) -> tuple[CachedStep, ...]:
        """Return the steps whose records were asked for, then the newest of each buildpack and target."""
        exact = [step for step in self._asked.values() if step is not None]
        keys = {step.record.key for step in exact}
        hints = [
            step
            for step in self._newest()
            if step.record.key not in keys and step.record.buildpack.id not in self.known_here
        ]
        return (*map(_exact, exact), *map(_hint, hints))

    def has(self, diff_id: DiffId) -> bool:
        """Say whether a layer is there."""
        blob = self._blob(diff_id)
        return blob is not None and self.repository.has_blob(blob)

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified by its blob's digest and by its own."""
        blob = self._blob(diff_id)
        if blob is None:
            raise CacheEntryNotFoundError(f"failed to find cache layer with SHA '{diff_id}'", where=self.name)
        return _tar(self.repository, blob, diff_id)

    def image(self, diff_id: DiffId) -> Image | None:
        """Return the record of a layer as an image of which an export can take it."""
        step = self._step_with(diff_id)
        return None if step is None else RecordImage(self.repository, step)

    def find(self, key: Digest) -> StepManifest | None:
        """Return the step of a key, ``None`` if it isn't decided or can't be had."""
        if key not in self._asked:
            decided = seen_of(self.names, key).decided
            self._asked[key] = None if decided is None else self._fetch(decided, key)
        return self._asked[key]

    def remember(self, record: Digest, key: Digest) -> None:
        """Know the layers of a record too, which another process found here."""
        if (step := self._fetch(record, key)) is not None:
            self._remembered.append(step)

    def loaded(self) -> dict[Digest, StepRecord]:
        """Return the records that were asked for, and the newest ones, which are outcomes of their keys as well."""
        steps = [*self._asked.values(), *self._newest()]
        return {step.record.key: step.record for step in steps if step is not None and step.record.key is not None}

    def _newest(self) -> tuple[StepManifest, ...]:
        if self._hints is None:
            newest: dict[str, Hint] = {}
            for name in self.names:
                hint = read_tag(name) if name.startswith("h.") else None
                if isinstance(hint, Hint) and (hint.group not in newest or newest[hint.group].version < hint.version):
                    newest[hint.group] = hint
            wanted = tuple(f".{short_digest(hint.value)}" for hint in newest.values())
            decided = (read_tag(name) for name in self.names if name.startswith("d.") and name.endswith(wanted))
            closed = frozenset(name for name in self.names if name.startswith("x."))
            keys = {
                tag.value: tag.key
                for tag in decided
                if isinstance(tag, Decided) and Closed(tag.key, tag.generation).name not in closed
            }
            chosen = sorted(newest.values(), key=lambda hint: (hint.version, hint.value), reverse=True)[:_MOST_HINTS]
            found = [self._fetch(hint.value, keys[hint.value]) for hint in chosen if hint.value in keys]
            self._hints = tuple(step for step in found if step is not None)
        return self._hints

    def _fetch(self, value: Digest, key: Digest) -> StepManifest | None:
        """Return a record; what could not be had once is not there for this build."""
        if value not in self._fetched:
            self._fetched[value] = self._try_to_fetch(value, key)
        return self._fetched[value]

    def _try_to_fetch(self, value: Digest, key: Digest) -> StepManifest | None:
        try:
            return fetch(self.repository, value, key=key)
        except UnsignedRecordError as error:
            _LOG.warning("Not using a record: %s", error)
            return None
        except _UNUSABLE as error:
            _LOG.info("Not using a record: %s", error)
            return None

    def _step_with(self, diff_id: DiffId) -> StepManifest | None:
        known = (*self._asked.values(), *self._remembered, *self._newest())
        return next((step for step in known if step is not None and _has(step, diff_id)), None)

    def _blob(self, diff_id: DiffId) -> Descriptor | None:
        step = self._step_with(diff_id)
        return None if step is None else _blobs(step)[diff_id]


@dataclass(frozen=True, slots=True)
class _Records(Mapping["Digest", "StepRecord"]):
    """Records by their keys.  Who lists them by ``items`` asks for none: hints stay what they are."""

    source: DistributedSource

    def __getitem__(self, key: Digest) -> StepRecord:
        step = self.source.find(key)
        if step is None:
            raise KeyError(key)
        return step.record

    def __iter__(self) -> Iterator[Digest]:
        return iter(self.source.loaded())

    def items(self) -> ItemsView[Digest, StepRecord]:
        return self.source.loaded().items()

    def __len__(self) -> int:
        return len(self.source.loaded())


@dataclass(frozen=True, slots=True)
class RecordImage:
    """A record as an image, whose layers are those of the step."""

    repository: Repository
    step: StepManifest

    @property
    def name(self) -> str:
        """The record in its repository."""
        return f"{self.repository.name}@{self.step.publication.digest}"

    @property
    def reference(self) -> str:
        """As ``name``."""
        return self.name

    @property
    def config(self) -> ImageConfig:
        """A configuration that lists the layers and says nothing else."""
        return ImageConfig(architecture="", os="linux", diff_ids=tuple(_blobs(self.step)))

    @property
    def manifest(self) -> Manifest:
        """A manifest that lists the layers."""
        return Manifest(OCI_MANIFEST, self.step.publication.config_descriptor, tuple(_blobs(self.step).values()))

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        return _tar(self.repository, _blobs(self.step)[diff_id], diff_id)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether a blob is there."""
        return self.repository.has_blob(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self.repository.blob(descriptor)


def _tar(repository: Repository, blob: Descriptor, diff_id: DiffId) -> Iterator[bytes]:
    where = f"{repository.name}@{blob.digest}"
    return verified(decompressed(repository.blob(blob), where=where), digest=diff_id, size=None, where=where)


def _has(step: StepManifest, diff_id: DiffId) -> bool:
    return diff_id in _blobs(step)


def _blobs(step: StepManifest) -> dict[DiffId, Descriptor]:
    return {
        layer.diff_id: layer.blob
        for layer in step.record.layers
        if layer.diff_id is not None and layer.blob is not None
    }


def _exact(step: StepManifest) -> CachedStep:
    return _cached(step, frozenset())


def _hint(step: StepManifest) -> CachedStep:
    """Return the step without layers that have SBOM files: those would be lost where a buildpack keeps the layer."""
    return _cached(step, frozenset(name.partition(".")[0] for name in step.files))


def _cached(step: StepManifest, without: frozenset[str]) -> CachedStep:
    """Return the step as a restoration sees it.

    Buildpacks expect no layer to be there that they did not mark cache=true, also not one that the same inputs made:
    it comes back after them, when the step is settled.  Spec: buildpack.md "Layer Types".
    """
    record = step.record
    layers = tuple(
        CachedLayer(
            name=layer.name,
            types=layer.types,
            metadata=layer.metadata,
            diff_id=layer.diff_id or "",
            digest=layer.blob.digest if layer.blob is not None else "",
            size=layer.blob.size if layer.blob is not None else 0,
            has_contents=layer.blob is not None and not (layer.types.build and not layer.types.cache),
        )
        for layer in record.layers
        if layer.name not in without
    )
    return CachedStep(
        buildpack_id=record.buildpack.id,
        version=record.buildpack.version,
        api=record.buildpack.api,
        layers=layers,
        store=Store.model_validate(record.store) if record.store is not None else None,
        key=record.key or "",
        record=step.publication.digest,
        facts=record.facts,
    )
