"""What a cache in BuildKit's format says in our own terms: the builds it holds, the newest first, as one document.

It is a blob of its own beside the layers, so that the configuration stays as small as BuildKit wants it.
Decision: spec/decisions/0012-shared-steps.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CacheError
from lifecycle.model.cached_step import CachedLayer, CachedStep, SbomPlace
from lifecycle.model.canonical import canonical, untagged
from lifecycle.model.layer import Store
from lifecycle.model.step_record import MEDIA_PREFIX, read_step_record
from lifecycle.oci.digest import DiffId, Digest, is_digest
from lifecycle.oci.manifest import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.model.step_record import LayerRecord, StepRecord

INDEX_TYPE = f"{MEDIA_PREFIX}index.v1+json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class SbomLayer:
    """A layer with SBOM files: its diffID and its blob."""

    diff_id: DiffId
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class CachedBuild:
    """One build: its steps in order and, by their directory below ``<layers>/sbom``, its layers of SBOM files.

    ``detected`` are the tables of group.toml and plan.toml, empty where the mode is ``min``.
    """

    mode: str
    steps: tuple[StepRecord, ...]
    sboms: Mapping[str, SbomLayer] = field(default_factory=dict)
    detected: Mapping[str, Any] = field(default_factory=dict)

    def layers(self) -> Iterator[tuple[DiffId, Descriptor]]:
        """Yield the layers whose blobs the cache keeps."""
        for step in self.steps:
            for layer in step.layers:
                if layer.diff_id is not None and layer.blob is not None:
                    yield layer.diff_id, layer.blob
        for sbom in self.sboms.values():
            yield sbom.diff_id, sbom.blob

    def value(self) -> dict[str, Any]:
        """Return the JSON object."""
        found: dict[str, Any] = {"mode": self.mode, "steps": [step.value() for step in self.steps]}
        if self.sboms:
            found["sbom"] = {place: _sbom_value(each) for place, each in self.sboms.items()}
        if self.detected:
            found["detected"] = dict(self.detected)
        return found


def dumps(builds: tuple[CachedBuild, ...]) -> bytes:
    """Return the bytes of the document."""
    return canonical({"v": VERSION, "builds": [build.value() for build in builds]})


def loads(data: bytes, *, where: str) -> tuple[CachedBuild, ...]:
    """Read the document; members that are not known are ignored.  Raises ``CacheError``."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CacheError(f"is not JSON: {error}", where=where) from error
    if not isinstance(value, dict) or value.get("v") != VERSION or not isinstance(value.get("builds"), list):
        raise CacheError(f"is not an index of version {VERSION}", where=where)
    return tuple(_read_build(each, where=where) for each in value["builds"])


def cached_steps(builds: tuple[CachedBuild, ...]) -> tuple[CachedStep, ...]:
    """Return the steps of all builds as a source has them, each once."""
    found: dict[Digest, CachedStep] = {}
    for build in builds:
        sboms = {SbomPlace(place): each.diff_id for place, each in build.sboms.items() if place in set(SbomPlace)}
        for step in build.steps:
            found.setdefault(step.digest, _cached(step, sboms))
    return tuple(found.values())


def _cached(step: StepRecord, sboms: Mapping[SbomPlace, str]) -> CachedStep:
    return CachedStep(
        buildpack_id=step.buildpack.id,
        version=step.buildpack.version,
        api=step.buildpack.api,
        layers=tuple(map(_cached_layer, step.layers)),
        store=None if step.store is None else Store.model_validate(step.store),
        key=step.key or "",
        record=step.digest,
        facts=step.facts,
        sboms=sboms,
    )


def _cached_layer(layer: LayerRecord) -> CachedLayer:
    return CachedLayer(
        name=layer.name,
        types=layer.types,
        metadata=layer.metadata,
        diff_id=layer.diff_id or "",
        digest=layer.blob.digest if layer.blob else "",
        size=layer.blob.size if layer.blob else 0,
        has_contents=layer.blob is not None,
    )


def _sbom_value(sbom: SbomLayer) -> dict[str, Any]:
    blob = sbom.blob
    return {"diffID": sbom.diff_id, "blob": blob.digest, "size": blob.size, "mediaType": blob.media_type}


def _read_build(value: object, *, where: str) -> CachedBuild:
    if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
        raise CacheError("holds a build without steps", where=where)
    sboms, detected = value.get("sbom", {}), value.get("detected", {})
    if not isinstance(sboms, dict) or not isinstance(detected, dict):
        raise CacheError("holds a build that can't be understood", where=where)
    try:
        untagged(detected)
    except ValueError as error:
        raise CacheError(f"holds a build that can't be understood: {error}", where=where) from error
    return CachedBuild(
        mode=str(value.get("mode", "")),
        steps=tuple(read_step_record(step, where=where) for step in value["steps"]),
        sboms={place: _read_sbom(each, where=where) for place, each in sboms.items()},
        detected=detected,
    )


def _read_sbom(value: object, *, where: str) -> SbomLayer:
    match value:
        case {"diffID": str(diff_id), "blob": str(blob), "size": int(size), "mediaType": str(media_type)} if (
            is_digest(diff_id) and is_digest(blob) and size >= 0
        ):
            return SbomLayer(DiffId(diff_id), Descriptor(media_type, size, Digest(blob)))
        case _:
            raise CacheError("holds an SBOM that can't be understood", where=where)
