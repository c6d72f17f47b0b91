"""Ranges of versions as npm writes them.  Source: node-semver, README "Ranges".  Versions before a release fit none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Version = tuple[int, int, int]
Bounds = tuple[Version, Version | None]
"""A version fits from the first on, to below the second."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\Z")
_PART = r"(\d+|[xX*])"
_PARTIAL = re.compile(rf"v?{_PART}?(?:\.{_PART})?(?:\.{_PART})?(?:-[0-9A-Za-z.-]+)?\Z")
_COMPARATOR = re.compile(r"(?P<operator>\^|~>?|>=|<=|>|<|=)?(?P<version>\S*)")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*\Z")
_ANY: Bounds = ((0, 0, 0), None)


class RangeError(ValueError):
    """The text is no range."""


def parse_version(text: str) -> Version | None:
    """Return the numbers of a release, ``None`` for anything else."""
    match = _VERSION.match(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def best(range_text: str, versions: Iterable[str]) -> str | None:
    """Return the newest of ``versions`` that fits; raise ``RangeError`` for what is no range."""
    alternatives = [list(_bounds(text)) for text in range_text.split("||")]
    found = [(numbers, text) for text in versions if (numbers := parse_version(text)) is not None]
    fitting = [each for each in found if any(all(_fits(each[0], one) for one in bounds) for bounds in alternatives)]
    return max(fitting, default=(None, None))[1]


def _fits(version: Version, bounds: Bounds) -> bool:
    least, limit = bounds
    return least <= version and (limit is None or version < limit)


def _bounds(text: str) -> Iterator[Bounds]:
    hyphen = _HYPHEN.match(text)
    if hyphen:
        yield _comparator(">=", hyphen[1])
        yield _comparator("<=", hyphen[2])
        return
    # A blank may stand between an operator and its version.
    for word in re.sub(r"(\^|~>?|[<>]=?|=)\s+", r"\1", text).split():
        match = _COMPARATOR.fullmatch(word)
        if match is None:
            raise RangeError(f"{word!r} is no version")
        yield _comparator(match["operator"] or "", match["version"])


def _comparator(operator: str, text: str) -> Bounds:
    match = _PARTIAL.match(text)
    if match is None or not text:
        raise RangeError(f"{text!r} is no version")
    given = []
    for part in match.groups():
        if part is None or not part.isdigit():
            break
        given.append(int(part))
    least = _filled(given)
    match operator:
        case "^":
            return _caret(given)
        case "~" | "~>":
            return least, _after(given[:2])
        case ">=":
            return least, None
        case ">":
            after = _after(given)
            return (least, least) if after is None else (after, None)
        case "<":
            return (0, 0, 0), least
        case "<=":
            return (0, 0, 0), _after(given)
        case _:
            return (least, _after(given)) if given else _ANY


def _caret(given: list[int]) -> Bounds:
    """Return the versions that change nothing left of the first number that is not zero."""
    if not given:
        return _ANY
    fixed = next((place for place, number in enumerate(given) if number), len(given) - 1)
    return _filled(given), _after(given[: fixed + 1])


def _filled(given: list[int]) -> Version:
    major, minor, patch = (*given, 0, 0, 0)[:3]
    return major, minor, patch


def _after(given: list[int]) -> Version | None:
    """Return the first version beyond all that begin so."""
    return _filled([*given[:-1], given[-1] + 1]) if given else None
