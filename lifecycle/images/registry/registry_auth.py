"""``CNB_REGISTRY_AUTH``: authorization headers by registry, as JSON.  Spec: platform.md "Registry Authentication"."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidInputError
from lifecycle.images.registry.credential import ANONYMOUS, Credential

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)

VARIABLE = "CNB_REGISTRY_AUTH"

_REMEDY = 'set it to JSON such as {"registry.example.com": "Basic <base64 of user:password>"}'
_HUB_NAMES_OF_OTHERS = frozenset({"docker.io", "registry-1.docker.io"})


def read_registry_auth(text: str) -> Mapping[str, str]:
    """Return headers by registry; raise ``InvalidInputError``, which never shows the value.

    Keys lose ``http(s)://`` and what follows the first ``/``.  Docker Hub is ``index.docker.io``, as in the
    reference; a key that means it by another name matches nothing and gets a warning.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # The parser's error carries the text, so it must not become the cause.
        raise InvalidInputError("is not valid JSON", where=VARIABLE, remedy=_REMEDY) from None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise InvalidInputError("is not an object whose values are all strings", where=VARIABLE, remedy=_REMEDY)
    headers = {registry_of(key): header for key, header in value.items()}
    for name in _HUB_NAMES_OF_OTHERS & headers.keys():
        _LOG.warning('%s: the key "%s" matches no registry; write index.docker.io for Docker Hub', VARIABLE, name)
    return headers


def registry_of(key: str) -> str:
    """Return the ``host[:port]`` of a key."""
    return key.removeprefix("http://").removeprefix("https://").partition("/")[0]


def header_credential(registry: str, header: str) -> Credential:
    """Return what a header says: ``Basic <base64>``, ``Bearer <token>`` or ``X-Identity <refresh token>``.

    Raises ``InvalidInputError`` for any other, without showing it.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    source = VARIABLE
    match scheme.lower():
        case "bearer" if value:
            if not is_header_text(value):
                raise InvalidInputError(f'the token for "{registry}" can\'t be sent', where=VARIABLE, remedy=_REMEDY)
            return Credential(registry_token=value, source=source)
        case "x-identity" if value:
            return Credential(identity_token=value, source=source)
        case "basic" if value:
            pair = decode_basic(value)
            if pair is None:
                raise InvalidInputError(
                    f'the value for "{registry}" is not the base64 of user:password', where=VARIABLE, remedy=_REMEDY
                )
            username, password = pair
            return Credential(username=username, password=password, source=source) if any(pair) else ANONYMOUS
        case _:
            raise InvalidInputError(
                f'the value for "{registry}" is of an unknown kind',
                where=VARIABLE,
                remedy='begin it with "Basic ", "Bearer " or "X-Identity "',
            )


def is_header_text(token: str) -> bool:
    """Say whether a token can stand in a header: RFC 6750 has only ASCII without line ends."""
    return token.isascii() and token.isprintable()


def decode_basic(text: str) -> tuple[str, str] | None:
    """Return user name and password of the base64 of ``user:password``, ``None`` if it is not that.

    Docker ends some passwords in NUL bytes, which do not belong to them.
    """
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        return None
    username, colon, password = decoded.partition(":")
    return (username, password.strip("\0")) if colon else None
