"""A step's record as a registry stores it: an image manifest whose configuration is the record.

Its layers are those of the record, then the SBOM files of the buildpack, whose names stand in an annotation.  Nothing
in it tells who made it or when: equal outputs have equal manifests, and builders that made the same agree without
knowing of each other.  Spec: OCI image-spec manifest.md "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.publication import Publication
from lifecycle.errors import CacheError
from lifecycle.model.step_record import MEDIA_PREFIX, STEP_TYPE, StepRecord, loads
from lifecycle.rules.sbom import is_sbom_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.oci.manifest import Descriptor

FILE_TYPE = f"{MEDIA_PREFIX}file"
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True)
class StepManifest:
    """``record``, whose layers with contents all have a blob, and the SBOM files by their names."""

    record: StepRecord
    files: Mapping[str, Descriptor] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """All blobs but the record, each once."""
        layers = [layer.blob for layer in self.record.layers if layer.blob is not None]
        files = [replace(self.files[name], annotations={TITLE: name}) for name in sorted(self.files)]
        return (*{each.digest: each for each in layers}.values(), *files)

    @property
    def publication(self) -> Publication:
        """The step as it is stored."""
        return Publication(STEP_TYPE, self.record.dumps(), self.blobs)

    def contents(self) -> StepRecord:
        """Return the record without what depends on how its layers were compressed."""
        return self.record.keeping(tuple(replace(layer, blob=None) for layer in self.record.layers))


def read_step(blobs: Sequence[Descriptor], config: bytes, *, where: str) -> StepManifest:
    """Read a stored step from the blobs of its manifest and its record; raise ``CacheError`` for what is none."""
    record = loads(config, where=where)
    files = {each.annotations.get(TITLE, ""): each for each in blobs if each.media_type == FILE_TYPE}
    for name in files:
        if "/" in name or not is_sbom_name(name):
            raise CacheError(f"holds a file named {name!r}, which is no SBOM file", where=where)
    for layer in record.layers:
        if layer.diff_id is not None and (layer.blob is None or layer.size is None):
            raise CacheError(f"does not say where layer {layer.name} is", where=where)
    return StepManifest(record, {name: replace(each, annotations={}) for name, each in files.items()})
