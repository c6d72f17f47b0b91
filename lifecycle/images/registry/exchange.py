"""Requests to registries as they end: authenticated, redirected, repeated, or refused in words.

Spec: OCI distribution-spec; Docker Registry v2 "Token Authentication"; RFC 9110 "Redirection 3xx".
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from lifecycle.errors import RegistryBusyError, RegistryConnectionError, RegistryError
from lifecycle.images.registry.answer import address, host_of, own_words, showable
from lifecycle.images.registry.authentication import Authentication
from lifecycle.images.registry.retry import TRANSIENT, Attempts, retry_after
from lifecycle.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.images.registry.authentication import Authorization
    from lifecycle.images.registry.challenge import Scope
    from lifecycle.images.registry.credentials import Keychain
    from lifecycle.images.registry.hosts import Endpoint, Hosts
    from lifecycle.images.registry.retry import Clock, RetryPolicy
    from lifecycle.images.registry.token import TokenRequest
    from lifecycle.images.registry.transport import Body, Response, Transport

_Result = TypeVar("_Result")

_LOG = logging.getLogger(__name__)

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY = 400, 401, 403, 429
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_KEEPING_METHOD = frozenset({307, 308})
_MOST_REDIRECTS = 6
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask: ``target`` is a path (``/v2/…``) of the endpoint, or a URL that it gave out.

    ``scopes`` are what a token has to allow, ``where`` and ``purpose`` ("read", "write to") are for messages.
    ``body`` is called for each try.
    """

    method: str
    target: str
    scopes: tuple[Scope, ...]
    where: str
    purpose: str = "read"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], bytes | Body] | None = None
    storing: bool = False


