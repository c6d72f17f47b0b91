"""The TOML files of a buildpack against the keys that its Buildpack API has.

Spec: buildpack.md "Data Format".
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from lifecycle.model.api import BuildpackFeature
from lifecycle.model.ids import is_layer_name
from lifecycle.testing.contracts.breach import Breach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lifecycle.model.api import BuildpackApi

_FREE = None
"""The value of a key below which anything may stand."""
_TYPES = frozenset({"launch", "build", "cache"})
_PLAN: Mapping[str, Any] = {"provides": {"name": {}}, "requires": {"name": {}, "metadata": _FREE}}
_LAYER: Mapping[str, Any] = {"types": {"launch": {}, "build": {}, "cache": {}}, "metadata": _FREE}
_STORE: Mapping[str, Any] = {"metadata": _FREE}
_BUILD: Mapping[str, Any] = {"unmet": {"name": {}}, "bom": {"name": {}, "metadata": _FREE}}


def plan_breaches(text: str) -> Iterator[Breach]:
    """Yield what is wrong with a build plan."""
    spec = 'buildpack.md "Build Plan (TOML)"'
    table = _parsed(text)
    if isinstance(table, str):
        yield Breach(f"the build plan is no TOML: {table}", spec, "write TOML into the file of CNB_BUILD_PLAN_PATH")
        return
    yield from _unknown(table, {**_PLAN, "or": _PLAN}, "the build plan", spec)
    for sections in (table, *_tables(table.get("or"))):
        for kind in ("provides", "requires"):
            for row in _tables(sections.get(kind)):
                if not isinstance(row.get("name"), str) or not row["name"]:
                    yield Breach(
                        f"the build plan has a row of {kind} without a name: {row}", spec, "give each row a name"
                    )


def output_breaches(directory: Path, api: BuildpackApi) -> Iterator[Breach]:
    """Yield what is wrong with the TOML files in a buildpack's layers directory."""
    for path in sorted(directory.glob("*.toml")):
        if not path.is_file():
            continue
        table = _parsed(path.read_bytes().decode(errors="replace"))
        name = path.name.removesuffix(".toml")
        spec = f'buildpack.md "{path.name if not is_layer_name(name) else "Layer Content Metadata"} (TOML)"'
        if isinstance(table, str):
            yield Breach(f"{path.name} is no TOML: {table}", spec, "quote strings and names as TOML wants it")
        elif is_layer_name(name):
            yield from _layer(path.name, table, spec)
        else:
            known = {"launch": _launch(api), "build": _BUILD, "store": _STORE}[name]
            yield from _unknown(table, known, path.name, spec)


def _layer(name: str, table: Mapping[str, Any], spec: str) -> Iterator[Breach]:
    misplaced = sorted(_TYPES & table.keys())
    if misplaced:
        yield Breach(
            f"{name} has {', '.join(misplaced)} outside of [types]", spec, "put the flags below a line [types]"
        )
    yield from _unknown({key: table[key] for key in table.keys() - _TYPES}, _LAYER, name, spec)
    types = table.get("types", {})
    for flag in sorted(_TYPES & types.keys()):
        if not isinstance(types[flag], bool):
            yield Breach(f"{name}: types.{flag} is {types[flag]!r}", spec, "write true or false, without quotes")


def _launch(api: BuildpackApi) -> Mapping[str, Any]:
    process: dict[str, Any] = {"type": {}, "command": {}, "args": {}, "default": {}}
    if BuildpackFeature.COMMAND_LIST not in api:
        process["direct"] = {}
    if BuildpackFeature.WORKING_DIRECTORY in api:
        process["working-dir"] = {}
    if BuildpackFeature.EXEC_ENV in api:
        process["exec-env"] = {}
    return {
        "processes": process,
        "labels": {"key": {}, "value": {}},
        "slices": {"paths": {}},
        "bom": {"name": {}, "metadata": _FREE},
    }


def _parsed(text: str) -> dict[str, Any] | str:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return str(error)


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _unknown(value: object, known: Mapping[str, Any] | None, where: str, spec: str, at: str = "") -> Iterator[Breach]:
    """Yield the keys that the specification does not have: a lifecycle would pass over them without a word."""
    if known is None:
        return
    for row in value if isinstance(value, list) else [value]:
        if not isinstance(row, dict):
            continue
        for key, below in row.items():
            name = f"{at}.{key}" if at else key
            if key not in known:
                remedy = f"known are {', '.join(known) or 'no keys'}; correct or remove it"
                yield Breach(f"{where} has the key {name}, which its Buildpack API does not have", spec, remedy)
            else:
                yield from _unknown(below, known[key], where, spec, name)
