"""Flags as Go programs read them: ``-x v``, ``-x=v``, ``--x v``; flags end at the first other argument.

Reference: the phase executables use Go's package flag, and platforms rely on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class FlagError(LifecycleError):
    """A flag is unknown, lacks its value, or has a value of the wrong kind."""


@dataclass(frozen=True, slots=True)
class ParsedFlags:
    """The given flags with all their values, in order, and the arguments after them."""

    values: Mapping[str, tuple[str, ...]]
    arguments: tuple[str, ...]


def parse_bool(text: str) -> bool | None:
    """Read a boolean as Go does; ``None`` where it is none."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def parse_list(text: str) -> tuple[str, ...]:
    """Read what a variable lists with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def insecure_registries(given: Sequence[str] | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the beginnings of names that a person may reach without TLS: by option, then by variable."""
    return (*(given or ()), *parse_list(environment.get("CNB_INSECURE_REGISTRIES", "")))


def parse_flags(arguments: Sequence[str], *, switches: frozenset[str], valued: frozenset[str]) -> ParsedFlags:
    """Split ``arguments``; ``switches`` are flags that take a value only after ``=``.

    Raises ``FlagError`` with the sentence that Go prints.
    """
    values: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        word = rest[0]
        if len(word) < 2 or not word.startswith("-"):  # noqa: PLR2004  # a single dash is an argument
            break
        rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith(("-", "=")):
            raise FlagError(f"bad flag syntax: {word}")
        if name in switches:
            value = value if equals else "true"
            if parse_bool(value) is None:
                raise FlagError(f'invalid boolean value "{value}" for -{name}: parse error')
        elif name in valued:
            if not equals:
                if not rest:
                    raise FlagError(f"flag needs an argument: -{name}")
                value = rest.pop(0)
        else:
            raise FlagError(f"flag provided but not defined: -{name}")
        values.setdefault(name, []).append(value)
    return ParsedFlags({name: tuple(given) for name, given in values.items()}, tuple(rest))
