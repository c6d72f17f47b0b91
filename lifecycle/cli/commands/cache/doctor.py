"""``lifecycle cache doctor``: whether a place keeps what builders that share a cache take for granted."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cache.distributed.assumptions import Examination, Finding, State
from lifecycle.cache.specification import is_path, read_repository, redacted
from lifecycle.cli.caches.specs import insecure_names
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lifecycle.cli.commands.cache.views import View

_NAME_WIDTH: Final = 12
_STATE_WIDTH: Final = 10
_WIDEST: Final = 120
_INDENT: Final = " " * (2 + _STATE_WIDTH + 2 + _NAME_WIDTH + 2)
_PATIENCE: Final = 20.0
"""Seconds without a sign of the registry."""


def examine(references: Sequence[str], view: View) -> bool:
    """Say of each place what it keeps, one line as soon as it was tried; return whether nothing is missing or unknown.

    Raises ``InvalidInputError``.
    """
    specs = [read_repository(text) for text in references]
    remote = RemoteStores(view.environment, insecure=(*view.insecure, *insecure_names(specs)))
    values = []
    missing = 0
    for spec in specs:
        name = redacted(spec.get("ref"))
        left: tuple[str, ...] = ()
        findings = []
        if not view.as_json:
            view.out.write(f"{name}\n")
        if is_path(spec.get("ref")):
            trials: Iterator[Finding] = directory_findings(Path(spec.get("ref")).absolute())
            examination = None
        else:
            client = remote.cache_client(_PATIENCE)
            examination = Examination(client, parse_reference(spec.get("ref")))
            trials = examination.run()
        for finding in trials:
            findings.append(finding)
            if not view.as_json:
                view.out.write(_shown(finding))
                view.out.flush()
        if examination is not None:
            left = examination.left
        unwell = [finding.state for finding in findings if finding.state in {State.MISSING, State.UNTESTED}]
        missing += len(unwell)
        if not view.as_json:
            view.out.writelines(f"{line}\n" for line in _ending(unwell, left))
        values.append(_value(name, findings, left))
    if view.as_json:
        view.out.write(json.dumps({"caches": values}, indent=2) + "\n")
    return not missing


def directory_findings(path: Path) -> Iterator[Finding]:
    """Yield what a directory keeps; nothing stays in it but the directory itself."""
    place = path / f".doctor-{secrets.token_hex(6)}"
    try:
        place.mkdir(parents=True)
    except OSError as error:
        text = f"can't be written: {error.strerror}"
        yield Finding("access", State.MISSING, text, "builders can't publish here", "choose a directory they can write")
        return
    try:
        yield Finding("access", State.OK, "the directory can be written")
        yield from (_tried(name, trial, place) for name, trial in _TRIALS)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tried(name: str, trial: Callable[[Path], Finding], place: Path) -> Finding:
    try:
        return trial(place)
    except OSError as error:
        consequence = "builders may not agree here, or lose what they agreed on"
        return Finding(name, State.MISSING, f"{error.strerror}", consequence, "use another file system")


def _links(place: Path) -> Finding:
    (place / "one").write_text("1")
    (place / "two").write_text("2")
    os.link(place / "one", place / "name")
    try:
        os.link(place / "two", place / "name")
    except FileExistsError:
        return Finding("links", State.OK, "a name that is there can't be linked a second time")
    return Finding(
        "links",
        State.MISSING,
        "a name was linked twice",
        "half-written names may be seen",
        "use a file system with hard links",
    )


def _listed(place: Path) -> Finding:
    for number in range(20):
        (place / f"n{number}").touch()
        if f"n{number}" not in os.listdir(place):  # noqa: PTH208  # names, not paths
            break
    else:
        return Finding("listing", State.OK, "names are listed as soon as they are there, on this host")
    return Finding(
        "listing",
        State.MISSING,
        "a name was not listed after it had been written",
        "builders may not agree on one outcome",
        "use a file system without caches of directories",
    )


def _cases(place: Path) -> Finding:
    (place / "Case").write_text("1")
    if (place / "case").exists():
        return Finding(
            "names",
            State.MISSING,
            "upper and lower case are the same",
            "names by which builders agree get mixed up",
            "use a file system that tells them apart",
        )
    (place / ("x" * 115)).touch()
    return Finding("names", State.OK, "names may be 115 characters long, and upper and lower case differ")


def _synchronised(place: Path) -> Finding:
    for path, flags in ((place / "one", os.O_RDONLY), (place, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return Finding("fsync", State.OK, "files and directories can be written to the disk")


def _removal(place: Path) -> Finding:
    (place / "two").unlink()
    return Finding("deletion", State.OK, "files can be removed, as lifecycle cache gc does")


_TRIALS: Final = (
    ("links", _links),
    ("listing", _listed),
    ("names", _cases),
    ("fsync", _synchronised),
    ("deletion", _removal),
)


def _value(name: str, findings: Sequence[Finding], left: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "name": each.name,
            "state": "note" if each.state is State.NOTE else each.state,
            "text": each.text,
            "consequence": each.consequence,
            "remedy": each.remedy,
        }
        for each in findings
    ]
    return {"cache": name, "assumptions": rows, "left": list(left)}


def _shown(finding: Finding) -> str:
    width = max(min(shutil.get_terminal_size((100, 24)).columns, _WIDEST) - len(_INDENT), 40)
    first = f"  {finding.state:<{_STATE_WIDTH}}  {finding.name:<{_NAME_WIDTH}}  "
    lines = textwrap.wrap(finding.text, width, break_long_words=False, break_on_hyphens=False)
    for prefix, text in (("so: ", finding.consequence), ("→ ", finding.remedy)):
        if text:
            lines += textwrap.wrap(f"{prefix}{text}", width, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{first if not number else _INDENT}{line}\n" for number, line in enumerate(lines or [""]))


def _ending(unwell: Sequence[State], left: Sequence[str]) -> Iterator[str]:
    if left:
        yield f"  left behind, as it could not be deleted: {', '.join(left)}"
    if untested := unwell.count(State.UNTESTED):
        yield f"  {untested} could not be tried"
    missing = unwell.count(State.MISSING)
    yield (
        f"  {missing} of what shared caches rely on is missing" if missing else "  nothing is missing of what was tried"
    )
