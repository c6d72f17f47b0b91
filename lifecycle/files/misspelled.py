"""Keys of a file that nobody reads and that look like one that is read.

The specification lets unknown keys be, so this is no error; a key that is a letter off is hardly ever meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from lifecycle.files.explanation import key_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ALIKE = 0.8
"""How much of two keys has to agree, by ``difflib``."""

_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def misspelled(
    model: type[BaseModel], table: Mapping[str, Any], at: tuple[str | int, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the path of each key of ``table`` that is probably misspelled, and the key that was meant."""
    fields = {_toml_key(field.alias or name): field for name, field in model.model_fields.items()}
    absent = fields.keys() - {key.lower() for key in table}
    for key, value in table.items():
        field = fields.get(key.lower())
        if field is None:
            for meant in _alike(key.lower(), absent):
                yield key_path((*at, key)), meant
            continue
        inner = _table_model(field.annotation)
        if inner is None:
            continue
        rows = enumerate(value) if isinstance(value, list) else ((None, value),)
        for index, row in rows:
            if isinstance(row, Mapping):
                yield from misspelled(inner, row, (*at, key) if index is None else (*at, key, index))


def _toml_key(alias: str) -> str:
    """Return a key as TOML files have it, where the model has that of a label: ``run-image`` for ``runImage``."""
    return _NEXT_WORD.sub("-", alias).lower()


def _alike(key: str, known: Iterable[str]) -> list[str]:
    """Return the one that is most like a key, if any is."""
    import difflib  # noqa: PLC0415  # few files have a key that is unknown

    return difflib.get_close_matches(key, sorted(known), n=1, cutoff=_ALIKE)


def _table_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field's tables: of itself, of the elements of an array, of what may be missing.

    The keys of a table of tables, as ``layers`` is one, are names.
    """
    if get_origin(annotation) is dict:
        return None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_model, get_args(annotation))), None)
