"""What a registry says in its answers: numbers, addresses, and errors in words.

Spec: OCI distribution-spec "Error Codes"; RFC 9110 "Location".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from lifecycle.errors import RegistryError
from lifecycle.images.registry.challenge import read_challenges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.images.registry.transport import Response

_LONGEST_BODY = 64 * 1024
_LONGEST_WORDS = 400
_MOST_DIGITS = 18


def whole_number(text: str | None) -> int | None:
    """Return the value of a header that is a number of bytes or the like, ``None`` for anything else."""
    return int(text) if text and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def address(base: str, location: str) -> SplitResult | None:
    """Return where a location, relative to ``base`` or absolute, leads on the web, ``None`` if nowhere."""
    try:
        found = urlsplit(urljoin(base, location))
        usable = found.scheme in {"https", "http"} and bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:
        return None
    return found if usable else None


def host_of(url: str) -> str:
    """Return ``host[:port]`` of a URL as it may be shown: registries may give out URLs with a user's password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def showable(location: str) -> str:
    """Return what a registry gave out as an address, without what may be a password or a signature."""
    return location.partition("?")[0].rpartition("@")[2]


def errors_of(response: Response) -> tuple[tuple[str, str], ...]:
    """Read the body and return its errors as pairs of code and message; none if it is of another form."""
    with response:
        try:
            data = response.read(_LONGEST_BODY)
        except RegistryError:
            return ()
    return read_errors(data or b"")


def read_errors(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return the errors in a body as ``errors_of``."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return ()
    return tuple(_errors(answer))


def words_of(errors: tuple[tuple[str, str], ...]) -> str:
    """Return errors as the end of a sentence, safe to show: ``" (CODE: message)"`` or nothing."""
    texts = [": ".join(filter(None, error)) for error in errors]
    words = "".join(char if char.isprintable() else " " for char in ", ".join(filter(None, texts)))
    return f" ({words[:_LONGEST_WORDS]})" if words else ""


def own_words(response: Response) -> str:
    """Read an answer and return the registry's words as ``words_of``; a HEAD has them at best in its challenge."""
    errors = errors_of(response)
    if not errors:
        challenges = read_challenges(response.headers.get("WWW-Authenticate", ""))
        errors = tuple(
            (challenge.parameters["error"], challenge.parameters.get("error_description", ""))
            for challenge in challenges
            if challenge.parameters.get("error")
        )
    return words_of(errors)


def _errors(answer: Any) -> Iterator[tuple[str, str]]:
    """Yield the errors of a registry, or the one of a token server (``details``, or OAuth2's ``error``)."""
    if not isinstance(answer, dict):
        return
    entries = answer.get("errors")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("code") or ""), str(entry.get("message") or "")
    if isinstance(answer.get("error"), str):
        yield answer["error"], str(answer.get("error_description") or "")
    for key in ("details", "message"):
        if isinstance(answer.get(key), str):
            yield "", answer[key]
