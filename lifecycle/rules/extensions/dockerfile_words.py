"""Words of instructions: quotes, escapes and variables.

Reference: BuildKit's shell lexer, as far as values and words go: ``$x``, ``${x}``, and ``:-``, ``-``, ``:+``, ``+``,
``:?`` and ``?`` inside the braces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = frozenset("@*#")
_SPACE = " \t\r\n"
_MAX_DEPTH = 100
"""How deep variables may stand in the words that stand for them."""


class WordError(ValueError):
    """A word can't be understood, or a variable in it has no value that it must have."""


def expand(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Return one word with its variables replaced and its quotes taken away; raise ``WordError``."""
    return _Reader(text, variables, escape).word(ends="")


def expand_content(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its variables replaced and its quotes as they are; raise ``WordError``."""
    return _Reader(text, variables, "\\", keeps_quotes=True).word(ends="")


def split(text: str, *, escape: str = "\\") -> tuple[str, ...]:
    """Split at white space that is neither quoted nor escaped; quotes and escapes stay in the words."""
    words: list[str] = []
    word = ""
    quote = ""
    characters = iter(text)
    for char in characters:
        if not quote and char in _SPACE:
            if word:
                words.append(word)
            word = ""
            continue
        word += char
        if char == escape and quote != "'":
            word += next(characters, "")
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return (*words, word) if word else tuple(words)


@dataclass(slots=True)
class _Reader:
    text: str
    variables: Mapping[str, str]
    escape: str
    position: int = 0
    keeps_quotes: bool = False
    depth: int = 0

    def word(self, *, ends: str) -> str:
        """Read up to the end, or up to the character ``ends`` outside of quotes."""
        found = ""
        while (char := self._peek()) and char != ends:
            if char == "'" and not self.keeps_quotes:
                found += self._single_quoted()
            elif char == '"' and not self.keeps_quotes:
                found += self._double_quoted()
            elif char == "$":
                found += self._variable()
            else:
                self.position += 1
                if char == self.escape:
                    found += self._escaped()
                else:
                    found += char
        return found

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _escaped(self) -> str:
        char = self._peek()
        self.position += 1
        if self.keeps_quotes and char not in {"$", self.escape}:
            return self.escape + char
        return char

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise WordError("unexpected end of statement while looking for matching single-quote")
        found = self.text[self.position + 1 : end]
        self.position = end + 1
        return found

    def _double_quoted(self) -> str:
        self.position += 1
        found = ""
        while (char := self._peek()) != '"':
            if not char:
                raise WordError("unexpected end of statement while looking for matching double-quote")
            if char == "$":
                found += self._variable()
                continue
            self.position += 1
            if char == self.escape:
                following = self._peek()
                if following in {'"', "$", self.escape}:
                    char = following
                    self.position += 1
            found += char
        self.position += 1
        return found

    def _variable(self) -> str:
        self.position += 1
        if self._peek() == "{":
            self.position += 1
            return self._braced()
        name = self._name()
        return self.variables.get(name, "") if name else "$"

    def _name(self) -> str:
        start = self.position
        first = self._peek()
        if first and (first in _SPECIAL or first.isdigit()):
            self.position += 1
            return first
        while (char := self._peek()) and (char.isalnum() or char == "_"):
            self.position += 1
        return self.text[start : self.position]

    def _braced(self) -> str:
        name = self._name()
        if not name:
            raise WordError("syntax error: bad substitution")
        value = self.variables.get(name)
        operator = self._peek()
        self.position += 1
        if operator == "}":
            return value or ""
        empty_counts = operator == ":"
        if empty_counts:
            operator = self._peek()
            self.position += 1
        if operator not in {"-", "+", "?"}:
            if not operator:
                raise WordError(f"syntax error: missing }} after ${{{name}")
            raise WordError(f"unsupported modifier ({operator}) in substitution of {name}")
        missing = not value if empty_counts else value is None
        word = self._alternative(name)
        if operator == "+":
            return "" if missing else word
        if not missing:
            return value or ""
        if operator == "?":
            raise WordError(f"{name}: {word or 'not allowed to be empty or unset'}")
        return word

    def _alternative(self, name: str) -> str:
        """Read the word that may stand for a variable, and the brace after it."""
        if self.depth == _MAX_DEPTH:
            raise WordError(f"variables nest more than {_MAX_DEPTH} deep")
        self.depth += 1
        word = self.word(ends="}")
        self.depth -= 1
        if self._peek() != "}":
            raise WordError(f"syntax error: missing }} after ${{{name}")
        self.position += 1
        return word
