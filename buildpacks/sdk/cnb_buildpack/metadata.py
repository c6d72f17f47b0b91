"""The metadata of a layer as a value of its author's type, and back."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from typing import Any, TypeVar

M = TypeVar("M")

_SCALARS = frozenset({str, int, float, bool, date, datetime, time})


class MetadataError(ValueError):
    """A table is not that of the type asked for; the message names the key."""


def to_table(value: Any) -> dict[str, Any]:
    """Return a dataclass instance or mapping as a TOML table; what is ``None`` is left out.

    A field ``python_version`` is the key ``python-version``.  Raises ``TypeError`` for other types.
    """
    table = _plain(value)
    if not isinstance(table, dict):
        raise TypeError(f"layer metadata is a dataclass or a dict, not {type(value).__name__}")
    return table


def from_table(kind: type[M], table: Mapping[str, Any]) -> M:
    """Return the value that ``to_table`` made the table of; ``MetadataError`` says what does not fit."""
    return typing.cast("M", _typed(kind, table, "metadata"))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({each.name.replace("_", "-"): getattr(value, each.name) for each in fields(value)})
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _typed(kind: Any, value: Any, where: str) -> Any:
    container = typing.get_origin(kind) or kind
    arguments = typing.get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if container in {typing.Union, types.UnionType}:
        return _first_fitting(arguments, value, where)
    if container in {list, tuple, Sequence}:
        return _list(container, arguments, value, where)
    if container in {dict, Mapping}:
        each = arguments[1] if arguments else Any
        return {key: _typed(each, item, f"{where}.{key}") for key, item in _table(value, where).items()}
    if container is typing.Literal and value in arguments:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind in _SCALARS and type(value) is kind:
        return value
    raise MetadataError(f"{where} is {value!r}, not {getattr(kind, '__name__', kind)}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise MetadataError(f"{where} is no table")


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    table = _table(value, where)
    hints = typing.get_type_hints(kind)
    known = {each.name.replace("_", "-"): each for each in fields(kind) if each.init}
    if unknown := table.keys() - known.keys():
        raise MetadataError(f"{where} has {', '.join(sorted(unknown))}")
    given = {}
    for key, each in known.items():
        if key in table:
            given[each.name] = _typed(hints[each.name], table[key], f"{where}.{key}")
        elif type(None) in typing.get_args(hints[each.name]):
            # What is None is not written, so what is missing was None, whatever the default is now.
            given[each.name] = None
        elif each.default is MISSING and each.default_factory is MISSING:
            raise MetadataError(f"{where} has no {key}")
    return kind(**given)


def _first_fitting(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    problem = MetadataError(f"{where} is {value!r}")
    for kind in kinds:
        if kind is types.NoneType:
            continue
        try:
            return _typed(kind, value, where)
        except MetadataError as error:
            problem = error
    raise problem


def _list(kind: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise MetadataError(f"{where} is no list")
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != len(value):
            raise MetadataError(f"{where} has {len(value)} elements, not {len(arguments)}")
        return tuple(_typed(each, item, where) for each, item in zip(arguments, value, strict=True))
    each = arguments[0] if arguments else Any
    items = [_typed(each, item, f"{where}[{number}]") for number, item in enumerate(value)]
    return tuple(items) if kind is tuple else items
