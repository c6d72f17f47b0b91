"""pylock.toml as requirements of pip, which checks what it downloads against the hashes in it.

Reference: packaging.python.org, "pylock.toml Specification" (PEP 751).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import cnb_buildpack as bp

if TYPE_CHECKING:
    from pathlib import Path

_GROUPS = re.compile(r"\b(extras|dependency_groups)\b")
_ALGORITHMS = ("sha256", "sha384", "sha512")
_FIX = "lock the app again with a tool that writes lock-version 1.0, as pip lock or uv export --format pylock.toml"


def requirements(path: Path) -> str:
    """Return a line for each package of the lock file; raise ``BuildpackError`` for what no layer can hold."""
    document = bp.read_toml(path)
    if not str(document.get("lock-version", "")).startswith("1."):
        raise bp.BuildpackError(f"{path.name}: lock-version is not 1.0", fix=_FIX)
    packages = document.get("packages", [])
    if not isinstance(packages, list) or not all(isinstance(each, dict) for each in packages):
        raise bp.BuildpackError(f"{path.name}: packages is no list of tables", fix=_FIX)
    lines = [_line(path.name, package) for package in packages]
    return "".join(f"{line}\n" for line in lines if line)


def _line(file_name: str, package: dict[str, Any]) -> str:
    """Return the requirement of one package, empty for the app itself."""
    name = _text(file_name, package, "name")
    where = f"{file_name}: {name}"
    if package.get("directory", {}).get("path") in {".", "./"}:
        return ""
    for kind in ("vcs", "directory"):
        if kind in package:
            raise bp.BuildpackError(f"{where} is from {kind}, of which there is no hash", fix="lock a released version")
    if "archive" in package:
        archive = package["archive"]
        files, pinned = [archive], f"{name} @ {_text(where, archive, 'url')}"
    else:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        pinned = f"{name}=={_text(where, package, 'version')}"
    hashes = sorted({f"--hash={algorithm}:{digest}" for each in files for algorithm, digest in _hashes(where, each)})
    if not hashes:
        raise bp.BuildpackError(f"{where} has no hash", fix=_FIX)
    marker = _text(where, package, "marker") if "marker" in package else ""
    if _GROUPS.search(marker):
        raise bp.BuildpackError(
            f"{where} depends on extras or dependency groups", fix="write a lock file of what the app itself needs"
        )
    return " ".join((pinned, *([f"; {marker}"] if marker else []), *hashes))


def _hashes(where: str, file: dict[str, Any]) -> list[tuple[str, str]]:
    table = file.get("hashes", {})
    return [(algorithm, _text(where, table, algorithm)) for algorithm in _ALGORITHMS if algorithm in table]


def _text(where: str, table: dict[str, Any], key: str) -> str:
    """Return a string that stays on its line, where it can't become an option of pip."""
    value = table.get(key)
    if not isinstance(value, str) or not value or not value.isprintable() or re.search(r"\s--?[a-z]|\\", value):
        raise bp.BuildpackError(f"{where}: {key} is {value!r}, which is none", fix=_FIX)
    return value
