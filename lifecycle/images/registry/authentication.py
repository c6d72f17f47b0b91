"""Answers to a registry's demand for credentials, which go to that registry and its token server only.

Nothing is sent before a registry asks for it; what it asked for the first time is sent unasked from then on.
Spec: Docker Registry v2 "Token Authentication Specification"; OCI distribution-spec "Authentication".
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.errors import AccessDeniedError, RegistryBusyError, RegistryConnectionError, RegistryError
from lifecycle.images.registry.answer import address, host_of, own_words, showable
from lifecycle.images.registry.challenge import merge_scopes, read_challenges, read_scopes
from lifecycle.images.registry.token import (
    LARGEST_ANSWER,
    Token,
    TokenCache,
    basic_header,
    read_token,
    token_request,
)
from lifecycle.oci.reference import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.images.registry.challenge import Challenge, Scope
    from lifecycle.images.registry.credentials import Keychain
    from lifecycle.images.registry.hosts import Endpoint
    from lifecycle.images.registry.token import TokenRequest
    from lifecycle.images.registry.transport import Response

_LOG = logging.getLogger(__name__)

_REFUSED = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a request says of who we are: the ``header``, and the token in it if there is one; ``fresh`` if new."""

    header: str = field(repr=False)
    token: Token | None = None
    fresh: bool = False


@dataclass(slots=True)
class _Demand:
    """What one registry asked for: how, and the scopes that it wants where we would have others."""

    challenge: Challenge | None = None
    scopes: dict[tuple[Scope, ...], tuple[Scope, ...]] = field(default_factory=dict)


