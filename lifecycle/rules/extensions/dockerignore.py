"""Which files of a build context ``.dockerignore`` leaves out.  Reference: Docker's pattern matcher."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns in their order, and whether each leaves out or brings back."""

    patterns: tuple[tuple[re.Pattern[str], bool], ...] = ()

    def ignores(self, path: str) -> bool:
        """Say whether a path, relative to the context, is left out: the last pattern for it or a parent decides."""
        if not self.patterns:
            return False
        parts = path.split("/")
        candidates = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for pattern, leaves_out in self.patterns:
            if ignored != leaves_out and any(pattern.match(each) for each in candidates):
                ignored = leaves_out
        return ignored


def parse_dockerignore(text: str) -> IgnoreRules:
    """Read the file; patterns that can't be understood match nothing."""
    return IgnoreRules(tuple(_rules(text.removeprefix("\ufeff").splitlines())))


def _rules(lines: Iterable[str]) -> Iterable[tuple[re.Pattern[str], bool]]:
    for line in lines:
        if line.startswith("#"):
            continue
        text = line.strip()
        leaves_out = not text.startswith("!")
        text = text.removeprefix("!").strip()
        if not text:
            continue
        cleaned = posixpath.normpath(text).lstrip("/")
        if cleaned in {"", "."}:
            continue
        try:
            yield re.compile(_expression(cleaned)), leaves_out
        except re.error:
            continue


def _expression(text: str) -> str:
    found = ""
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*" and text[position : position + 1] == "*":
            position += 1
            wild = ".*"
            if text[position : position + 1] == "/":
                position += 1
                wild = "(?:.*/)?"
            # Twice it means the same, and a path that does not match would be tried in each division among them.
            if not found.endswith(wild):
                found += wild
        elif char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif char == "[" and (end := text.find("]", position + 1)) > 0:
            inside = text[position:end].replace("\\", "\\\\").replace("[", "\\[")
            found += f"[{inside}]"
            position = end + 1
        else:
            if char == "\\" and position < len(text):
                char = text[position]
                position += 1
            found += re.escape(char)
    return rf"(?s:{found})\Z"
