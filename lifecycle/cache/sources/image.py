"""App images and cache images as sources: their labels say what they hold, their layers are its contents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.image import METADATA_LABEL
from lifecycle.cache.targets.inline import inline_step_records, inline_steps
from lifecycle.errors import CorruptImageError, ForeignSourceError, ImageError
from lifecycle.images.store import BlobSource
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.model.label_text import read_cache_metadata, read_lifecycle_metadata
from lifecycle.rules.cached_steps import steps_of_app, steps_of_cache
from lifecycle.rules.image_config import LIFECYCLE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.images.store import Image
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import DiffId, Digest

APP_IMAGE: Final = "app image"
CACHE_IMAGE: Final = "cache image"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The steps and layers of an image."""

    kind: str
    found: Image
    remembered: tuple[CachedStep, ...]

    @property
    def name(self) -> str:
        """The digest reference or layout path."""
        return self.found.reference

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return self.found.reference.rpartition("@")[2]

    def steps(self) -> tuple[CachedStep, ...]:
        """Return what the image remembers."""
        return self.remembered

    def records(self) -> Mapping[Digest, StepRecord]:
        """Return the records of an inline cache, which only an app image is, by their keys; none for other images."""
        records = (inline_step_records(self.found.config) or ()) if self.kind == APP_IMAGE else ()
        return {record.key: record for record in records if record.key is not None}

    def has(self, diff_id: DiffId) -> bool:
        """Say whether the layer can be read: its first bytes are, for a registry may claim to have what it lost."""
        if diff_id not in self.found.config.diff_ids:
            return False
        if not isinstance(self.found, BlobSource):
            return True
        try:
            first = next(self.found.blob(layer_descriptor(self.found, diff_id)), b"")
        except CorruptImageError:
            return False
        return bool(first)

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the tar of a layer, verified by its blob's digest and by its own."""
        if diff_id not in self.found.config.diff_ids:
            raise ImageError(f"has no layer {diff_id}", where=self.name)
        return self.found.layer(diff_id)

    def image(self, diff_id: DiffId) -> Image | None:
        """Return the image, if it has the layer."""
        return self.found if diff_id in self.found.config.diff_ids else None


def source_of_image(image: Image) -> ImageSource:
    """Return what an image is as a source.

    Raises ``CorruptImageError`` where its label can't be understood, ``ForeignSourceError`` where no lifecycle made it.
    """
    labels = image.config.labels
    try:
        if METADATA_LABEL in labels:
            metadata = read_cache_metadata(labels[METADATA_LABEL])
            return ImageSource(CACHE_IMAGE, image, steps_of_cache(metadata, image.config, image.manifest))
        if LIFECYCLE_LABEL in labels:
            said = read_lifecycle_metadata(labels[LIFECYCLE_LABEL])
            return ImageSource(APP_IMAGE, image, _with_keys(steps_of_app(said, image.config, image.manifest), image))
    except ValueError as error:
        raise CorruptImageError(f"has a label that can't be understood: {_line(error)}", where=image.name) from error
    raise ForeignSourceError("is an image that no lifecycle made", where=image.name)


def _with_keys(steps: tuple[CachedStep, ...], image: Image) -> tuple[CachedStep, ...]:
    """Return the steps with the keys of an inline cache, where the image is one."""
    keys = {each.buildpack_id: each for each in inline_steps(image.config, image.manifest) or ()}
    return tuple(
        replace(step, key=keys[step.buildpack_id].key, record=keys[step.buildpack_id].record)
        if step.buildpack_id in keys
        else step
        for step in steps
    )


def _line(error: ValueError) -> str:
    return " ".join(str(error).split())[:200]
