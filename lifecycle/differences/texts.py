"""Names, values and times from images as texts that are safe to print."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANO: Final = 1_000_000_000


def shown(data: bytes | str) -> str:
    """Return a text in which all that a terminal would not just print is escaped: no image may move its cursor."""
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def moment(nanoseconds: int) -> str:
    """Return a time since 1970 as RFC 3339 text in UTC, or as the number of its seconds beyond the years 1 to 9999."""
    seconds, fraction = divmod(nanoseconds, _NANO)
    tail = f".{fraction:09}".rstrip("0") if fraction else ""
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError:
        return f"{seconds}{tail} s"
    return f"{text}{tail}Z"
