"""How two JSON documents differ, value by value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.differences.texts import shown
from lifecycle.errors import CorruptImageError
from lifecycle.oci.gojson import loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NAMES: Final = ("id", "key", "type", "name")
"""Fields by which the objects of a list are told apart, if each has one of its own."""

ORDER: Final = "(order)"
"""The last part of the path of a list that has the same elements in another order."""

Path = tuple[str, ...]


class Absent(Enum):
    """No value, which is something else than ``null``."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """A value that is not the same on both sides, or ``ABSENT`` on one; ``path`` has keys, and elements as ``[0]``."""

    path: Path
    first: Any
    second: Any


def read_document(data: bytes, *, where: str) -> dict[str, Any]:
    """Return a JSON object; raise ``CorruptImageError`` for anything else."""
    try:
        value = loads(data.decode("utf-8", "replace"))
    except ValueError as error:
        raise CorruptImageError(f"is not JSON: {error}", where=where) from error
    if not isinstance(value, dict):
        raise CorruptImageError("is not a JSON object", where=where)
    return value


def differences(first: Any, second: Any, path: Path = ()) -> Iterator[ValueDifference]:
    """Yield the innermost values that differ, keys in order; a number is not a boolean.

    Elements of lists are compared by their names where all have one, else by their places, those that both lists begin
    or end with aside.
    """
    match first, second:
        case dict(), dict():
            for key in sorted(first.keys() | second.keys()):
                yield from differences(first.get(key, ABSENT), second.get(key, ABSENT), (*path, key))
        case list(), list():
            yield from _of_lists(first, second, path)
        case _:
            if type(first) is not type(second) or first != second:
                yield ValueDifference(path, first, second)


def path_text(path: Iterable[str]) -> str:
    """Return a path as one text: ``config.Env[2]``."""
    text = ""
    for part in path:
        text += part if not text or part.startswith("[") else f".{part}"
    return shown(text)


def _of_lists(first: list[Any], second: list[Any], path: Path) -> Iterator[ValueDifference]:
    names = _names(first, second)
    if names is not None:
        yield from _of_named(first, second, path, *names)
        return
    start = _common(first, second)
    end = _common(first[start:][::-1], second[start:][::-1])
    one, other = first[start : len(first) - end], second[start : len(second) - end]
    for at in range(max(len(one), len(other))):
        left = one[at] if at < len(one) else ABSENT
        right = other[at] if at < len(other) else ABSENT
        yield from differences(left, right, (*path, f"[{start + at}]"))


def _of_named(
    first: list[Any], second: list[Any], path: Path, one: list[str], other: list[str]
) -> Iterator[ValueDifference]:
    left, right = dict(zip(one, first, strict=True)), dict(zip(other, second, strict=True))
    for name in dict.fromkeys((*sorted(left), *sorted(right))):
        yield from differences(left.get(name, ABSENT), right.get(name, ABSENT), (*path, f"[{name}]"))
    yield from order_difference(one, other, path)


def order_difference(one: Sequence[str], other: Sequence[str], path: Path) -> Iterator[ValueDifference]:
    """Yield a difference if what both lists name stands in another order."""
    common = [name for name in one if name in set(other)]
    placed = [name for name in other if name in set(one)]
    if common != placed:
        yield ValueDifference((*path, ORDER), common, placed)


def _names(first: list[Any], second: list[Any]) -> tuple[list[str], list[str]] | None:
    for field in _NAMES:
        one, other = (_named(side, field) for side in (first, second))
        if (first or second) and one is not None and other is not None:
            return one, other
    return None


def _named(elements: list[Any], field: str) -> list[str] | None:
    names = [name for each in elements if isinstance(each, dict) and isinstance(name := each.get(field), str) and name]
    return names if len(set(names)) == len(elements) else None


def _common(first: list[Any], second: list[Any]) -> int:
    """Return how many elements both begin with."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if not _same(one, other):
            return at
    return min(len(first), len(second))


def _same(first: Any, second: Any) -> bool:
    """Say whether ``differences`` would yield nothing, in time that grows with the values and not with their depth."""
    match first, second:
        case dict(), dict():
            return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
        case list(), list():
            return len(first) == len(second) and all(map(_same, first, second))
        case _:
            return type(first) is type(second) and bool(first == second)
