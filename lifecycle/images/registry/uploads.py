"""Blobs into a registry.

Small ones go in one PUT, others in one streamed PATCH with their length, as most clients do it and every registry
knows it.  Where that breaks, the registry is asked what it has and the rest is sent.  docker-registry, and what is
made from it, forgets an upload whose request broke: there the blob starts anew, and from then on in pieces, because
a connection that broke once breaks again, and a proxy may limit what it lets through.
Spec: OCI distribution-spec "Pushing blobs".
"""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING

from lifecycle.errors import (
    RegistryBusyError,
    RegistryConnectionError,
    RegistryError,
    VerificationError,
)
from lifecycle.images.registry.answer import errors_of, whole_number, words_of
from lifecycle.images.registry.paths import read_request, write_request
from lifecycle.images.registry.transport import Body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.images.registry.exchange import Exchange, Request
    from lifecycle.images.registry.hosts import Endpoint
    from lifecycle.images.registry.transport import Response
    from lifecycle.oci.manifest import Descriptor
    from lifecycle.oci.reference import Reference

SMALL = 1024 * 1024
"""Bytes; a blob up to this size goes in one request."""
PIECE = 16 * 1024 * 1024
"""Bytes of one request once an upload has broken."""

_LOG = logging.getLogger(__name__)
_OK, _BAD_REQUEST, _NOT_FOUND, _TOO_LARGE, _WRONG_RANGE = 200, 400, 404, 413, 416
_DONE = frozenset({200, 201, 202, 204})
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})\s*\Z")
_OCTETS = {"Content-Type": "application/octet-stream"}


def start_request(endpoint: Endpoint, *, where: str) -> Request:
    """Return the request that starts an upload."""
    return write_request(endpoint, "POST", "blobs/uploads/", where=where, body=bytes)


def started(exchange: Exchange, request: Request, response: Response) -> str:
    """Return the URL of an upload that was started; raise ``RegistryError`` if it was not."""
    if response.status not in _DONE:
        raise exchange.refusal(request, response)
    response.finish()
    location = response.headers.get("Location")
    if not location:
        raise RegistryError("the registry does not say where to upload to", where=request.where, status=response.status)
    return exchange.follow(response.url, location, where=request.where)


def cancel_upload(exchange: Exchange, endpoint: Endpoint, url: str, *, where: str) -> None:
    """Tell the registry that an upload won't go on; it is no loss if the registry does not listen."""
    with contextlib.suppress(RegistryError):
        exchange.ask_once(endpoint, write_request(endpoint, "DELETE", url, where=where)).finish()


