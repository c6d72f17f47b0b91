"""Bearer tokens: whom to ask, with what, and how long an answer holds.

Spec: Docker Registry v2 "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from lifecycle.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.images.registry.challenge import Challenge, Scope
    from lifecycle.images.registry.credentials import Credential

LARGEST_ANSWER = 1024 * 1024
"""Bytes; more than any token server sends."""

_DEFAULT_LIFETIME = 60.0
_LONGEST_LIFETIME = 86_400.0 * 365
_MARGIN = 0.1
_LONGEST_MARGIN = 30.0


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to a token server: a GET unless there is a ``form`` to post."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    form: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, good until ``expires`` on the wall clock, in seconds."""

    value: str = field(repr=False)
    expires: float


def basic_header(credential: Credential) -> str:
    """Return the value of ``Authorization`` for user and password."""
    return "Basic " + b64encode(f"{credential.username}:{credential.password}".encode()).decode()


def token_request(challenge: Challenge, realm: str, scopes: tuple[Scope, ...], credential: Credential) -> TokenRequest:
    """Return what to send to ``realm`` for a challenge; anonymous, too, we ask: for what everyone may read."""
    service = challenge.parameters.get("service", "")
    texts = [scope.text for scope in scopes]
    if credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": "cnb-lifecycle",
            "scope": " ".join(texts),
            "refresh_token": credential.identity_token,
        }
        return TokenRequest(realm, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())
    query = [("service", service)] if service else []
    query += [("scope", text) for text in texts]
    if credential.username:
        query.append(("account", credential.username))
    joint = "&" if "?" in realm else "?"
    url = f"{realm}{joint}{urlencode(query)}" if query else realm
    return TokenRequest(url, {"Authorization": basic_header(credential)} if credential.username else {})


def read_token(data: bytes, *, now: float, host: str) -> Token:
    """Read a token server's answer; raise ``RegistryError`` where it holds no token.

    The life of a token counts from ``issued_at`` unless that lies in the future; a little of it is left unused,
    so that a token does not expire on its way.
    """
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    value = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise RegistryError(f"the token server {host} sends no token", host=host)
    lifetime = answer.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not lifetime > 0:
        lifetime = _DEFAULT_LIFETIME
    lifetime = min(lifetime, _LONGEST_LIFETIME)
    issued = min(now, _seconds(answer.get("issued_at"), now))
    return Token(value, issued + lifetime - min(lifetime * _MARGIN, _LONGEST_MARGIN))


def _seconds(text: object, now: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else now
    except (ValueError, OverflowError, OSError):
        return now


class TokenCache:
    """Tokens by what they were asked for; threads that need the same one wait for one request."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._tokens: dict[tuple[object, ...], Token] = {}
        self._locks: dict[tuple[object, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(
        self, key: tuple[object, ...], fetch: Callable[[], Token], *, stale: Token | None = None
    ) -> tuple[Token, bool]:
        """Return a token that has not expired and is not ``stale``, the one that was just refused.

        The second value says whether it was fetched for this call.
        """
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            known = self._tokens.get(key)
            if known is None or known == stale or known.expires <= self._wall():
                fetched = self._tokens[key] = fetch()
                return fetched, True
            return known, False
