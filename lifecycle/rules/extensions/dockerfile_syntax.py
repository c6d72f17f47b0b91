"""The syntax of Dockerfiles, as far as rules about their instructions need it.

Reference: BuildKit's parser; its limits (continuation, escape directive, heredocs, stages) are kept,
what single instructions allow as arguments is left to whoever applies them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"}
    | {"ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_NO_TRIGGERS = frozenset({"FROM", "MAINTAINER", "ONBUILD"})
_WITH_HEREDOC = frozenset({"ADD", "COPY", "RUN"})
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_COMMENT = re.compile(r"\s*#")
_HEREDOC = re.compile(r"""[0-9]*<<(?P<dash>-?)(?:(?P<quote>["'])(?P<quoted>[^"'<]+)(?P=quote)|(?P<bare>[^\s<"']+))\Z""")
_QUOTED = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_DOLLAR_NAME = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[^}]*\})")


class DockerfileError(ValueError):
    """A text is not a Dockerfile; the message says why and in which line."""


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A text that follows its instruction: ``word`` opens it, ``literal`` says that no variables are replaced in it."""

    word: str
    name: str
    content: str
    literal: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its keyword in capitals, the rest of its logical line, and its first line, from 1.

    A ``trigger`` is one of the base image's ``ONBUILD``, and its line is counted among those.
    """

    keyword: str
    arguments: str
    line: int
    heredocs: tuple[Heredoc, ...] = ()
    trigger: bool = False

    @property
    def place(self) -> str:
        """Where it stands, in the words of a message."""
        return f"{'ONBUILD of the base image, ' if self.trigger else ''}line {self.line}"

    def __str__(self) -> str:
        return f"{self.keyword} {self.arguments}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A build stage: the text of its base image as it stands after ``FROM``, and what follows."""

    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile: what comes before the first ``FROM``, which is ``ARG`` only, its stages, its escape character."""

    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"


def parse_dockerfile(text: str) -> Dockerfile:
    """Read a Dockerfile; raise ``DockerfileError``."""
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape, index = _escape_character(lines)
    instructions = _instructions(lines, index, escape)
    if not instructions:
        raise DockerfileError("file with no instructions")
    starts = [index for index, each in enumerate(instructions) if each.keyword == "FROM"]
    bounds = [*starts, len(instructions)]
    before = tuple(instructions[: bounds[0]])
    for instruction in before:
        if instruction.keyword != "ARG":
            raise DockerfileError(
                f"line {instruction.line}: no build stage in current context: {instruction.keyword} before FROM"
            )
    stages = tuple(
        Stage(_base(instructions[start]), tuple(instructions[start + 1 : end])) for start, end in pairwise(bounds)
    )
    return Dockerfile(before, stages, escape)


def parse_triggers(triggers: Sequence[str]) -> tuple[Instruction, ...]:
    """Read the ``OnBuild`` of a base image; raise ``DockerfileError``.

    Reference: kaniko reads them as the lines of one text.
    """
    try:
        found = _instructions("\n".join(triggers).split("\n"), 0, "\\")
    except DockerfileError as error:
        raise DockerfileError(f"ONBUILD of the base image, {error}") from error
    instructions = tuple(replace(each, trigger=True) for each in found)
    for each in instructions:
        if each.keyword in _NO_TRIGGERS:
            raise DockerfileError(f"{each.place}: {each.keyword} isn't allowed as a trigger")
    return instructions


def argument_names(instruction: Instruction) -> tuple[str, ...]:
    """Return the names that an ``ARG`` declares."""
    return tuple(word.partition("=")[0] for word in _QUOTED.findall(instruction.arguments))


def has_variable(text: str) -> bool:
    """Say whether a value would change when variables are replaced."""
    return _DOLLAR_NAME.search(text) is not None


def _base(instruction: Instruction) -> str:
    words = [word for word in instruction.arguments.split() if not word.startswith("--")]
    match words:
        case [base]:
            return base
        case [base, keyword, _name] if keyword.lower() == "as":
            return base
        case _:
            raise DockerfileError(f"line {instruction.line}: FROM requires either one or three arguments")


def _instructions(lines: list[str], index: int, escape: str) -> list[Instruction]:
    continued = re.compile(rf"(?:\A|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*\Z")
    found = []
    while index < len(lines):
        start = index
        line = lines[index].lstrip()
        index += 1
        if not line or line.startswith("#"):
            continue
        parts = [line]
        while continued.search(line):
            parts[-1] = parts[-1].rstrip(" \t")[:-1]
            while index < len(lines) and (not lines[index].strip() or _COMMENT.match(lines[index])):
                index += 1
            if index == len(lines):
                break
            # Whether an escape at the beginning of a line is escaped, the end of the line before says.
            line = line.rstrip(" \t")[-2:-1] + lines[index]
            parts.append(lines[index])
            index += 1
        line = "".join(parts)
        if not line.strip():
            continue
        instruction = _instruction(line.strip(), start + 1)
        if instruction.keyword in _WITH_HEREDOC:
            heredocs = []
            for opening in _openings(instruction.arguments):
                heredoc, index = _heredoc(lines, index, opening, line=start + 1)
                heredocs.append(heredoc)
            instruction = replace(instruction, heredocs=tuple(heredocs))
        found.append(instruction)
    return found


def _escape_character(lines: list[str]) -> tuple[str, int]:
    """Return the escape character and the index of the first line that is not a parser directive."""
    seen: dict[str, str] = {}
    for index, line in enumerate(lines):
        match = _DIRECTIVE.match(line.strip())
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES:
            break
        if name in seen:
            raise DockerfileError(f"line {index + 1}: only one {name} parser directive can be used")
        seen[name] = match[2]
    else:
        index = len(lines)
    escape = seen.get("escape", "\\")
    if escape not in {"\\", "`"}:
        raise DockerfileError(f"invalid escape token '{escape}' does not match ` or \\")
    return escape, index


def _instruction(line: str, number: int) -> Instruction:
    keyword, *rest = line.split(None, 1)
    keyword = keyword.upper()
    if keyword not in INSTRUCTIONS:
        raise DockerfileError(f"line {number}: unknown instruction: {keyword}")
    if not rest:
        raise DockerfileError(f"line {number}: {keyword} requires arguments")
    return Instruction(keyword, rest[0], number)


def _openings(arguments: str) -> list[re.Match[str]]:
    """Return the words that open heredocs, in the order in which their bodies follow."""
    return [match for word in _QUOTED.findall(arguments) if (match := _HEREDOC.match(word))]


def _heredoc(lines: list[str], index: int, opening: re.Match[str], *, line: int) -> tuple[Heredoc, int]:
    """Return the heredoc whose body begins at ``index``, and the index of the line after the one that ends it."""
    name = opening["quoted"] or opening["bare"]
    body: list[str] = []
    for number in range(index, len(lines)):
        text = lines[number].lstrip("\t") if opening["dash"] else lines[number]
        if text == name:
            content = "".join(f"{each}\n" for each in body)
            return Heredoc(opening[0], name, content, literal=opening["quote"] is not None), number + 1
        body.append(text)
    raise DockerfileError(f"line {line}: unterminated heredoc: there is no line {name}")
