"""The digests that the reference gave for each input: kept as data, so that tests need no reference.

``expected.toml`` has a table for each case: its description, how its phases end, for layouts and registries the
config digest of the last build by Platform API, and the diffIDs above the run image, which are the same in both.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from parity.building import Build, Place
from parity.case import Case

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True)
class Outcome:
    """What counts of a case in one Platform API: exit codes, and of the last image its id and diffIDs."""

    codes: tuple[int, ...]
    """Of the phases until the first that fails; of the creator none is kept, for it has to agree."""
    image_id: str = ""
    diff_ids: tuple[str, ...] = ()


def outcome(case: Case, builds: Sequence[Build]) -> Outcome:
    """Return what counts of builds by five phases."""
    last = builds[-1]
    codes = tuple(result.code for result in last.results)
    if last.failed or last.app is None:
        return Outcome(codes)
    return Outcome(codes, last.app.image_id, tuple(last.app.diff_ids[len(case.run_image.layers) :]))


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}


def expected(case: Case, api: str, place: Place) -> Outcome | None:
    """Return what is recorded, ``None`` if nothing is."""
    table = _all().get(case.name, {})
    image_id = table.get(place.value, {}).get(api)
    codes = next((row["codes"] for row in table.get("ends", ()) if api in row["apis"]), None)
    if codes is None:
        return None
    if codes[-1]:
        return Outcome(tuple(codes))
    diff_ids = next(row["sha256"] for row in table["diff-ids"] if api in row["apis"])
    return image_id and Outcome(tuple(codes), f"sha256:{image_id}", tuple(f"sha256:{each}" for each in diff_ids))


def text(cases: Sequence[Case], outcomes: dict[tuple[str, str, Place], Outcome]) -> str:
    """Return the text of ``expected.toml``."""
    lines = [
        "# Made by tests/parity/record.py with the reference's executables: buildpacks/lifecycle 4bd4b13e.",
        "# Digests are SHA-256, in hexadecimal; rows stand for all Platform APIs that they list.",
    ]
    for case in cases:
        found = {key[1:]: value for key, value in outcomes.items() if key[0] == case.name}
        if not found:
            continue
        lines += ["", f"[{case.name}]", f"description = {_quoted(case.description)}"]
        by_api = {api: value for (api, _), value in found.items()}
        ends = _rows({api: value.codes for api, value in by_api.items()})
        lines += ["ends = [", *(f"  {{ apis = {apis}, codes = {list(codes)} }}," for apis, codes in ends), "]"]
        made = {api: value.diff_ids for api, value in by_api.items() if value.diff_ids}
        if made:
            lines.append("diff-ids = [")
            for apis, diff_ids in _rows(made):
                lines += [f"  {{ apis = {apis}, sha256 = [", *(f'    "{each[7:]}",' for each in diff_ids), "  ] },"]
            lines.append("]")
        for place in Place:
            ids = {api: value.image_id for (api, at), value in found.items() if at is place and value.image_id}
            if ids:
                lines += [f"[{case.name}.{place.value}]", *(f'"{api}" = "{each[7:]}"' for api, each in ids.items())]
    return "\n".join([*lines, ""])


def _rows(values: dict[str, Any]) -> list[tuple[str, Any]]:
    rows: dict[Any, list[str]] = {}
    for api, value in values.items():
        rows.setdefault(value, []).append(api)
    return [("[" + ", ".join(_quoted(api) for api in apis) + "]", value) for value, apis in rows.items()]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
