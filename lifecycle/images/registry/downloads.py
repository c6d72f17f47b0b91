"""Blobs out of a registry.  Spec: OCI distribution-spec "Pulling blobs"; RFC 9110 "Range Requests"."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from lifecycle.errors import (
    CorruptImageError,
    LifecycleError,
    RegistryBusyError,
    RegistryConnectionError,
    VerificationError,
)
from lifecycle.images.registry.answer import whole_number
from lifecycle.images.registry.paths import read_request
from lifecycle.images.registry.transport import CHUNK
from lifecycle.oci.digest import verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.images.registry.exchange import Exchange
    from lifecycle.images.registry.hosts import Endpoint
    from lifecycle.images.registry.transport import Response
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference

SMALL = 1024 * 1024
"""Bytes; a blob up to this size is verified before any of it is handed on."""

_LOG = logging.getLogger(__name__)
_OK, _PARTIAL, _NOT_FOUND, _RANGE_REFUSED = 200, 206, 404, 416
_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d{1,18})-\d+/(?:\d+|\*)\s*\Z")


class Download:
    """One blob on its way."""

    def __init__(self, exchange: Exchange, ref: Reference, descriptor: Descriptor) -> None:
        self._exchange = exchange
        self._ref = ref
        self._descriptor = descriptor
        self._where = f"{ref.context}@{descriptor.digest}"

    def run(self, endpoints: tuple[Endpoint, ...]) -> Iterator[bytes]:
        """Yield the bytes of a blob from the first of ``endpoints`` that has it, verified while read.

        A broken connection is taken up where it broke, if need be at the next endpoint.  Wrong bytes of a small
        blob are fetched once more, from the registry itself.  Those of a larger one are noticed at its end, when
        most of them are with the caller: only the caller can start again.  Raises ``CorruptImageError`` if the
        blob is not there, ``VerificationError`` for wrong bytes and ``RegistryError`` if the registry fails.
        """
        asked = self._exchange.worth_asking(endpoints)
        if self._descriptor.size > SMALL:
            yield from self._verified(asked)
            return
        try:
            data = b"".join(self._verified(asked))
        except VerificationError as error:
            _LOG.debug("fetching once more: %s", error)
            data = b"".join(self._verified(asked[-1:]))
        yield data

    def _verified(self, endpoints: tuple[Endpoint, ...]) -> Iterator[bytes]:
        blob = self._descriptor
        return verified(self._pieces(endpoints), digest=blob.digest, size=blob.size, where=self._where)

    def _pieces(self, endpoints: tuple[Endpoint, ...]) -> Iterator[bytes]:
        offset = 0
        for endpoint in endpoints:
            try:
                for chunk in self._from_one(endpoint, offset):
                    offset += len(chunk)
                    yield chunk
            except LifecycleError as error:
                if endpoint is endpoints[-1]:
                    raise
                _LOG.debug("passing over the mirror %s: %s", endpoint.authority, error)
            else:
                return

    def _from_one(self, endpoint: Endpoint, offset: int) -> Iterator[bytes]:
        """Yield the bytes from ``offset`` on; tries are counted anew once a chunk or more has come."""
        attempts = self._exchange.attempts(endpoint)
        size = self._descriptor.size
        mark = offset
        while True:
            failure: RegistryConnectionError | RegistryBusyError
            try:
                response, skip = self._open(endpoint, offset)
                for chunk in response.chunks():
                    if skip >= len(chunk):
                        skip -= len(chunk)
                        continue
                    offset += len(chunk) - skip
                    yield chunk[skip:]
                    skip = 0
                failure = RegistryConnectionError(
                    f"{endpoint.authority} sent {offset} of {size} bytes", where=self._where, host=endpoint.authority
                )
            except (RegistryConnectionError, RegistryBusyError) as error:
                failure = error
                failure.where = failure.where or self._where
            if offset >= size:
                return
            if offset - mark >= CHUNK:
                attempts.progress()
                mark = offset
            if not self._exchange.worth_another(attempts, endpoint, failure):
                raise failure

    def _open(self, endpoint: Endpoint, offset: int) -> tuple[Response, int]:
        """Ask for the bytes from ``offset`` on; of what comes instead, say how many bytes the caller has already.

        Whether those are the same bytes shows at the end, in the digest of the whole.
        """
        response = self._get(endpoint, offset)
        if offset and response.status in {_PARTIAL, _RANGE_REFUSED}:
            found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if response.status == _PARTIAL and found is not None and int(found[1]) == offset:
                return response, 0
            response.close()
            response = self._get(endpoint, 0)
        length = whole_number(response.headers.get("Content-Length"))
        if length is not None and length != self._descriptor.size:
            response.close()
            raise VerificationError(f"has {length} bytes, expected {self._descriptor.size}", where=self._where)
        return response, offset

    def _get(self, endpoint: Endpoint, start: int) -> Response:
        headers = {"Range": f"bytes={start}-"} if start else {}
        path = f"blobs/{self._descriptor.digest}"
        request = read_request(endpoint, "GET", path, where=self._where, headers=headers)
        response = self._exchange.ask_once(endpoint, request)
        if response.status == _NOT_FOUND:
            response.finish()
            raise CorruptImageError(
                f"lacks the blob {self._descriptor.digest}", where=self._ref.context, remedy="push the image again"
            )
        if response.status == _OK or (start and response.status in {_PARTIAL, _RANGE_REFUSED}):
            return response
        raise self._exchange.refusal(request, response)
