"""Images in a registry: manifest and configuration are here, layers come when they are asked for.

Spec: OCI distribution-spec "Pull".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, VerificationError
from lifecycle.images.stored_image import MAX_DOCUMENT, MAX_NESTING, check_layer_count, layer_tar
from lifecycle.oci.config import ImageConfig, read_config
from lifecycle.oci.manifest import INDEX_TYPES, Manifest, read_index, read_manifest
from lifecycle.progress import NO_PROGRESS, Progress, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.images.image_platform import ImagePlatform
    from lifecycle.images.registry.client import RegistryClient, StoredManifest
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """An image in a registry; ``location`` has the digest of its manifest, whose bytes ``stored`` keeps."""

    name: str
    location: Reference
    config: ImageConfig
    manifest: Manifest
    stored: StoredManifest
    client: RegistryClient
    progress: Progress = NO_PROGRESS

    @property
    def reference(self) -> str:
        """``registry/repository@digest``, of the platform's manifest where the name is that of an index."""
        return self.location.name

    def manifest_data(self) -> bytes:
        """Return the bytes of the manifest."""
        return self.stored.data

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        return layer_tar(self, diff_id)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether the repository, or a mirror of it, has the blob."""
        return self.client.can_read_blob(self.location, descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, verified while they are read."""
        chunks = self.client.blob(self.location, descriptor)
        return watched(
            chunks, self.progress, task=blob_task("Pulling", self.location, descriptor), total=descriptor.size
        )


def blob_task(doing: str, repository: Reference, descriptor: Descriptor) -> str:
    """Return what people read while a blob is moved."""
    return f"{doing} {repository.context} {descriptor.digest.removeprefix('sha256:')[:12]}"


def at_digest(reference: Reference, digest: str) -> Reference:
    """Return the reference of a manifest in the same repository."""
    return replace(reference, tag=None, digest=digest, text=f"{reference.context}@{digest}")


def stored_manifest(client: RegistryClient, reference: Reference) -> StoredManifest | None:
    """Fetch a manifest or index, ``None`` if there is none; raise ``CorruptImageError`` for wrong bytes."""
    try:
        return client.manifest(reference)
    except VerificationError as error:
        raise CorruptImageError(error.message, where=error.where or reference.name) from error


def open_image(
    client: RegistryClient,
    reference: Reference,
    stored: StoredManifest,
    *,
    name: str,
    progress: Progress = NO_PROGRESS,
) -> RegistryImage:
    """Read the manifest and fetch the configuration of an image.

    Raises ``CorruptImageError`` if one of them is missing or can't be understood.
    """
    location = at_digest(reference, stored.digest)
    manifest = read_manifest(stored.data, where=location.name)
    config = read_config(
        _config(client, location, manifest.config), where=f"{location.context} {manifest.config.digest}"
    )
    check_layer_count(manifest, config, where=location.name)
    return RegistryImage(name, location, config, manifest, stored, client, progress)


def for_platform(
    client: RegistryClient, reference: Reference, stored: StoredManifest, platform: ImagePlatform, *, depth: int = 0
) -> StoredManifest | None:
    """Return the image manifest itself, or of an index the first for ``platform``; ``None`` if it has none.

    Reference: a child without platform is one for linux/amd64.
    """
    if stored.media_type not in INDEX_TYPES:
        return stored
    location = at_digest(reference, stored.digest)
    if depth == MAX_NESTING:
        raise CorruptImageError("nests indexes too deep", where=location.name)
    children = read_index(stored.data, where=location.name)
    chosen = next((each for each in children if platform.fits(each.platform)), None)
    if chosen is None:
        return None
    child = stored_manifest(client, at_digest(reference, chosen.digest))
    if child is None:
        raise CorruptImageError(f"lacks the manifest {chosen.digest} that it lists", where=location.name)
    return for_platform(client, reference, child, platform, depth=depth + 1)


def _config(client: RegistryClient, location: Reference, descriptor: Descriptor) -> bytes:
    where = f"{location.context} {descriptor.digest}"
    if descriptor.size > MAX_DOCUMENT:
        raise CorruptImageError(f"is larger than {MAX_DOCUMENT} bytes", where=where)
    try:
        return b"".join(client.blob(location, descriptor))
    except VerificationError as error:
        raise CorruptImageError(error.message, where=error.where or where) from error
