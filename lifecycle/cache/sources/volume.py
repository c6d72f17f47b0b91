"""A cache in a directory as a source; see ``lifecycle.cache.volume`` for the format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.volume import METADATA_NAME, VolumeCache
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.model.label_text import read_cache_metadata
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.progress import NO_PROGRESS
from lifecycle.rules.cached_steps import steps_of_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.images.store import Image
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.progress import Progress

VOLUME: Final = "volume"


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """The steps and layers of a volume cache; ``digest`` is that of its metadata."""

    name: str
    digest: str
    cache: VolumeCache
    remembered: tuple[CachedStep, ...]

    @property
    def kind(self) -> str:
        """What it is."""
        return VOLUME

    def steps(self) -> tuple[CachedStep, ...]:
        """Return what the cache remembered when it was opened."""
        return self.remembered

    def has(self, diff_id: DiffId) -> bool:
        """Say whether the file of a layer is there."""
        return self.cache.layer_size(diff_id) is not None

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified while it is read."""
        return self.cache.layer(diff_id)

    def image(self, diff_id: DiffId) -> Image | None:  # noqa: ARG002  # a volume has no blobs
        """Return ``None``: an image takes blobs, and here are tars."""
        return None


def is_volume(path: Path) -> bool:
    """Say whether a directory is a volume cache."""
    return (path / "committed").is_dir() or (path / "committed-backup").is_dir()


def open_volume(path: Path, *, progress: Progress = NO_PROGRESS) -> VolumeSource | None:
    """Read what a volume cache says, ``None`` if nothing yet.

    Raises ``CacheError`` or ``CorruptImageError`` where it can't be understood.
    """
    cache = VolumeCache(path, progress=progress)
    metadata = path / "committed" / METADATA_NAME
    try:
        data = cache.metadata_bytes()
        if data is None:
            return None
        said = read_cache_metadata(data.decode("utf-8", errors="replace"))
    except OSError as error:
        raise CacheError(f"can't be read: {error.strerror}", where=metadata) from error
    except ValueError as error:
        raise CorruptImageError("has metadata that can't be understood", where=metadata) from error
    return VolumeSource(str(path), digest_of(data), cache, _sized(cache, steps_of_cache(said)))


def _sized(cache: VolumeCache, steps: tuple[CachedStep, ...]) -> tuple[CachedStep, ...]:
    return tuple(
        replace(
            step,
            layers=tuple(replace(each, size=cache.layer_size(DiffId(each.diff_id)) or 0) for each in step.layers),
        )
        for step in steps
    )
