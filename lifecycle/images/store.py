"""What the phases ask of any place that keeps images: a layout, an archive, a registry, a daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Descriptor, Manifest


class Image(Protocol):
    """An image that can be read."""

    @property
    def name(self) -> str:
        """The name by which it was found."""
        ...

    @property
    def reference(self) -> str:
        """What analyzed.toml and labels record: a digest reference, an image id or a layout path."""
        ...

    @property
    def config(self) -> ImageConfig:
        """Its configuration."""
        ...

    @property
    def manifest(self) -> Manifest:
        """Its manifest; ``layers[i]`` belongs to ``config.diff_ids[i]``."""
        ...

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read.

        Raises ``CorruptImageError`` when the blob is missing and ``VerificationError`` at the end of wrong
        bytes.
        """
        ...


@runtime_checkable
class BlobSource(Protocol):
    """What an image offers if its blobs can be had as they are stored, so that copies keep their digests."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether the blob is there; sparse layouts lack those of base layers."""
        ...

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, verified while read; raise ``CorruptImageError`` when it is missing."""
        ...


@dataclass(frozen=True, slots=True)
class ReusedLayer:
    """A layer that ``image`` already has: its descriptor is kept, its bytes need not move."""

    image: Image
    diff_id: DiffId


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to write: the layers of ``base``, then ``layers``; ``config`` lists all their diffIDs."""

    base: Image | None
    layers: tuple[LayerBlob | ReusedLayer, ...]
    config: ImageConfig


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """What became of an image: the names written, and why others were not.

    ``reference`` as ``Image.reference``; ``image_id`` is the digest of the config; ``digest`` that of the
    manifest, ``""`` where the store reports none (layout, daemon); ``manifest_size`` in bytes.
    """

    names: tuple[str, ...]
    reference: str
    image_id: str
    digest: str = ""
    manifest_size: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


class ImageStore(Protocol):
    """A place that keeps images."""

    def find(self, name: str) -> Image | None:
        """Return the image or ``None``; raise ``CorruptImageError`` if it can't be understood."""
        ...

    def readable(self, name: str) -> bool:
        """Say whether ``name`` could be read, for the choice between mirrors of a run image."""
        ...

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless every name could be written."""
        ...

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write ``image`` under every name; a name appears whole or not at all."""
        ...
