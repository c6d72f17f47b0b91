"""Text without the sequences that color a terminal.  Spec: ECMA-48 "CSI"."""

from __future__ import annotations

import re
from typing import Final

_SEQUENCE: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_BEGUN: Final = re.compile(rb"\x1b(\[[0-?]*[ -/]*)?\Z")
_LONGEST: Final = 64


def plain(text: str) -> str:
    """Return a text without its sequences."""
    data = text.encode("utf-8", "surrogateescape")
    return _SEQUENCE.sub(b"", data).decode("utf-8", "surrogateescape")


class PlainOutput:
    """Output that comes in pieces, which may break off within a sequence."""

    def __init__(self) -> None:
        self._begun = b""

    def __call__(self, chunk: bytes) -> bytes:
        """Return the next piece without sequences; the beginning of one waits for its end."""
        text = _SEQUENCE.sub(b"", self._begun + chunk)
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST))
        end = begun.start() if begun else len(text)
        self._begun = text[end:]
        return text[:end]
