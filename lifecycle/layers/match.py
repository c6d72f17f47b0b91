"""Shell patterns as Go's ``filepath.Match`` understands them: no pattern crosses a ``/``.

Spec: buildpack.md "Slices".  ``fnmatch`` differs: there ``*`` matches ``/`` and a bad pattern matches itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lifecycle.errors import ExportError


@lru_cache(maxsize=1024)
def compiled(pattern: bytes) -> re.Pattern[bytes]:
    r"""Return a regular expression for a pattern of ``*``, ``?``, ``[a-z]``, ``[^a]`` and ``\`` escapes.

    Raises ``ExportError`` for a malformed one: an open class, an empty class, a trailing backslash.
    """
    expression = []
    position = 0
    while position < len(pattern):
        char = pattern[position : position + 1]
        position += 1
        if char == b"*":
            expression.append(b"[^/]*")
        elif char == b"?":
            expression.append(b"[^/]")
        elif char == b"[":
            text, position = _class(pattern, position)
            expression.append(text)
        else:
            if char == b"\\":
                char = pattern[position : position + 1]
                position += 1
                if not char:
                    raise _malformed(pattern)
            expression.append(re.escape(char))
    return re.compile(b"".join(expression) + rb"\Z", re.DOTALL)


def _class(pattern: bytes, position: int) -> tuple[bytes, int]:
    negated = pattern[position : position + 1] == b"^"
    position += negated
    ranges: list[bytes] = []
    while not (pattern[position : position + 1] == b"]" and ranges):
        low, position = _member(pattern, position)
        high = low
        if pattern[position : position + 1] == b"-":
            high, position = _member(pattern, position + 1)
        if low <= high:
            ranges.append(re.escape(low) + b"-" + re.escape(high))
        else:
            ranges.append(b"")
    members = b"".join(ranges)
    if not members:
        return (b"[^/]" if negated else rb"(?!)"), position + 1
    return (b"(?!/)[^" if negated else b"(?!/)[") + members + b"]", position + 1


def _member(pattern: bytes, position: int) -> tuple[bytes, int]:
    char = pattern[position : position + 1]
    if not char or char in b"-]":
        raise _malformed(pattern)
    if char == b"\\":
        position += 1
        char = pattern[position : position + 1]
        if not char:
            raise _malformed(pattern)
    return char, position + 1


def _malformed(pattern: bytes) -> ExportError:
    return ExportError(
        f"the slice pattern '{pattern.decode(errors='replace')}' is malformed: syntax error in pattern",
        remedy="close every '[' and end no pattern with a backslash",
    )
