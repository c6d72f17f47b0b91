"""The tags of a distributed cache in a repository of a registry.

A tag's manifest is made of its name alone, so that writing it again changes nothing and mends one that a crash of the
registry left half-written.  It is never read: a listing says all.  No two tags share a manifest, because a registry
that deletes one takes all of its tags along.  Spec: OCI image-spec manifest.md "Guidelines for Artifact Usage".
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.retention_tags import Made, read_retention_tag
from lifecycle.cache.distributed.tags import First, Signed, Stored, read_tag
from lifecycle.errors import BlobUnknownError, CacheError, RegistryBusyError
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.digest import Digest
    from lifecycle.oci.reference import Reference

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
NAME_ANNOTATION = "io.github.cnb-lifecycle.cache.tag"
"""Carries the name of a tag in its manifest."""

EMPTY_DATA = b"{}"
_TAKEN: Final = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT})
_WRITTEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})
_IMMUTABLE: Final = ("immutable", "already exists", "alreadyexists")
"""What registries with immutable tags say that answer 400."""


class RegistryLog:
    """Names as tags of the repository that ``repository`` names."""

    def __init__(self, client: RegistryClient, repository: Reference) -> None:
        self._client = client
        self._repository = repository
        self._ahead: float | None = None

    def append(self, name: str) -> None:
        """Write a name, again and again until the registry has acknowledged it; raises as ``RegistryClient``."""
        data = marker(name)
        try:
            self.write(name, data)
        except BlobUnknownError:
            self.append_blob()
            self.write(name, data)

    def append_blob(self) -> None:
        """Upload the blob that the manifests of all tags name."""
        self._client.upload_blob(self._repository, EMPTY_BLOB, lambda: iter((EMPTY_DATA,)))

    def names(self) -> frozenset[str]:
        """Return all names, from the registry itself and none of its mirrors."""
        return frozenset(self._client.tags(self._repository))

    def now(self) -> int:
        """Return the registry's time, as its answers tell; this host's where they don't."""
        if self._ahead is None:
            answer = self._client.ask(self._repository, "HEAD", f"blobs/{EMPTY_BLOB.digest}")
            try:
                date = parsedate_to_datetime(answer.header("Date")).timestamp()
            except ValueError:
                date = time.time()
            self._ahead = date - _elapsed()
        return int(self._ahead + _elapsed())

    def remove(self, name: str) -> None:
        """Delete what a tag leads to; that of most tags is told by the name, so that nothing has to be read.

        Raises as ``RegistryClient``; a registry that does not delete answers 405 or 400.
        """
        match read_tag(name) or read_retention_tag(name):
            case Stored() | Signed() | First() | Made() | None:
                self._client.delete_manifest(replace(self._repository, tag=name, digest=None))
            case _:
                self.remove_digest(digest_of(marker(name)))

    def remove_digest(self, digest: Digest) -> None:
        """Delete a manifest; nothing happens if it isn't there."""
        self._client.delete_manifest(replace(self._repository, tag=None, digest=digest))

    def write_new(self, name: str, data: bytes) -> bool:
        """Write a manifest under a tag if it isn't there; say whether it was written now.

        A repeated request finds its own.  Raises as ``RegistryClient``, ``CacheError`` for a refusal of other reasons.
        """
        headers = {"Content-Type": OCI_MANIFEST, "If-None-Match": "*"}
        answer = self._client.ask(self._repository, "PUT", f"manifests/{name}", headers=headers, body=data)
        if answer.status in _WRITTEN:
            return True
        body = answer.data or b""
        said = body.decode(errors="replace").lower()
        if answer.status in _TAKEN or any(word in said for word in _IMMUTABLE):
            return False
        raise CacheError(f"answered {answer.status} to a tag: {_words(body)}", where=self._repository.context)

    def write(self, name: str, data: bytes) -> None:
        """Write a manifest under a tag, whatever is there."""
        self._client.put_manifest(replace(self._repository, tag=name, digest=None), data, OCI_MANIFEST)

    def leads_somewhere(self, name: str) -> bool:
        """Say whether a tag leads to a manifest, which one that a crash left half-written does not."""
        try:
            return self._client.head_written(replace(self._repository, tag=name, digest=None)) is not None
        except RegistryBusyError:
            return False

    def stored(self, digest: Digest) -> bytes | None:
        """Return a manifest by its digest."""
        found = self._client.manifest(replace(self._repository, tag=None, digest=digest))
        return None if found is None else found.data


EMPTY_BLOB = Descriptor(EMPTY_TYPE, len(EMPTY_DATA), digest_of(EMPTY_DATA))


def marker(name: str) -> bytes:
    """Return the manifest of a tag."""
    return Manifest(OCI_MANIFEST, EMPTY_BLOB, (EMPTY_BLOB,), {NAME_ANNOTATION: name}).dumps()


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return "no reason"


def _elapsed() -> float:
    """Return seconds that pass in a suspended machine too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
