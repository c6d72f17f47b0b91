"""Variables that a person gives to buildpacks with ``--env`` and ``--env-file``, which are Docker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


def read_variables(
    given: Sequence[str], files: Sequence[Path], *, environment: Mapping[str, str], warn: Callable[[str], None]
) -> dict[str, str]:
    """Return the variables of ``files``, then those ``given``; of one name the last counts.

    A name alone takes its value from ``environment``; ``warn`` hears of one that is not set there, and is left out.
    Reference: Docker leaves it out too, pack makes it empty.  Raises ``InvalidInputError`` for a name that is none;
    what was given is not repeated where it may hold the value.
    """
    variables = {}
    for entry, where in (*_lines(files), *((each, "") for each in given)):
        name, equals, value = entry.partition("=")
        name = name.strip()
        option = "" if where else "--env "
        if not name:
            raise InvalidInputError(
                f"{option}{entry!r} has no name", where=where or None, remedy=f"write {option}NAME=VALUE"
            )
        if any(map(str.isspace, name)):
            raise InvalidInputError(
                "the name of a variable has white space in it",
                where=where or "--env",
                remedy=f"write {option}NAME=VALUE, without 'export'",
            )
        if equals:
            variables[name] = value
        elif name in environment:
            variables[name] = environment[name]
        else:
            place = f"{where}: " if where else option
            warn(f"{place}{name} is not set here, so buildpacks don't get it; write {name}=VALUE, or {name}= for none")
    return variables


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the lines of files that hold a variable, and where each stands."""
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise InvalidInputError(f"can't be read: {reason}", where=path, remedy="correct --env-file") from error
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield line, f"{path}: line {number}"
