"""JSON as the reference writes and reads it, so that labels and configurations have the same bytes.

Reference: Go ``encoding/json``.  Two kinds of object: a ``Struct`` keeps the order of its fields,
any other mapping is a Go map, whose keys are sorted bytewise.  Text from the file system may hold undecodable
bytes as ``os.fsdecode`` leaves them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from datetime import tzinfo

MAX_DEPTH = 200
"""How deep arrays and objects of a JSON text may nest; a deeper one is not worth the stack it takes."""

_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{\]}]', re.DOTALL)
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_ESCAPES: dict[int, str] = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), *map(ord, "<>&\u2028\u2029"))},
    **{
        ord(char): escape
        for char, escape in zip('"\\\b\f\n\r\t', ('\\"', r"\\", r"\b", r"\f", r"\n", r"\r", r"\t"), strict=True)
    },
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    **dict.fromkeys(range(0xDC80, 0xDD00), r"\ufffd"),
}


class Struct(dict[str, Any]):
    """An object or table whose fields are written in the order given; any other mapping is sorted by key."""


class JsonText(str):
    """A text that keeps JSON's escapes wherever it is written, as commands do in metadata.toml."""

    __slots__ = ()


def dumps(value: Any, *, local: tzinfo | None = None) -> str:
    """Return the compact JSON text of ``value``.

    ``local`` is the zone of dates and times without one, by default the machine's.  Raises ``LifecycleError``
    for a number that JSON can't hold, which only buildpacks and platforms can bring in.
    """
    parts: list[str] = []
    _write(value, "", local, parts)
    return "".join(parts)


def quoted(text: str) -> str:
    """Return ``text`` as a JSON string: safe inside HTML, undecodable bytes replaced."""
    return '"' + text.translate(_ESCAPES) + '"'


def rfc3339(moment: datetime) -> str:
    """Return a moment with its offset as RFC 3339 text; no trailing zeros, and offset zero is ``Z``."""
    text = local_text(moment.replace(tzinfo=None))
    offset = moment.utcoffset() or timedelta(0)
    if not offset:
        return text + "Z"
    sign = "-" if offset < timedelta(0) else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{text}{sign}{hours:02d}:{minutes:02d}"


def local_text(moment: datetime | time) -> str:
    """Return the text of a date with time, or of a time, without an offset and without trailing zeros."""
    text = moment.isoformat()
    return text.rstrip("0") if moment.microsecond else text


def loads(text: str) -> Any:
    """Return the value of a JSON text: numbers become floats, of equal keys the last one counts.

    Raises ``ValueError`` where the reference's decoder fails, and for deeper nesting than ``MAX_DEPTH``.
    """
    _refuse_depth(text)
    decoder = json.JSONDecoder(
        parse_int=_finite, parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_object
    )
    return _replace_surrogates(decoder.decode(text))


def _write(value: Any, at: str, local: tzinfo | None, parts: list[str]) -> None:  # noqa: C901  # a case per type
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case str():
            parts.append(quoted(value))
        case int():
            parts.append(str(int(value)))
        case float():
            parts.append(_float(value, at))
        case datetime() | date() | time():
            parts.append(f'"{_moment(value, local)}"')
        case list() | tuple():
            separator = "["
            for index, each in enumerate(value):
                parts.append(separator)
                _write(each, f"{at}[{index}]", local, parts)
                separator = ","
            parts.append("]" if value else "[]")
        case Mapping():
            separator = "{"
            for key in value if isinstance(value, Struct) else sorted(value, key=_bytes):
                parts.append(f"{separator}{quoted(key)}:")
                _write(value[key], f"{at}.{key}", local, parts)
                separator = ","
            parts.append("}" if value else "{}")
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _float(number: float, at: str) -> str:
    if not math.isfinite(number):
        raise LifecycleError(f"{at.lstrip('.') or 'the value'} is {number}, which JSON can't hold")
    text = repr(number)
    if number and not 1e-6 <= abs(number) < 1e21:  # noqa: PLR2004  # the bounds of plain notation
        return text.replace("e-0", "e-")
    return format(Decimal(text), "f").removesuffix(".0")


def _moment(value: datetime | date | time, local: tzinfo | None) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return rfc3339(value)
    offset = datetime.now(local or UTC).astimezone(local).utcoffset() or timedelta(0)
    zone = timezone(offset)
    if isinstance(value, datetime):
        return rfc3339(value.replace(tzinfo=zone))
    if isinstance(value, date):
        return rfc3339(datetime.combine(value, time(), zone))
    return "0000" + rfc3339(datetime.combine(date.min, value, zone))[4:]


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"arrays and objects nest more than {MAX_DEPTH} deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_SURROGATES.sub("\ufffd", key): value for key, value in pairs}


def _replace_surrogates(value: Any) -> Any:
    match value:
        case str():
            return _SURROGATES.sub("\ufffd", value)
        case list():
            return list(map(_replace_surrogates, value))
        case dict():
            return {key: _replace_surrogates(each) for key, each in value.items()}
        case _:
            return value