class Authentication:
    """The demands of registries and their tokens; ``ask_server`` sends a request to a token server."""

    def __init__(
        self, keychain: Keychain, wall: Callable[[], float], ask_server: Callable[[TokenRequest, str], Response]
    ) -> None:
        self._keychain = keychain
        self._wall = wall
        self._ask_server = ask_server
        self._tokens = TokenCache(wall)
        self._demands: dict[tuple[str, str], _Demand] = {}
        self._lock = threading.Lock()

    def known(self, endpoint: Endpoint, scopes: tuple[Scope, ...], *, url: str, where: str) -> Authorization | None:
        """Return what the registry wants to see, ``None`` if it has not asked or there is nothing to show."""
        demand = self._demand(endpoint)
        if demand.challenge is None:
            return None
        return self._authorization(endpoint, demand.challenge, demand.scopes.get(scopes, scopes), url=url, where=where)

    def answer(
        self,
        endpoint: Endpoint,
        scopes: tuple[Scope, ...],
        refused: Response,
        shown: Authorization | None,
        *,
        where: str,
    ) -> Authorization | None:
        """Return what to show after a 401 that followed ``shown``; ``None`` if nothing else can be shown."""
        challenge = self._answerable(endpoint, read_challenges(refused.headers.get("WWW-Authenticate", "")))
        if challenge is None:
            return None
        demand = self._demand(endpoint)
        before = demand.scopes.get(scopes, scopes)
        wanted = merge_scopes(scopes, read_scopes(challenge.parameters.get("scope", "")))
        demand.challenge = challenge
        demand.scopes[scopes] = wanted
        if shown is not None and shown.fresh and before == wanted:
            return None
        stale = None if shown is None else shown.token
        new = self._authorization(endpoint, challenge, wanted, url=refused.url, where=where, stale=stale)
        return None if new is None or (shown is not None and new.header == shown.header) else new

    def denied(
        self, endpoint: Endpoint, response: Response, shown: Authorization | None, *, where: str, purpose: str
    ) -> AccessDeniedError:
        """Return the error for a registry that knows who we are and still refuses."""
        return self._denied(
            endpoint, own_words(response), response.status, where=where, purpose=purpose, anonymous=shown is None
        )

    def _denied(
        self, endpoint: Endpoint, words: str, status: int, *, where: str, purpose: str, anonymous: bool
    ) -> AccessDeniedError:
        credential = self._keychain.credential(endpoint.registry)
        login = "" if endpoint.registry == DEFAULT_REGISTRY else f" {endpoint.registry}"
        if credential.anonymous:
            who, remedy = "without credentials", f"log in: docker login{login}"
        else:
            who = f"with the credentials from {credential.source}"
            action = "push to" if purpose == "write to" else "pull from"
            remedy = (
                f"give that account the right to {action} {endpoint.repository}, or log in again: docker login{login}"
            )
            if anonymous:
                who = "without credentials, for which it did not ask"
                remedy = f"check that {endpoint.authority} is the registry, and no other server in front of it"
        return AccessDeniedError(
            f"{endpoint.authority} does not allow us to {purpose} it {who}: status {status}{words}",
            where=where,
            remedy=remedy,
            host=endpoint.authority,
            status=status,
        )

    def _demand(self, endpoint: Endpoint) -> _Demand:
        with self._lock:
            return self._demands.setdefault((endpoint.registry, endpoint.authority), _Demand())

    def _answerable(self, endpoint: Endpoint, challenges: tuple[Challenge, ...]) -> Challenge | None:
        """Return the challenge to answer: a token before a password, for it says less."""
        credential = self._keychain.credential(endpoint.registry)
        for challenge in challenges:
            if challenge.scheme == "bearer" and (credential.registry_token or challenge.parameters.get("realm")):
                return challenge
        for challenge in challenges:
            if challenge.scheme == "basic" and (credential.registry_token or credential.username):
                return challenge
        return None

    def _authorization(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        scopes: tuple[Scope, ...],
        *,
        url: str,
        where: str,
        stale: Token | None = None,
    ) -> Authorization | None:
        credential = self._keychain.credential(endpoint.registry)
        if credential.registry_token:
            return Authorization(f"Bearer {credential.registry_token}", fresh=True)
        if challenge.scheme == "basic":
            return Authorization(basic_header(credential), fresh=True) if credential.username else None
        server = address(url, challenge.parameters["realm"])
        if server is None:
            raise RegistryError(
                f"{endpoint.authority} names {showable(challenge.parameters['realm'])!r} as its token server",
                where=where,
                host=endpoint.authority,
            )
        realm = server.geturl()
        if server.scheme == "http" and urlsplit(url).scheme == "https" and not credential.anonymous:
            raise RegistryError(
                f"{endpoint.authority} wants credentials sent to its token server {host_of(realm)} without TLS",
                where=where,
                remedy="the registry has to name an https address as its realm",
                host=endpoint.authority,
            )

        def fetch() -> Token:
            return self._fetch(
                endpoint, token_request(challenge, realm, scopes, credential), where=where, scopes=scopes
            )

        key = endpoint.registry, realm, challenge.parameters.get("service"), frozenset(scopes)
        token, fresh = self._tokens.get(key, fetch, stale=stale)
        return Authorization(f"Bearer {token.value}", token, fresh)

    def _fetch(self, endpoint: Endpoint, request: TokenRequest, *, where: str, scopes: tuple[Scope, ...]) -> Token:
        server = host_of(request.url)
        _LOG.debug("asking %s for a token for %s", server, " ".join(scope.text for scope in scopes))
        try:
            response = self._ask_server(request, where)
        except (RegistryConnectionError, RegistryBusyError) as error:
            # Its tries are used up: those of the request that needs the token must not multiply them.
            raise RegistryError(
                f"no token from the token server of {endpoint.authority}: {error.message}",
                where=where,
                remedy=error.remedy,
                host=error.host,
                status=error.status,
            ) from error
        with response:
            if response.status in _REFUSED:
                push = any("push" in scope.actions for scope in scopes)
                raise self._denied(
                    endpoint,
                    f" of its token server {server}{own_words(response)}",
                    response.status,
                    where=where,
                    purpose="write to" if push else "read",
                    anonymous=False,
                )
            if response.status != 200:  # noqa: PLR2004  # the only status that brings a token
                raise RegistryError(
                    f"no token from the token server {server} of {endpoint.authority}: status {response.status}"
                    f"{own_words(response)}",
                    where=where,
                    host=server,
                    status=response.status,
                )
            data = response.read(LARGEST_ANSWER)
        return read_token(data or b"", now=self._wall(), host=server)
