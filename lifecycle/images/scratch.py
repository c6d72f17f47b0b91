"""The empty run image that needs no registry: ``scratch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.oci.digest import DiffId

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class ScratchImage:
    """An image without layers; it has no top layer, so labels say ``""`` there."""

    config: ImageConfig
    manifest: Manifest
    name: str = SCRATCH
    reference: str = SCRATCH

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Raise ``CorruptImageError``, for it has none."""
        raise CorruptImageError(f"has no layer {diff_id}", where=self.name)


def scratch_image(*, os: str = "linux", architecture: str, variant: str = "", docker: bool = False) -> ScratchImage:
    """Return the empty image for a platform, of OCI's media types or of ``docker``'s; images on it have the same."""
    config = ImageConfig(architecture=architecture, os=os, variant=variant, diff_ids=())
    data = config.dumps()
    manifest_type, config_type = (DOCKER_MANIFEST, DOCKER_CONFIG) if docker else (OCI_MANIFEST, OCI_CONFIG)
    return ScratchImage(config, Manifest(manifest_type, Descriptor(config_type, len(data), digest_of(data)), ()))
