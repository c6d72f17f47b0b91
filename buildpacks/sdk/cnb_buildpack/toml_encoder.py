"""TOML as text; the standard library only reads it.  Reference: toml.io/en/v1.0.0."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F)},
    **{ord(char): f"\\{letter}" for char, letter in zip('"\\\b\t\n\f\r', '"\\btnfr', strict=True)},
}


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a document whose bytes depend on the values and their order alone.

    Values are strings, booleans, integers, floats, dates, times, lists, tuples and tables; what is ``None`` is
    left out.  Raises ``TypeError`` that names the key for anything else.
    """
    lines: list[str] = []
    _write(table, "", lines)
    return "".join(f"{line}\n" for line in lines)


def _write(table: Mapping[str, Any], header: str, lines: list[str]) -> None:
    present = [(_key(key), value) for key, value in table.items() if value is not None]
    for key, value in present:
        if not _is_section(value):
            lines.append(f"{key} = {_value(value, header + key)}")
    for key, value in present:
        if not _is_section(value):
            continue
        name = f"{header}{key}"
        for each in [value] if isinstance(value, Mapping) else value:
            if lines:
                lines.append("")
            lines.append(f"[{name}]" if isinstance(value, Mapping) else f"[[{name}]]")
            _write(each, f"{name}.", lines)


def _is_section(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a TOML key is a string, not {key!r}")
    return key if _BARE_KEY.fullmatch(key) else _string(key, "a key")


def _value(value: Any, where: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value, where)
        case int():
            return str(int(value))
        case float():
            return "nan" if math.isnan(value) else repr(float(value))
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(_value(each, where) for each in value) + "]"
        case Mapping():
            pairs = [f"{_key(key)} = {_value(each, where)}" for key, each in value.items() if each is not None]
            return "{" + ", ".join(pairs) + "}"
        case _:
            raise TypeError(f"{where}: {type(value).__name__} has no TOML form")


def _string(text: str, where: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise TypeError(f"{where}: {text!r} is no text that UTF-8 can hold")
    return f'"{text.translate(_ESCAPES)}"'