class Upload:
    """One blob on its way: where it goes on, and how much the registry has."""

    def __init__(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        ref: Reference,
        descriptor: Descriptor,
        open_chunks: Callable[[], Iterator[bytes]],
    ) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._descriptor = descriptor
        self._where = f"{ref.context}@{descriptor.digest}"
        self._source = _Source(open_chunks, descriptor.size, self._where)
        self._url: str | None = None
        self._offset = 0
        self._furthest = 0
        self._piece: int | None = None
        self._least_piece = 0
        self._in_doubt = False
        self._committing = False
        self._refused = False
        self._stored = False

    def run(self) -> None:
        """Send the blob; an upload that fails for good is cancelled.  Raises as ``RegistryClient.upload_blob``."""
        attempts = self._exchange.attempts(self._endpoint)
        try:
            while not self._stored:
                try:
                    self._step()
                except (RegistryConnectionError, RegistryBusyError) as error:
                    if error is self._source.error:
                        raise
                    self._in_doubt = True
                    if self._source.read_on():
                        attempts.transferred()
                    if self._offset > self._furthest:
                        self._furthest = self._offset
                        attempts.progress()
                    if not self._exchange.worth_another(attempts, self._endpoint, error):
                        raise
        except BaseException:
            if self._url is not None:
                cancel_upload(self._exchange, self._endpoint, self._url, where=self._where)
            raise
        finally:
            self._source.close()

    def _step(self) -> None:
        if self._in_doubt:
            self._find_out()
        elif self._url is None:
            self._start()
        elif self._descriptor.size <= SMALL or self._offset == self._descriptor.size:
            self._commit(self._url)
        else:
            self._patch(self._url)

    def _start(self) -> None:
        request = start_request(self._endpoint, where=self._where)
        response = self._exchange.ask_once(self._endpoint, request)
        self._url = started(self._exchange, request, response)
        self._least_piece = whole_number(response.headers.get("OCI-Chunk-Min-Length")) or 0

    def _patch(self, url: str) -> None:
        start, left = self._offset, self._descriptor.size - self._offset
        length = left if self._piece is None else min(left, max(self._piece, self._least_piece))
        whole = length == self._descriptor.size
        headers = _OCTETS if whole else {**_OCTETS, "Content-Range": f"{start}-{start + length - 1}"}
        request = write_request(
            self._endpoint,
            "PATCH",
            url,
            where=self._where,
            headers=headers,
            body=lambda: self._source.body(start, length),
        )
        response = self._exchange.ask_once(self._endpoint, request)
        if response.status == _TOO_LARGE and whole and self._descriptor.size > PIECE:
            response.close()
            cancel_upload(self._exchange, self._endpoint, url, where=self._where)
            self._start_anew()
            return
        self._expect(response, request)
        response.finish()
        self._offset += length
        self._moved(response)

    def _commit(self, url: str) -> None:
        """Close the upload under its digest; a small blob comes with it."""
        self._committing = True
        whole = self._descriptor.size <= SMALL
        request = write_request(
            self._endpoint,
            "PUT",
            f"{url}{'&' if '?' in url else '?'}digest={self._descriptor.digest}",
            where=self._where,
            headers=_OCTETS,
            body=(lambda: self._source.body(0, self._descriptor.size)) if whole else bytes,
            storing=True,
        )
        response = self._exchange.ask_once(self._endpoint, request)
        if response.status == _BAD_REQUEST:
            errors = errors_of(response)
            refusal = self._exchange.refused(request, response, words_of(errors))
            if not any(code == "DIGEST_INVALID" for code, _ in errors):
                raise refusal
            if self._refused:
                raise VerificationError(
                    f"{self._endpoint.authority} received other bytes{words_of(errors)}", where=self._where
                ) from refusal
            self._refused = True
            self._start_anew()
            return
        self._expect(response, request)
        response.finish()
        self._stored = True
        self._url = None

    def _expect(self, response: Response, request: Request) -> None:
        """Raise unless a part was taken; an upload that the registry does not know (so) is one in doubt."""
        if response.status in {_NOT_FOUND, _WRONG_RANGE}:
            response.finish()
            raise RegistryConnectionError(
                f"{self._endpoint.authority} has lost track of the upload",
                where=self._where,
                host=self._endpoint.authority,
                status=response.status,
            )
        if response.status not in _DONE:
            raise self._exchange.refusal(request, response)

    def _find_out(self) -> None:
        """Ask what became of an upload that broke: it is stored, it goes on from somewhere, or it starts anew."""
        if self._committing:
            request = read_request(self._endpoint, "HEAD", f"blobs/{self._descriptor.digest}", where=self._where)
            response = self._exchange.ask_once(self._endpoint, request)
            response.finish()
            self._stored = response.status == _OK
            self._committing = False
        if not self._stored and self._url is not None:
            response = self._exchange.ask_once(
                self._endpoint, write_request(self._endpoint, "GET", self._url, where=self._where)
            )
            response.finish()
            known = _RANGE.match(response.headers.get("Range", "")) if response.status in _DONE else None
            # "0-0" may mean one byte or none.
            if known is not None and 0 < int(known[1]) < self._descriptor.size and self._descriptor.size > SMALL:
                self._offset = int(known[1]) + 1
                self._piece = PIECE
                self._moved(response)
            else:
                self._start_anew()
        self._in_doubt = False

    def _moved(self, response: Response) -> None:
        location = response.headers.get("Location")
        if location:
            self._url = self._exchange.follow(response.url, location, where=self._where)

    def _start_anew(self) -> None:
        self._url = None
        self._offset = 0
        self._piece = PIECE
        self._committing = False


class _Source:
    """The bytes of a blob from any offset: read on from where the last request ended, or else from the start.

    ``error`` is what the bytes themselves raised.
    """

    def __init__(self, open_chunks: Callable[[], Iterator[bytes]], size: int, where: str) -> None:
        self._open_chunks = open_chunks
        self._size = size
        self._where = where
        self._chunks: Iterator[bytes] = iter(())
        self._rest = b""
        self._at: int | None = None
        self._read = False
        self.error: BaseException | None = None

    def body(self, start: int, length: int) -> bytes | Body:
        """Return ``length`` bytes from ``start`` on, as a body to send."""
        return Body(self._bytes(start, length), length)

    def read_on(self) -> bool:
        """Say whether any bytes were taken since the last call."""
        read, self._read = self._read, False
        return read

    def close(self) -> None:
        """Let go of the chunks."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def _bytes(self, start: int, length: int) -> Iterator[bytes]:
        try:
            if self._at != start:
                self.close()
                self._chunks, self._rest = self._open_chunks(), b""
                for _ in self._next(start):
                    pass
            self._at = None
            yield from self._next(length)
            self._at = start + length
            if self._at == self._size and (self._rest or any(self._chunks)):
                raise VerificationError(f"has more than the expected {self._size} bytes", where=self._where)  # noqa: TRY301
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise

    def _next(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            chunk = self._rest or next(self._chunks, None)
            if chunk is None:
                raise VerificationError(f"ends before its {self._size} bytes", where=self._where)
            part, self._rest = chunk[:left], chunk[left:]
            left -= len(part)
            self._read = True
            yield part
