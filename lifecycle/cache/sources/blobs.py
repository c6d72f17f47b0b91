"""Where the documents and blobs of a cache are, in a registry or in a layout, for those who know its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import CorruptImageError, VerificationError
from lifecycle.images.layout_files import blob_name
from lifecycle.images.stored_image import MAX_DOCUMENT
from lifecycle.oci.digest import verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference


class Blobs(Protocol):
    """The blobs of one repository or layout."""

    @property
    def where(self) -> str:
        """The repository, or the path of the layout."""
        ...

    def has(self, descriptor: Descriptor) -> bool:
        """Say whether a blob is there."""
        ...

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read; raise ``CorruptImageError`` if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class RegistryBlobs:
    """The blobs of the repository of ``location``, a digest reference."""

    client: RegistryClient
    location: Reference

    @property
    def where(self) -> str:
        """The repository."""
        return self.location.context

    def has(self, descriptor: Descriptor) -> bool:
        """Say whether the repository or a mirror of it has a blob."""
        return self.client.can_read_blob(self.location, descriptor)

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self.client.blob(self.location, descriptor)


@dataclass(frozen=True, slots=True)
class LayoutBlobs:
    """The blobs of a layout."""

    files: LayoutFiles

    @property
    def where(self) -> str:
        """The path of the layout."""
        return self.files.where

    def has(self, descriptor: Descriptor) -> bool:
        """Say whether the layout has a blob."""
        return self.files.size(blob_name(descriptor.digest)) is not None

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        chunks = self.files.chunks(blob_name(descriptor.digest))
        where = f"{self.files.where} {descriptor.digest}"
        return verified(chunks, digest=descriptor.digest, size=descriptor.size, where=where)


def document(blobs: Blobs, descriptor: Descriptor) -> bytes:
    """Return a blob that is a document; raise ``CorruptImageError`` for wrong bytes or more than ``MAX_DOCUMENT``."""
    where = f"{blobs.where} {descriptor.digest}"
    if descriptor.size > MAX_DOCUMENT:
        raise CorruptImageError(f"is larger than {MAX_DOCUMENT} bytes", where=where)
    try:
        return b"".join(blobs.chunks(descriptor))
    except VerificationError as error:
        raise CorruptImageError(error.message, where=error.where or where) from error
