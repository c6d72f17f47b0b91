"""How the contents of two files differ, as far as it can be shown in little room."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from lifecycle.differences.texts import shown

MAX_TEXT: Final = 32 * 1024
"""Bytes of a text beyond which its lines are not compared."""

MAX_LINES: Final = 40
"""Lines of a difference."""

_MAX_TEXT_LINES: Final = 1000
_WIDEST: Final = 200


@dataclass(frozen=True, slots=True)
class ContentDifference:
    """Where contents begin to differ, in bytes; ``None`` if that lies beyond what is known of them.

    ``lines`` is a unified difference if both are short texts, at most ``MAX_LINES`` of it; ``cut`` says that there is
    more.
    """

    offset: int | None
    lines: tuple[str, ...] = ()
    cut: bool = False


def compare_contents(first: bytes, second: bytes, *, first_size: int, second_size: int) -> ContentDifference:
    """Compare two files of which the beginnings, or all, are known; sizes are those of the whole files, in bytes."""
    offset = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if offset is None and min(len(first), len(second)) == min(first_size, second_size):
        offset = min(first_size, second_size)
    whole = (len(first), len(second)) == (first_size, second_size)
    one, other = (_lines(first), _lines(second)) if whole else (None, None)
    if one is None or other is None:
        return ContentDifference(offset)
    found = list(difflib.unified_diff(one, other, lineterm="", n=2))[2:]
    lines = tuple(_line(each) for each in found[:MAX_LINES])
    return ContentDifference(offset, lines, cut=len(found) > MAX_LINES)


def _lines(data: bytes) -> list[str] | None:
    """Return the lines of a short text, with what ends them told where it is no newline; ``None`` for anything else."""
    if len(data) > MAX_TEXT or b"\0" in data or data.count(b"\n") > _MAX_TEXT_LINES:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    last = lines.pop()
    return [*lines, f"{last} (no newline at the end)"] if last else lines


def _line(line: str) -> str:
    text = shown(line)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"
