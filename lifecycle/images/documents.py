"""Configuration and manifest of an image, byte for byte: what is read of them for a build is only a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lifecycle.images.store import BlobSource

if TYPE_CHECKING:
    from lifecycle.images.store import Image


@runtime_checkable
class KeepsManifest(Protocol):
    """What an image offers that lies in a place which keeps manifests."""

    def manifest_data(self) -> bytes:
        """Return the bytes of the manifest."""
        ...


@runtime_checkable
class KeepsConfig(Protocol):
    """What an image offers whose configuration is not among its blobs."""

    def config_data(self) -> bytes:
        """Return the bytes of the configuration."""
        ...


def manifest_data(image: Image) -> bytes | None:
    """Return the manifest as it is stored, ``None`` where images have none: in daemons and their archives."""
    return image.manifest_data() if isinstance(image, KeepsManifest) else None


def config_data(image: Image) -> bytes:
    """Return the configuration as it is stored; raise ``ImageError`` if it can't be read."""
    if isinstance(image, KeepsConfig):
        return image.config_data()
    if isinstance(image, BlobSource):
        return b"".join(image.blob(image.manifest.config))
    return image.config.dumps()
