"""The arguments of single instructions: flags, JSON lists, names with values.  Reference: BuildKit's parser."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lifecycle.rules.extensions.dockerfile_syntax import DockerfileError
from lifecycle.rules.extensions.dockerfile_words import split

if TYPE_CHECKING:
    from lifecycle.rules.extensions.dockerfile_syntax import Instruction

_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(.*))?\Z", re.DOTALL)
_FIRST_WORD = re.compile(r"(\S+)(?:\s+(.*))?\Z", re.DOTALL)


def refused(instruction: Instruction, problem: str) -> DockerfileError:
    """Return the error for an instruction, which says where it is."""
    return DockerfileError(f"{instruction.place}: {instruction.keyword} {problem}")


def take_flags(instruction: Instruction, known: frozenset[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the flags before the arguments and the rest; raise ``DockerfileError`` for one not ``known``."""
    flags: list[tuple[str, str]] = []
    rest = instruction.arguments
    while rest.startswith("--"):
        first = _FIRST_WORD.match(rest)
        if first is None or first[1] == "--":
            break
        flag = _FLAG.match(first[1])
        if flag is None or flag[1] not in known:
            allowed = ", ".join(f"--{each}" for each in sorted(known)) or "none"
            raise refused(
                instruction, f"has the flag {first[1]!r}, which an extension can't use here (allowed: {allowed})"
            )
        flags.append((flag[1], flag[2] or ""))
        rest = first[2] or ""
    return flags, rest


def json_list(text: str) -> tuple[str, ...] | None:
    """Return the strings of the JSON form; ``None`` if the text is in the other form."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return None
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """Return the words of either form."""
    found = json_list(text)
    return tuple(text.split()) if found is None else found


def names_with_values(instruction: Instruction, *, escape: str) -> tuple[tuple[str, str], ...]:
    """Return what ``ENV`` and ``LABEL`` set, as it is written; raise ``DockerfileError``.

    ``NAME the rest of the line`` is the old form with one name.
    """
    found = split(instruction.arguments, escape=escape)
    if found and "=" not in found[0]:
        match = _FIRST_WORD.match(instruction.arguments)
        if match is None or not match[2]:
            raise refused(instruction, "must have two arguments")
        return ((match[1], match[2]),)
    pairs = []
    for each in found:
        name, equals, value = each.partition("=")
        if not equals:
            raise refused(instruction, f"can't understand {each!r}: names and values are written as name=value")
        pairs.append((name, value))
    return tuple(pairs)
