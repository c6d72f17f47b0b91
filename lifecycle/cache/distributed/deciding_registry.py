"""``sync=cas``: a registry that writes a manifest only where there is none decides which record of a key is the first.

Each generation of a key has one tag, ``o.K43.g``, which is written with ``If-None-Match: *`` and whose manifest names
the record.  A registry that has it already refuses, and the manifest tells which record that is; registries with
immutable tags refuse in the same way.  Listings may lag behind here: an old one costs a request and changes nothing.
Spec: RFC 9110 "If-None-Match"; OCI distribution-spec "Pushing Manifests", which does not know of it yet.
"""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.propose import MARK
from lifecycle.cache.distributed.registry_log import EMPTY_BLOB, NAME_ANNOTATION
from lifecycle.cache.distributed.tags import base36, short_digest
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.oci.digest import Digest, is_digest
from lifecycle.oci.manifest import OCI_MANIFEST, Manifest, read_manifest

if TYPE_CHECKING:
    from lifecycle.cache.distributed.registry_log import RegistryLog
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.oci.reference import Reference

_VALUE: Final = "io.github.cnb-lifecycle.cache.record"
_TAKEN: Final = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT})
_WRITTEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})
_IMMUTABLE: Final = ("immutable", "already exists", "alreadyexists")
"""What registries with immutable tags say that answer 400."""


class DecidingRegistryLog:
    """Names as tags of ``repository``, as ``log`` keeps them, and the tags of first records."""

    def __init__(self, log: RegistryLog, client: RegistryClient, repository: Reference) -> None:
        self._log = log
        self._client = client
        self._repository = repository
        self._is_checked = False

    def append(self, name: str) -> None:
        """Write a name."""
        self._log.append(name)

    def names(self) -> frozenset[str]:
        """Return all names."""
        return self._log.names()

    def now(self) -> int:
        """Return the registry's time."""
        return self._log.now()

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._log.remove(name)

    def first(self, key: Digest, generation: int, value: Digest) -> Digest:
        """Return the record that is the first of a generation; raise ``CacheError`` or ``ImageError``.

        ``CacheError`` tells that the registry overwrites tags, or that others agree here in another way.
        """
        self._check()
        tag = f"o.{short_digest(key)}.{base36(generation)}"
        if self._write(tag, value):
            return value
        found = self._client.manifest(replace(self._repository, tag=tag, digest=None))
        manifest = None if found is None else read_manifest(found.data, where=f"{self._repository.context}:{tag}")
        annotations = {} if manifest is None else manifest.annotations
        winner = annotations.get(_VALUE, "")
        if annotations.get(NAME_ANNOTATION) != tag or not is_digest(winner):
            raise CorruptImageError(
                "does not name the record that was first", where=f"{self._repository.context}:{tag}"
            )
        return Digest(winner)

    def _write(self, tag: str, value: str) -> bool:
        """Write a tag if it isn't there; say whether it was written now.  A repeated request finds its own."""
        manifest = Manifest(OCI_MANIFEST, EMPTY_BLOB, (EMPTY_BLOB,), {NAME_ANNOTATION: tag, _VALUE: value}).dumps()
        headers = {"Content-Type": OCI_MANIFEST, "If-None-Match": "*"}
        answer = self._client.ask(self._repository, "PUT", f"manifests/{tag}", headers=headers, body=manifest)
        if answer.status in _WRITTEN:
            return True
        data = answer.data or b""
        said = data.decode(errors="replace").lower()
        if answer.status in _TAKEN or any(word in said for word in _IMMUTABLE):
            return False
        raise CacheError(
            f"answered {answer.status} to a tag: {_words(answer.data or b'')}", where=self._repository.context
        )

    def _check(self) -> None:
        """Raise ``CacheError`` unless the registry refuses to write a tag again, and nobody voted here."""
        if self._is_checked:
            return
        self._log.append_blob()
        self._write(MARK, "")
        if self._write(MARK, ""):
            raise CacheError(
                "the registry overwrites tags in spite of If-None-Match",
                where=self._repository.context,
                remedy="leave out sync=cas: sync=tags needs nothing of a registry, or turn on immutable tags",
            )
        if any(name.startswith("p.") for name in self._log.names()):
            raise CacheError(
                "builders have voted here, which sync=cas would overrule",
                where=self._repository.context,
                remedy="use sync=tags, or another repository",
            )
        self._is_checked = True


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "no reason"
