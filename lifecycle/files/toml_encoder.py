"""The layout of TOML files: the library ``toml`` with an encoder that writes as the reference's library does.

metadata.toml is part of a layer, so each byte counts.  Reference: BurntSushi/toml v1.6, ``encode.go``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import toml

from lifecycle.oci.gojson import JsonText, Struct, local_text, quoted, rfc3339

Table = Mapping[str, Any]

if TYPE_CHECKING:
    _Encoder = toml.TomlEncoder[Table]
else:
    _Encoder = toml.TomlEncoder  # generic in its type stubs only

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: dict[int, str] = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F)},
    **{
        ord(char): escape
        for char, escape in zip('"\\\b\t\n\f\r', ('\\"', r"\\", r"\b", r"\t", r"\n", r"\f", r"\r"), strict=True)
    },
}


class ReferenceEncoder(_Encoder):
    """Writes plain values first, then tables, each level two spaces further in.

    The library asks for the root only: all of the text is returned at once and no section is left over.
    """

    def dump_sections(self, o: Table, sup: str) -> tuple[str, Table]:
        """Return the text of the table ``o`` whose header is ``sup``, and no open sections."""
        parts: list[str] = []
        self._write_table(o, sup, 0, parts)
        return "".join(parts), self.get_empty_table()

    def dump_value(self, v: Any) -> str:  # noqa: C901  # a case per type
        """Return one value as it stands behind ``=`` or in an array."""
        match v:
            case bool():
                return "true" if v else "false"
            case JsonText():
                return quoted(v).replace("\x7f", r"\u007f")
            case str():
                return _quoted(v)
            case int():
                return str(int(v))
            case float():
                return _float(v)
            case datetime():
                return local_text(v) if v.tzinfo is None else rfc3339(v)
            case date():
                return v.isoformat()
            case time():
                return local_text(v)
            case list() | tuple():
                return self.dump_list(v)
            case Mapping():
                return self.dump_inline_table(v)
            case _:
                raise TypeError(f"{type(v).__name__} has no TOML form")

    def dump_list(self, v: Iterable[Any]) -> str:
        """Return an array on one line."""
        return "[" + ", ".join(map(self.dump_value, v)) + "]"

    def dump_inline_table(self, section: Any) -> str:
        """Return a table that is mixed with other values, on one line."""
        plain, tables = _split(section)
        pairs = [f"{toml_key(key)} = {self.dump_value(value)}" for key, value in (*plain, *tables)]
        return "{" + ", ".join(pairs) + "}"

    def _write_table(self, table: Table, header: str, depth: int, parts: list[str]) -> None:
        plain, tables = _split(table)
        indent = "  " * depth
        for key, value in plain:
            parts.append(f"{indent}{toml_key(key)} = {self.dump_value(value)}\n")
        for key, value in tables:
            name = f"{header}.{toml_key(key)}" if header else toml_key(key)
            if isinstance(value, Mapping):
                blank = "\n" if parts and not depth else ""
                parts.append(f"{blank}{indent}[{name}]\n")
                self._write_table(value, name, depth + 1, parts)
                continue
            for each in value:
                blank = "\n" if parts else ""
                parts.append(f"{blank}{indent}[[{name}]]\n")
                self._write_table(each, name, depth + 1, parts)


def encode(table: Table) -> str:
    """Return ``table`` as TOML; what is ``None`` is left out.  ``codec.dumps`` also proves the text right."""
    return toml.dumps(table, encoder=ReferenceEncoder(dict))


def toml_key(key: str) -> str:
    """Return one part of a key as TOML writes it, quoted where it must be."""
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def _split(table: Table) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Return the plain values and the tables, each in the order in which they are written."""
    plain: list[tuple[str, Any]] = []
    tables: list[tuple[str, Any]] = []
    for key, value in table.items() if isinstance(table, Struct) else sorted(table.items(), key=_first):
        if value is not None:
            (tables if _is_table(value) else plain).append((key, value))
    return plain, tables


def _first(item: tuple[str, Any]) -> str:
    # Code points sort as their UTF-8 bytes do.
    return item[0]


def _is_table(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping)


def _quoted(text: str) -> str:
    return '"' + text.translate(_ESCAPES) + '"'


def _float(number: float) -> str:
    if math.isnan(number):
        return "-nan" if math.copysign(1, number) < 0 else "nan"
    text = repr(number)
    if "e" in text or math.isinf(number) or abs(number) < 1e6:  # noqa: PLR2004  # where Go's format 'g' changes
        return text
    mantissa, _, exponent = format(Decimal(text).normalize(), "e").partition("e+")
    return f"{mantissa}e+{exponent:0>2}"
