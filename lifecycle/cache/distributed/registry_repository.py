"""A distributed cache in a repository of a registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.registry_log import RegistryLog
from lifecycle.cache.distributed.tags import Stored
from lifecycle.errors import CorruptImageError, VerificationError
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.digest import Digest
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference


class RegistryRepository:
    """The repository that ``location`` names, whatever its tag; ``names`` keeps those of its tags, if not itself."""

    def __init__(self, client: RegistryClient, location: Reference, names: KeptLog | None = None) -> None:
        self._client = client
        self._location = location
        self._names = names
        self.tags = RegistryLog(client, location)
        self.log: KeptLog = names or self.tags

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return self._location.context

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is there, proven by its first bytes."""
        try:
            return bool(next(self._client.blob(self._location, blob), b"")) or blob.size == 0
        except (CorruptImageError, VerificationError):
            return False

    def put_blob(self, blob: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Upload a blob."""
        self._client.upload_blob(self._location, blob, open_chunks)

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self._client.blob(self._location, blob)

    def put_record(self, data: bytes) -> None:
        """Write a manifest under its tag, which keeps it from registries that remove what has none."""
        self.put_manifest(Stored(digest_of(data)).name, data)

    def put_manifest(self, name: str, data: bytes) -> None:
        """Write a manifest under a tag."""
        self._client.put_manifest(replace(self._location, tag=name, digest=None), data, OCI_MANIFEST)
        if self._names is not None:
            self._names.append(name)

    def put_tagged(self, name: str, data: bytes) -> None:
        """Write a manifest under a tag."""
        self.put_manifest(name, data)

    def tagged(self, name: str) -> bytes | None:
        """Return a manifest by its tag."""
        found = self._client.manifest(replace(self._location, tag=name, digest=None))
        return None if found is None else found.data

    def record(self, digest: Digest) -> bytes | None:
        """Return a manifest."""
        found = self._client.manifest(replace(self._location, tag=None, digest=digest))
        return None if found is None else found.data
