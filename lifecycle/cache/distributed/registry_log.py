"""The tags of a distributed cache in a repository of a registry.

A tag's manifest is made of its name alone, so that writing it again changes nothing and mends one that a crash of the
registry left half-written.  It is never read: a listing says all.  No two tags share a manifest, because a registry
that deletes one takes all of its tags along.  Spec: OCI image-spec manifest.md "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.errors import BlobUnknownError
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.reference import Reference

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
NAME_ANNOTATION = "io.github.cnb-lifecycle.cache.tag"
"""Carries the name of a tag in its manifest."""

_EMPTY = b"{}"


class RegistryLog:
    """Names as tags of the repository that ``repository`` names."""

    def __init__(self, client: RegistryClient, repository: Reference) -> None:
        self._client = client
        self._repository = repository

    def append(self, name: str) -> None:
        """Write a name, again and again until the registry has acknowledged it; raises as ``RegistryClient``."""
        target = replace(self._repository, tag=name, digest=None)
        data = marker(name)
        try:
            self._client.put_manifest(target, data, OCI_MANIFEST)
        except BlobUnknownError:
            self._client.upload_blob(target, _EMPTY_BLOB, lambda: iter((_EMPTY,)))
            self._client.put_manifest(target, data, OCI_MANIFEST)

    def names(self) -> frozenset[str]:
        """Return all names, from the registry itself and none of its mirrors."""
        return frozenset(self._client.tags(self._repository))


_EMPTY_BLOB = Descriptor(EMPTY_TYPE, len(_EMPTY), digest_of(_EMPTY))


def marker(name: str) -> bytes:
    """Return the manifest of a tag."""
    return Manifest(OCI_MANIFEST, _EMPTY_BLOB, (_EMPTY_BLOB,), {NAME_ANNOTATION: name}).dumps()
