"""What the phases ask of any cache of layers: a volume, an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.images.store import ReusedLayer
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.lifecycle_metadata import CacheMetadata
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import DiffId


class CacheTransaction(Protocol):
    """The next content of a cache; nothing of it is visible before ``commit``."""

    def add(self, source: LayerSource, diff_id: DiffId) -> None:
        """Add a layer; adding it twice is adding it once."""
        ...

    def add_blob(self, blob: LayerBlob) -> None:
        """Add a layer that is stored already, in a file that stays until the commit."""
        ...

    def reuse(self, diff_id: DiffId) -> None:
        """Keep a layer of the current content.

        Raises ``CacheEntryNotFoundError`` when it is not there, ``VerificationError`` when it is broken.
        """
        ...

    def commit(self, metadata: CacheMetadata) -> None:
        """Replace the content by what was added and reused, all or nothing."""
        ...

    def abort(self) -> None:
        """Leave the content as it is; harmless after ``commit``."""
        ...


class Cache(Protocol):
    """A cache of layers by diffID."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    def metadata(self) -> CacheMetadata:
        """Return what the cache says of itself; unreadable or missing is empty."""
        ...

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read.

        Raises ``CacheEntryNotFoundError`` when it is missing, ``VerificationError`` at the end of wrong bytes.
        """
        ...

    def begin(self) -> CacheTransaction:
        """Start to replace the content."""
        ...


@dataclass(frozen=True, slots=True)
class ExportedSteps:
    """What the steps of a build left, for caches that keep more than layers.

    ``blobs`` are the layers that can be had, by diffID; ``sboms`` the layers with SBOM files, by the name of their
    directory below ``<layers>/sbom``; ``detected`` the tables of group.toml and plan.toml.
    """

    steps: tuple[StepRecord, ...]
    blobs: Mapping[DiffId, LayerBlob | ReusedLayer]
    sboms: Mapping[str, DiffId] = field(default_factory=dict)
    detected: Mapping[str, Any] = field(default_factory=dict)
