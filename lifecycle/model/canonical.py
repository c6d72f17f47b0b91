"""Values as bytes that depend on the value alone: canonical JSON, and TOML tables inside it.

Keys are sorted by code point, nothing is indented, and the text is ASCII.  JSON has no dates and no numbers that
everybody reads alike but integers, so TOML's are tagged: ``{"$toml": ["float", "1.5"]}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from lifecycle.oci.digest import Digest, digest_of

_TAG = "$toml"
_MAX_DEPTH = 300
"""How deep a value may nest: more than a file that ``files.codec`` reads, less than the stack."""


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of ``value``; raise ``TypeError`` for a float, which has no canonical form."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def canonical_digest(value: Any) -> Digest:
    """Return the digest of the canonical JSON of ``value``."""
    return digest_of(canonical(value))


def tagged(value: Any) -> Any:
    """Return a TOML value as JSON holds it; ``untagged`` gives it back, types included."""
    match value:
        case bool() | int():
            return value
        case str():
            return str.__str__(value)
        case float():
            return {_TAG: ["float", _float(value)]}
        case datetime():
            return {_TAG: ["datetime", value.isoformat()]}
        case date():
            return {_TAG: ["date", value.isoformat()]}
        case time():
            return {_TAG: ["time", value.isoformat()]}
        case list() | tuple():
            return [tagged(each) for each in value]
        case Mapping():
            table = {key: tagged(each) for key, each in value.items() if each is not None}
            return {_TAG: ["table", table]} if _TAG in table else table
        case _:
            raise TypeError(f"{type(value).__name__} has no TOML form")


def untagged(value: Any) -> Any:
    """Return the TOML value that ``tagged`` made JSON of; raise ``ValueError`` for anything else."""
    return _untagged(value, 0)


def _untagged(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nests more than {_MAX_DEPTH} deep")
    match value:
        case bool() | int() | str():
            return value
        case list():
            return [_untagged(each, depth + 1) for each in value]
        case dict() if value.keys() == {_TAG}:
            return _tagged_value(value[_TAG], depth)
        case dict() if _TAG not in value:
            return {key: _untagged(each, depth + 1) for key, each in value.items()}
        case _:
            raise ValueError(f"{str(value)[:40]!r} is not a TOML value")


def _tagged_value(value: Any, depth: int) -> Any:
    match value:
        case ["float", str(text)]:
            return -math.nan if text == "-nan" else float(text)
        case ["datetime", str(text)]:
            return datetime.fromisoformat(text)
        case ["date", str(text)]:
            return date.fromisoformat(text)
        case ["time", str(text)]:
            return time.fromisoformat(text)
        case ["table", dict(table)]:
            return {key: _untagged(each, depth + 1) for key, each in table.items()}
        case _:
            raise ValueError(f"{str(value)[:40]!r} is no tagged TOML value")


def _float(number: float) -> str:
    return "-nan" if math.isnan(number) and math.copysign(1, number) < 0 else repr(number)


def _refuse_floats(value: Any) -> None:
    pending = [value]
    while pending:
        each = pending.pop()
        match each:
            case float():
                raise TypeError("a float has no canonical form")
            case Mapping():
                pending.extend(each.values())
            case list() | tuple():
                pending.extend(each)
            case _:
                continue