class Exchange:
    """Sends requests to endpoints for any number of threads."""

    def __init__(
        self, hosts: Hosts, keychain: Keychain, transport: Transport, policy: RetryPolicy, clock: Clock
    ) -> None:
        self._hosts = hosts
        self._transport = transport
        self.policy = policy
        self.clock = clock
        self._authentication = Authentication(keychain, clock.wall, self._ask_token_server)
        self._schemes: dict[str, str] = {}
        self._reached: set[str] = set()
        self._unreachable: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, endpoint: Endpoint, request: Request) -> Response:
        """Send a request until it has an answer that another try would not change.

        Statuses other than 401, 403 and the transient ones are the caller's to judge.  Raises
        ``AccessDeniedError`` at once, and ``RegistryError`` when every try has failed.
        """
        return self._repeated(endpoint, lambda: self.ask_once(endpoint, request))

    def fetch(self, endpoint: Endpoint, request: Request, *, limit: int) -> tuple[Response, bytes | None]:
        """As ``ask``, and read the body; ``None`` for one of more than ``limit`` bytes."""

        def fetched() -> tuple[Response, bytes | None]:
            response = self.ask_once(endpoint, request)
            try:
                return response, response.read(limit)
            except RegistryError as error:
                error.where = error.where or request.where
                raise

        return self._repeated(endpoint, fetched)

    def ask_once(self, endpoint: Endpoint, request: Request) -> Response:
        """Send a request once, authenticated and redirected.

        Raises as ``ask``: ``RegistryConnectionError`` and ``RegistryBusyError`` where another try may help.
        """
        url = self._url(endpoint, request)
        for _ in range(_MOST_REDIRECTS):
            response = self._authenticated(endpoint, request, url)
            location = response.headers.get("Location")
            if response.status in TRANSIENT:
                raise self.refusal(request, response)
            if response.status not in _REDIRECTS or location is None:
                return response
            if request.method not in {"GET", "HEAD"} and response.status not in _REDIRECTS_KEEPING_METHOD:
                return response
            response.finish()
            url = self.follow(url, location, where=request.where)
        raise RegistryError(
            f"{endpoint.authority} redirects more than {_MOST_REDIRECTS} times",
            where=request.where,
            host=endpoint.authority,
        )

    def attempts(self, endpoint: Endpoint) -> Attempts:
        """Return the tries that an endpoint has: a mirror has one, for there is something behind it."""
        return Attempts(replace(self.policy, tries=1) if endpoint.is_mirror else self.policy, self.clock)

    def _repeated(self, endpoint: Endpoint, work: Callable[[], _Result]) -> _Result:
        attempts = self.attempts(endpoint)
        while True:
            try:
                return work()
            except (RegistryConnectionError, RegistryBusyError) as error:
                if not self.worth_another(attempts, endpoint, error):
                    raise

    def worth_another(
        self, attempts: Attempts, endpoint: Endpoint, error: RegistryConnectionError | RegistryBusyError
    ) -> bool:
        """Wait for the next try after ``error``; ``False`` if there is none."""
        _LOG.debug("try %d failed: %s", attempts.failures + 1, error)
        wait = error.retry_after if isinstance(error, RegistryBusyError) else None
        with self._lock:
            reached = endpoint.authority in self._reached
        return attempts.wait(retry_after=wait, reached=reached)

    def worth_asking(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """Leave out the mirrors that could not be reached before."""
        with self._lock:
            return tuple(each for each in endpoints if not each.is_mirror or each.authority not in self._unreachable)

    def follow(self, url: str, location: str, *, where: str) -> str:
        """Return where a ``Location``, relative or absolute, of an answer from ``url`` leads.

        A registry behind a proxy that ends TLS may call itself http: the same host is still asked by https.
        Another host is never asked by http on behalf of one that speaks https.
        """
        before, after = urlsplit(url), address(url, location)
        if after is None:
            raise RegistryError(
                f"{host_of(url)} sends us to {showable(location)!r}, which is no web address",
                where=where,
                host=host_of(url),
            )
        if before.scheme == "https" and after.scheme == "http":
            if before.hostname != after.hostname:
                raise RegistryError(
                    f"{host_of(url)} sends us from https to http at {host_of(after.geturl())}",
                    where=where,
                    remedy="the registry has to name an https address",
                    host=host_of(url),
                )
            after = after._replace(scheme="https", netloc=before.netloc)
        return after.geturl()

    def refusal(self, request: Request, response: Response) -> RegistryError:
        """Return the error for an answer that is none of those expected, with the registry's own words."""
        return self.refused(request, response, own_words(response))

    def refused(self, request: Request, response: Response, words: str) -> RegistryError:
        """As ``refusal``, for an answer whose ``words`` are read already."""
        host = host_of(response.url)
        message = f"{host} answers {response.status} to {request.method} {urlsplit(response.url).path}{words}"
        if response.status not in TRANSIENT:
            return RegistryError(message, where=request.where, host=host, status=response.status)
        wait = retry_after(response.headers.get("Retry-After"), self.clock.wall())
        remedy = "try again later"
        if wait is not None and wait > self.policy.longest_retry_after:
            message = (
                f"{host} asks us to wait for {wait:.0f} s (status {response.status}), as if a quota were used up{words}"
            )
            remedy = "try again after that time"
        elif response.status == _TOO_MANY:
            message = f"{host} allows no more requests for now{words}"
        if response.status == _TOO_MANY:
            remedy += ", or log in with an account that has a higher quota"
        return RegistryBusyError(
            message, where=request.where, remedy=remedy, host=host, status=response.status, retry_after=wait
        )

    def _authenticated(self, endpoint: Endpoint, request: Request, url: str) -> Response:
        """Send to ``url`` and answer the endpoint's demand for credentials; no other host sees any."""
        base = self._url(endpoint, replace(request, target="/"))
        if _origin(url) != _origin(base):
            response = self._send(self._settings(url), request, url)
            if response.status in {_UNAUTHORIZED, _FORBIDDEN}:
                raise self.refusal(request, response)
            return response
        shown = self._authentication.known(endpoint, request.scopes, url=url, where=request.where)
        response = self._send(endpoint, request, url, shown)
        if response.status == _UNAUTHORIZED:
            try:
                other = self._authentication.answer(endpoint, request.scopes, response, shown, where=request.where)
            except BaseException:
                response.close()
                raise
            if other is not None:
                response.finish()
                shown = other
                response = self._send(endpoint, request, url, shown)
        if response.status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise self._authentication.denied(endpoint, response, shown, where=request.where, purpose=request.purpose)
        return response

    def _send(self, endpoint: Endpoint, request: Request, url: str, shown: Authorization | None = None) -> Response:
        headers = dict(request.headers)
        if shown is not None:
            headers["Authorization"] = shown.header
        body = None if request.body is None else request.body()
        try:
            response = self._transport.send(
                endpoint, request.method, url, headers=headers, body=body, storing=request.storing
            )
        except RegistryError as error:
            error.where = error.where or request.where
            if endpoint.is_mirror and isinstance(error, RegistryConnectionError):
                with self._lock:
                    self._unreachable |= {endpoint.authority} - self._reached
            raise
        with self._lock:
            self._reached.add(endpoint.authority)
            self._unreachable.discard(endpoint.authority)
        return response

    def _url(self, endpoint: Endpoint, request: Request) -> str:
        """Return the whole URL of a target; a host that may speak http is asked once what it speaks."""
        if not request.target.startswith("/"):
            return request.target
        with self._lock:
            scheme = self._schemes.get(endpoint.authority)
        if scheme is None:
            scheme = self._working_scheme(endpoint, request)
        return f"{scheme}://{endpoint.authority}{request.target}"

    def _working_scheme(self, endpoint: Endpoint, request: Request) -> str:
        """Find the first scheme by which the host answers; a certificate that isn't trusted ends the search.

        Servers say 400 to http where they speak TLS, which may just have failed for another reason.
        """
        failure: RegistryConnectionError | None = None
        found = endpoint.schemes[0]
        for scheme in endpoint.schemes if len(endpoint.schemes) > 1 else ():
            try:
                ping = replace(request, method="GET", headers={}, body=None)
                response = self._send(endpoint, ping, f"{scheme}://{endpoint.authority}/v2/")
            except RegistryConnectionError as error:
                failure = failure or error
            else:
                response.finish()
                if failure is None or response.status != _BAD_REQUEST:
                    found, failure = scheme, None
                    break
        if failure is not None:
            raise failure
        with self._lock:
            return self._schemes.setdefault(endpoint.authority, found)

    def _settings(self, url: str) -> Endpoint:
        """Return how to connect to a host that a registry sent us to: as if it were one itself."""
        authority = host_of(url)
        found = self._hosts.for_push(Reference(authority, "", None, None, ""))
        return replace(found, authority=authority)

    def _ask_token_server(self, request: TokenRequest, where: str) -> Response:
        form = request.form
        asked = Request(
            "GET" if form is None else "POST",
            request.url,
            scopes=(),
            where=where,
            headers=request.headers,
            body=None if form is None else lambda: form,
        )
        server = self._settings(request.url)

        def answered() -> Response:
            response = self._send(server, asked, request.url)
            if response.status in TRANSIENT:
                raise self.refusal(asked, response)
            return response

        return self._repeated(server, answered)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
