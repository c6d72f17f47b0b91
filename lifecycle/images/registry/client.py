"""A client of registries: manifests and blobs by reference, through mirrors where reading, never where writing.

Spec: OCI distribution-spec "Pull", "Push", "Content Management".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlencode

from lifecycle.errors import (
    BlobUnknownError,
    CorruptImageError,
    LifecycleError,
    RegistryError,
    VerificationError,
)
from lifecycle.images.registry.answer import errors_of, read_errors, whole_number, words_of
from lifecycle.images.registry.challenge import merge_scopes, repository_scope
from lifecycle.images.registry.downloads import Download
from lifecycle.images.registry.exchange import Exchange
from lifecycle.images.registry.paths import read_request, write_request
from lifecycle.images.registry.retry import SYSTEM_CLOCK, Clock, RetryPolicy
from lifecycle.images.registry.tag_list import LARGEST_PAGE, next_page, read_tags
from lifecycle.images.registry.transport import Timeouts, Transport
from lifecycle.images.registry.uploads import Upload, cancel_upload, start_request, started
from lifecycle.oci.digest import Digest, digest_of, is_digest
from lifecycle.oci.manifest import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    LARGEST_MANIFEST,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    read_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.images.registry.credentials import Keychain
    from lifecycle.images.registry.hosts import Endpoint, Hosts
    from lifecycle.images.registry.transport import Response
    from lifecycle.images.registry.trust import TlsContexts
    from lifecycle.oci.reference import Reference

_Found = TypeVar("_Found")

_LOG = logging.getLogger(__name__)

_MOST_PAGES = 100_000
_ACCEPTED = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_INDEX}"
_KNOWN = MANIFEST_TYPES | INDEX_TYPES
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_OK, _CREATED, _STARTED, _NOT_FOUND = 200, 201, 202, 404
_DONE = frozenset({200, 201, 202, 204})
_BLOB_UNKNOWN = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest or index as it is stored: ``data`` byte for byte, and their ``digest``."""

    media_type: str
    data: bytes
    digest: Digest


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered; ``data`` is ``None`` where it was longer than asked for."""

    status: int
    headers: Mapping[str, str]
    data: bytes | None
    url: str

    def header(self, name: str) -> str:
        """Return a header, ``""`` where there is none."""
        return next((value for each, value in self.headers.items() if each.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the client waits, and how often it tries."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class RegistryClient:
    """Registries by the names that references give them; safe for threads.

    Of a reference, operations on blobs use registry and repository only.  All of them raise
    ``AccessDeniedError`` where credentials are missing or not enough, ``RegistryConnectionError`` and
    ``RegistryTlsError`` where there is no connection, and ``RegistryError`` for any other refusal.
    """

    def __init__(
        self,
        hosts: Hosts,
        keychain: Keychain,
        *,
        limits: Limits | None = None,
        clock: Clock = SYSTEM_CLOCK,
        contexts: TlsContexts | None = None,
    ) -> None:
        limits = limits or Limits()
        self._hosts = hosts
        self._transport = Transport(limits.timeouts, contexts)
        self._exchange = Exchange(hosts, keychain, self._transport, limits.retry, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def head_manifest(self, ref: Reference) -> Descriptor | None:
        """Return type, size and digest of a manifest or index, ``None`` if there is none."""
        return self._from_any(ref, lambda endpoint: self._head_manifest(endpoint, ref))

    def head_written(self, ref: Reference) -> Descriptor | None:
        """As ``head_manifest``, of the registry that a push would write to and none of its mirrors."""
        return self._head_manifest(self._hosts.for_push(ref), ref)

    def manifest(self, ref: Reference) -> StoredManifest | None:
        """Return a manifest or index as it is stored, ``None`` if there is none.

        Raises ``VerificationError`` where it isn't what its digest promises, ``CorruptImageError`` for one that is
        too large, of schema 1 or of no known type.
        """
        return self._from_any(ref, lambda endpoint: self._get_manifest(endpoint, ref))

    def put_manifest(self, ref: Reference, data: bytes, media_type: str) -> Digest:
        """Write a manifest under the tag or digest of ``ref`` and return its digest.

        Raises ``BlobUnknownError`` where the registry lacks a blob of it.
        """
        endpoint = self._hosts.for_push(ref)
        request = write_request(
            endpoint,
            "PUT",
            f"manifests/{ref.identifier}",
            where=ref.name,
            headers={"Content-Type": media_type},
            body=lambda: data,
        )
        digest = digest_of(data)
        with self._exchange.ask(endpoint, request) as response:
            if response.status not in _DONE:
                errors = errors_of(response)
                error = self._exchange.refused(request, response, words_of(errors))
                if any(code in _BLOB_UNKNOWN for code, _ in errors):
                    raise BlobUnknownError(
                        error.message,
                        where=error.where,
                        remedy="push the image again",
                        host=error.host,
                        status=error.status,
                    )
                raise error
            stored = response.headers.get("Docker-Content-Digest")
        if stored and is_digest(stored) and stored != digest:
            raise RegistryError(
                f"{endpoint.authority} stored the manifest as {stored} instead of {digest}",
                where=ref.name,
                remedy="the registry changes what is pushed to it; use another one",
                host=endpoint.authority,
            )
        return digest

    def delete_manifest(self, ref: Reference) -> None:
        """Delete a manifest with all of its tags; nothing happens if it isn't there."""
        endpoint = self._hosts.for_push(ref)
        digest: str | None = ref.digest
        if digest is None:
            found = self._head_manifest(endpoint, ref)
            if found is None:
                return
            digest = found.digest
        request = write_request(endpoint, "DELETE", f"manifests/{digest}", where=ref.name)
        with self._exchange.ask(endpoint, request) as response:
            if response.status not in {*_DONE, _NOT_FOUND}:
                raise self._exchange.refusal(request, response)

    def tags(self, ref: Reference) -> tuple[str, ...]:
        """Return all tags of the repository, page by page, as the registry itself and no mirror lists them.

        Spec: OCI distribution-spec "Listing Tags".
        """
        endpoint = self._hosts.for_push(ref)
        request = read_request(endpoint, "GET", "tags/list", where=ref.context)
        tags: list[str] = []
        for _ in range(_MOST_PAGES):
            response, data = self._exchange.fetch(endpoint, request, limit=LARGEST_PAGE)
            if response.status == _NOT_FOUND:
                return ()
            if response.status != _OK:
                raise self._exchange.refused(request, response, words_of(read_errors(data or b"")))
            if data is None:
                raise RegistryError(f"lists tags in more than {LARGEST_PAGE} bytes", where=ref.context)
            tags += read_tags(data, where=ref.context)
            link = next_page(response.headers.get("Link", ""))
            if link is None:
                return tuple(tags)
            request = replace(request, target=self._exchange.follow(response.url, link, where=ref.context))
        raise RegistryError(f"lists tags on more than {_MOST_PAGES} pages", where=ref.context)

    def blob(self, ref: Reference, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, verified while read; see ``downloads.Download`` for what is raised when."""
        return Download(self._exchange, ref, descriptor).run(self._hosts.for_pull(ref))

    def has_blob(self, ref: Reference, descriptor: Descriptor) -> bool:
        """Say whether the registry that a push would write to has a blob in that repository."""
        return self._has_blob(self._hosts.for_push(ref), ref, descriptor)

    def can_read_blob(self, ref: Reference, descriptor: Descriptor) -> bool:
        """Say whether the registry or one of its mirrors has a blob in that repository."""
        return bool(self._from_any(ref, lambda endpoint: self._has_blob(endpoint, ref, descriptor) or None))

    def mount_blob(self, ref: Reference, descriptor: Descriptor, *, source: Reference) -> bool:
        """Let the repository of ``ref`` share a blob of ``source``, a repository of the same registry.

        ``False`` if the registry does not do so, for whatever reason: the blob has to be uploaded then.
        """
        endpoint = self._hosts.for_push(ref)
        if source.registry != ref.registry:
            return False
        query = urlencode({"mount": descriptor.digest, "from": source.repository})
        request = write_request(endpoint, "POST", f"blobs/uploads/?{query}", where=ref.name, body=bytes)
        scopes = merge_scopes(request.scopes, (repository_scope(source.repository, "pull"),))
        request = replace(request, scopes=scopes)
        try:
            response = self._exchange.ask(endpoint, request)
        except RegistryError as error:
            if error.status is None:
                raise
            _LOG.debug("no mount: %s", error)
            return False
        with response:
            if response.status == _STARTED:
                cancel_upload(self._exchange, endpoint, started(self._exchange, request, response), where=ref.name)
            return response.status == _CREATED

    def upload_blob(self, ref: Reference, descriptor: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Upload a blob; ``open_chunks`` starts its bytes from the beginning and is called again for another try.

        Raises what the chunks raise, and ``VerificationError`` if they aren't what ``descriptor`` promises.
        """
        Upload(self._exchange, self._hosts.for_push(ref), ref, descriptor, open_chunks).run()

    def ask(
        self,
        ref: Reference,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask the registry that a push would write to for ``path`` below the repository, whatever it answers.

        For those who look at registries themselves; no answer but 401, 403 and what may pass is an error.
        """
        endpoint = self._hosts.for_push(ref)
        given = dict(headers or {})
        if method in {"GET", "HEAD"}:
            request = read_request(endpoint, method, path, where=ref.name, headers=given)
        else:
            body_or_none = None if body is None else lambda: body
            request = write_request(endpoint, method, path, where=ref.name, headers=given, body=body_or_none)
        response, data = self._exchange.fetch(endpoint, request, limit=LARGEST_PAGE)
        return Answer(response.status, dict(response.headers.items()), data, response.url)

    def check_read(self, ref: Reference) -> None:
        """Raise ``RegistryError`` unless images of the repository could be read, whether ``ref`` is there or not."""
        self.head_manifest(ref)

    def check_write(self, ref: Reference) -> None:
        """Raise ``RegistryError`` unless the repository could be written to: an upload is started and cancelled."""
        endpoint = self._hosts.for_push(ref)
        request = start_request(endpoint, where=ref.name)
        url = started(self._exchange, request, self._exchange.ask(endpoint, request))
        cancel_upload(self._exchange, endpoint, url, where=ref.name)

    def _from_any(self, ref: Reference, read: Callable[[Endpoint], _Found | None]) -> _Found | None:
        """Return what the first mirror that has it gives; the registry itself has the last word."""
        *mirrors, own = self._exchange.worth_asking(self._hosts.for_pull(ref))
        for mirror in mirrors:
            try:
                found = read(mirror)
            except LifecycleError as error:
                _LOG.debug("passing over the mirror %s: %s", mirror.authority, error)
            else:
                if found is not None:
                    return found
                _LOG.debug("the mirror %s lacks %s", mirror.authority, ref.name)
        return read(own)

    def _has_blob(self, endpoint: Endpoint, ref: Reference, descriptor: Descriptor) -> bool:
        request = read_request(
            endpoint, "HEAD", f"blobs/{descriptor.digest}", where=f"{ref.context}@{descriptor.digest}"
        )
        with self._exchange.ask(endpoint, request) as response:
            if response.status == _OK:
                return True
            if response.status == _NOT_FOUND:
                return False
            raise self._exchange.refusal(request, response)

    def _head_manifest(self, endpoint: Endpoint, ref: Reference) -> Descriptor | None:
        request = read_request(
            endpoint, "HEAD", f"manifests/{ref.identifier}", where=ref.name, headers={"Accept": _ACCEPTED}
        )
        with self._exchange.ask(endpoint, request) as response:
            if response.status == _NOT_FOUND:
                return None
            if response.status != _OK:
                raise self._exchange.refusal(request, response)
            media_type, length = _media_type(response), whole_number(response.headers.get("Content-Length"))
            digest = response.headers.get("Docker-Content-Digest", "")
        if media_type in _KNOWN and length and is_digest(digest) and ref.digest in {None, digest}:
            return Descriptor(media_type, length, Digest(digest))
        found = self._get_manifest(endpoint, ref)
        return None if found is None else Descriptor(found.media_type, len(found.data), found.digest)

    def _get_manifest(self, endpoint: Endpoint, ref: Reference) -> StoredManifest | None:
        request = read_request(
            endpoint, "GET", f"manifests/{ref.identifier}", where=ref.name, headers={"Accept": _ACCEPTED}
        )
        for tries_left in (1, 0):
            response, data = self._exchange.fetch(endpoint, request, limit=LARGEST_MANIFEST)
            if response.status == _NOT_FOUND:
                return None
            if response.status != _OK:
                raise self._exchange.refused(request, response, words_of(read_errors(data or b"")))
            if data is None:
                raise CorruptImageError(f"has a manifest of more than {LARGEST_MANIFEST} bytes", where=ref.name)
            digest = digest_of(data)
            promised = ref.digest or response.headers.get("Docker-Content-Digest", "")
            if is_digest(promised) and promised != digest:
                if tries_left:
                    continue
                raise VerificationError(f"has the digest {digest}, expected {promised}", where=ref.name)
            return StoredManifest(manifest_type(_media_type(response), data, where=ref.name), data, digest)
        raise AssertionError("both tries end above")


def manifest_type(announced: str, data: bytes, *, where: str) -> str:
    """Return the media type of a manifest or index: as announced, as it says itself, or by what it has.

    Raises ``CorruptImageError`` for anything else.
    """
    if announced in _KNOWN:
        return announced
    value = read_object(data, where=where)
    if announced.startswith(_SCHEMA_1) or value.get("schemaVersion") == 1:
        raise CorruptImageError(
            "is an image of schema 1, which is no longer in use",
            where=where,
            remedy="push it again with a current tool",
        )
    own = value.get("mediaType")
    if own in _KNOWN:
        return str(own)
    if not own:
        for key, media_type in (("manifests", OCI_INDEX), ("layers", OCI_MANIFEST)):
            if isinstance(value.get(key), list):
                return media_type
    raise CorruptImageError(f"is neither an image nor an index: {own or announced or 'of no type'}", where=where)


def _media_type(response: Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
