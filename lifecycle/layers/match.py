"""Patterns of slices, matched as Go's ``filepath.Match`` does it, in its quirks too.

``*`` and ``?`` don't cross a ``/``, a class like ``[^a]`` does; a ``*`` is as short as it can be and is not
tried again at another length; a malformed part counts only once the matching comes to it.
Spec: buildpack.md "launch.toml (TOML)", slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SEPARATOR = ord("/")
_INVALID = 0xFFFD
_LONGEST_RUNE = 4


class MalformedPatternError(ValueError):
    """A pattern has an open or empty class, or ends in a backslash."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands between two stars: steps of one character each; ``None`` if it is malformed."""

    after_star: bool
    steps: tuple[Callable[[bytes, int], int], ...] | None

    def end(self, text: bytes, position: int) -> int:
        """Return where a match that starts at ``position`` ends, -1 if there is none."""
        if self.steps is None:
            raise MalformedPatternError
        for step in self.steps:
            if position >= len(text):
                return -1
            position = step(text, position)
            if position < 0:
                return -1
        return position


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, ready to match."""

    parts: tuple[_Part, ...]
    literal: bytes | None

    def matches(self, text: bytes) -> bool:
        """Say whether all of ``text`` matches; raise ``MalformedPatternError`` if that can't be said."""
        if self.literal is not None:
            return text == self.literal
        position = 0
        for part in self.parts:
            last = part is self.parts[-1]
            if last and part.after_star and part.steps == ():
                return text.find(b"/", position) < 0
            end = self._find(part, text, position, last=last)
            if end < 0:
                return False
            position = end
        return position == len(text)

    @staticmethod
    def _find(part: _Part, text: bytes, position: int, *, last: bool) -> int:
        while True:
            end = part.end(text, position)
            if end >= 0 and not (last and end < len(text)):
                return end
            if not part.after_star or position >= len(text) or text[position] == _SEPARATOR:
                return -1
            position += 1


@lru_cache(maxsize=256)
def pattern(text: bytes) -> Pattern:
    """Return the pattern that ``text`` says."""
    parts = []
    rest = text
    while rest:
        body = rest.lstrip(b"*")
        length = _part_length(body)
        parts.append(_Part(after_star=body != rest, steps=_steps(body[:length])))
        rest = body[length:]
    special = any(each in text for each in b"*?[\\")
    return Pattern(tuple(parts), None if special else text)


def _part_length(text: bytes) -> int:
    """Return where the next star is that stands for itself."""
    in_class = escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == ord("\\"):
            escaped = True
        elif char in b"[]":
            in_class = char == ord("[")
        elif char == ord("*") and not in_class:
            return index
    return len(text)


def _steps(text: bytes) -> tuple[Callable[[bytes, int], int], ...] | None:
    steps: list[Callable[[bytes, int], int]] = []
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == ord("?"):
            steps.append(_any)
        elif char == ord("["):
            negated = text[position : position + 1] == b"^"
            ranges, position = _ranges(text, position + negated)
            if ranges is None:
                return None
            steps.append(_class(ranges, negated=negated))
        else:
            if char == ord("\\"):
                if position == len(text):
                    return None
                char = text[position]
                position += 1
            steps.append(_literal(char))
    return tuple(steps)


def _ranges(text: bytes, position: int) -> tuple[list[tuple[int, int]] | None, int]:
    """Read the inside of a class; return its ranges, ``None`` if it is malformed, and where it ends."""
    ranges: list[tuple[int, int]] = []
    while not (ranges and text[position : position + 1] == b"]"):
        low, position = _member(text, position)
        high = low
        if low >= 0 and text[position : position + 1] == b"-":
            high, position = _member(text, position + 1)
        if low < 0 or high < 0:
            return None, position
        ranges.append((low, high))
    return ranges, position + 1


def _member(text: bytes, position: int) -> tuple[int, int]:
    """Read one character of a class, after which the class has to go on; -1 if it is none."""
    if text[position : position + 1] in {b"", b"-", b"]"}:
        return -1, position
    if text[position] == ord("\\"):
        position += 1
        if position == len(text):
            return -1, position
    rune, size = _rune(text, position)
    invalid = rune == _INVALID and size == 1
    position += size
    return (-1 if invalid or position == len(text) else rune), position


def _rune(text: bytes, position: int) -> tuple[int, int]:
    """Return the character at ``position`` and its size; bytes that are no UTF-8 count one by one."""
    first = text[position]
    if first < 0x80:  # noqa: PLR2004  # ASCII
        return first, 1
    for size in range(2, _LONGEST_RUNE + 1):
        try:
            return ord(text[position : position + size].decode()), size
        except UnicodeDecodeError:
            continue
    return _INVALID, 1


def _any(text: bytes, position: int) -> int:
    return -1 if text[position] == _SEPARATOR else position + _rune(text, position)[1]


def _literal(char: int) -> Callable[[bytes, int], int]:
    return lambda text, position: position + 1 if text[position] == char else -1


def _class(ranges: list[tuple[int, int]], *, negated: bool) -> Callable[[bytes, int], int]:
    def step(text: bytes, position: int) -> int:
        rune, size = _rune(text, position)
        found = any(low <= rune <= high for low, high in ranges)
        return -1 if found == negated else position + size

    return step
