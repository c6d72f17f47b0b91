"""A record as a registry stores it: an image manifest whose configuration is the record.

Spec: OCI image-spec manifest.md "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from lifecycle.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Publication:
    """A record, ``config`` of ``media_type``, and the blobs that it names."""

    media_type: str
    config: bytes
    blobs: tuple[Descriptor, ...]

    @property
    def config_descriptor(self) -> Descriptor:
        """Where the manifest finds the record."""
        return Descriptor(self.media_type, len(self.config), digest_of(self.config))

    def dumps(self) -> bytes:
        """Return the bytes of the manifest."""
        return Manifest(OCI_MANIFEST, self.config_descriptor, self.blobs).dumps()

    @property
    def digest(self) -> Digest:
        """The digest of the manifest, by which builders know the record."""
        return digest_of(self.dumps())
