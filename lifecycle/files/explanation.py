"""What is wrong with a file, in the words of who wrote it: one line with key, problem and what is allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from typing import TYPE_CHECKING, Any

from lifecycle.errors import InvalidFileError
from lifecycle.files.toml_encoder import toml_key

if TYPE_CHECKING:
    from os import PathLike

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MAX_SHOWN = 40
_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "an integer",
    "float_type": "a number",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dataclass_type": "a table",
    "tuple_type": "an array",
    "list_type": "an array",
    "set_type": "an array",
    "frozen_set_type": "an array",
    "iterable_type": "an array",
    "date_type": "a date",
    "datetime_type": "a date with time",
}
# Pydantic puts the member of a union that it tried into the location; such names are no keys of a file.
_UNION_MEMBER = re.compile(r"(?:str|int|bool|float|none|date|datetime|time)|[\w-]+\[.*\]", re.DOTALL)


def explain(
    error: ValidationError, path: str | PathLike[str], table: Mapping[str, Any] | None = None
) -> InvalidFileError:
    """Return the error of a file whose content does not fit its model.

    ``table`` is the content as read; with it keys are named as the file spells them.
    """
    problems: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        problems.setdefault(tuple(_location(each, table)), []).append(each)
    # Of the members of a union, the one that failed deepest is the one that was meant.
    outer = {location[:length] for location in problems for length in range(len(location))}
    (location, first), *others = [item for item in problems.items() if item[0] not in outer]
    more = f" (and {len(others)} more)" if others else ""
    return InvalidFileError(_sentence(key_path(location), first) + more, where=path)


def key_path(location: Iterable[str | int]) -> str:
    """Return a location as TOML's users write it: ``order[0].group[1].id``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{toml_key(part)}" if text else toml_key(part)
    return text


def _location(problem: ErrorDetails, table: Any) -> list[str | int]:
    """Return the location without pydantic's own words, spelled as in ``table`` as far as that goes."""
    found: list[str | int] = []
    value = table
    for part in problem["loc"]:
        if isinstance(part, int):
            found.append(part)
            value = value[part] if isinstance(value, Sequence) and part < len(value) else None
        elif part == "[key]":
            continue
        elif isinstance(value, Mapping) and (key := _spelled(part, value)) is not None:
            found.append(key)
            value = value[key]
        elif problem["type"] == "missing" or not _UNION_MEMBER.fullmatch(part):
            found.append(part)
            value = None
    return found


def _spelled(key: str, table: Mapping[str, Any]) -> str | None:
    if key in table:
        return key
    plain = _plain(key)
    return next((each for each in table if _plain(each) == plain), None)


def _plain(key: str) -> str:
    return key.replace("-", "").replace("_", "").lower()


def _sentence(key: str, problems: list[ErrorDetails]) -> str:
    first = problems[0]
    if first["type"] == "missing":
        return f"{key} is required"
    prefix = f"{key}: " if key else ""
    expected = list(dict.fromkeys(_EXPECTED[each["type"]] for each in problems if each["type"] in _EXPECTED))
    if first["type"] in {"literal_error", "enum"}:
        expected = [str(first.get("ctx", {}).get("expected"))]
    if expected and (len(problems) == 1 or first["type"] in _EXPECTED):
        return f"{prefix}expected {' or '.join(expected)}, found {_shown(first['input'])}"
    message = first["msg"]
    if first["type"] == "value_error":
        return prefix + message.removeprefix("Value error, ")
    return prefix + message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…"
            return json.dumps(text, ensure_ascii=False)
        case int() | float() | date() | time():
            return str(value)[:_MAX_SHOWN]
        case Mapping():
            return "a table"
        case list() | tuple():
            return "an array"
        case None:
            return "nothing"
        case _:
            return f"a {type(value).__name__}"
