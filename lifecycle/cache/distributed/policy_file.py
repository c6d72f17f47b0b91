"""What is kept, as people write it: the member ``cleanup`` of werf's configuration, in TOML or JSON.

``keepImagesBuiltWithinLastNHours``, and ``keepPolicies`` with ``references`` (``tag`` or ``branch``, ``limit``) and
``imagesPerReference``; limits have ``last``, ``in`` and ``operator``.  Defaults are those of werf's documentation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from lifecycle.cache.distributed.retention import HOUR, KeepPolicy, Limit, Policy, ReferenceKind
from lifecycle.errors import InvalidFileError

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": HOUR, "d": 24 * HOUR, "w": 168 * HOUR}
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|[smhdw])")
_OPERATORS: Final = {"and": False, "or": True}


def read_policy(value: object, policy: Policy, *, where: str) -> Policy:
    """Return ``policy`` with what a file says instead; raise ``InvalidFileError``."""
    table = _table(value, where, "the policy")
    cleanup = _table(table.get("cleanup", table), where, "cleanup")
    _known(cleanup, {"keepImagesBuiltWithinLastNHours", "keepPolicies", "cleanup"}, where, "cleanup")
    hours = cleanup.get("keepImagesBuiltWithinLastNHours")
    if hours is not None:
        if isinstance(hours, bool) or not isinstance(hours, int | float) or hours < 0:
            raise InvalidFileError(f"keepImagesBuiltWithinLastNHours is {hours!r}, not a number of hours", where=where)
        policy = replace(policy, keep_within=hours * HOUR)
    rows = cleanup.get("keepPolicies")
    if rows is not None:
        if not isinstance(rows, list):
            raise InvalidFileError("keepPolicies is not a list", where=where)
        policy = replace(policy, policies=tuple(_policy(row, where, number) for number, row in enumerate(rows, 1)))
    return policy


def seconds(text: object) -> float | None:
    """Return the seconds of a duration such as ``168h`` or ``1h30m``, ``None`` where it is none."""
    if not isinstance(text, str) or not text or _PART.sub("", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _policy(value: object, where: str, number: int) -> KeepPolicy:
    what = f"keepPolicies[{number}]"
    table = _table(value, where, what)
    _known(table, {"references", "imagesPerReference"}, where, what)
    references = _table(table.get("references"), where, f"{what}.references")
    _known(references, {"tag", "branch", "limit"}, where, f"{what}.references")
    kinds = [kind for kind in ReferenceKind if kind in references]
    if len(kinds) != 1 or not isinstance(references[kinds[0]], str):
        raise InvalidFileError(
            f"{what}.references needs either tag or branch, a name or /regular expression/", where=where
        )
    name = references[kinds[0]]
    try:
        re.compile(name[1:-1] if name.startswith("/") and name.endswith("/") else "")
    except re.error as error:
        raise InvalidFileError(
            f"{what}.references: {name} is not a regular expression: {error}", where=where
        ) from error
    return KeepPolicy(
        kinds[0],
        name,
        _limit(references.get("limit"), where, f"{what}.references.limit"),
        _limit(table.get("imagesPerReference"), where, f"{what}.imagesPerReference"),
    )


def _limit(value: object, where: str, what: str) -> Limit:
    table = _table({} if value is None else value, where, what)
    _known(table, {"last", "in", "operator"}, where, what)
    last, within, operator = table.get("last"), table.get("in"), table.get("operator", "And")
    if last is not None and (isinstance(last, bool) or not isinstance(last, int)):
        raise InvalidFileError(f"{what}.last is {last!r}, not a whole number", where=where)
    if within is not None and seconds(within) is None:
        raise InvalidFileError(f"{what}.in is {within!r}, not a duration such as 168h", where=where)
    if not isinstance(operator, str) or operator.lower() not in _OPERATORS:
        raise InvalidFileError(f"{what}.operator is {operator!r}, neither And nor Or", where=where)
    # As there: -1 is no bound.
    return Limit(None if last is None or last < 0 else last, seconds(within), _OPERATORS[operator.lower()])


def _table(value: object, where: str, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFileError(f"{what} is not a table", where=where)
    return value


def _known(table: dict[str, Any], names: set[str], where: str, what: str) -> None:
    for name in table:
        if name not in names:
            raise InvalidFileError(
                f"{what} has no member {name!r}", where=where, remedy=f"use {', '.join(sorted(names - {'cleanup'}))}"
            )
