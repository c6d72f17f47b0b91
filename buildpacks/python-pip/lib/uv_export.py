"""uv.lock as requirements of pip, which checks what it downloads against the hashes in it.

Reference: docs.astral.sh/uv, "Exporting a lockfile".
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pip_install

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "0.13.9"
"""The uv that reads the lock file where the build image has none."""

_HASHES = (
    "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",
    "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
)
"""SHA-256 of its wheels for Linux: arm64, amd64 with glibc, arm64 with a newer glibc, amd64 with musl."""


_PATH = re.compile(r"(?:\.{1,2}(?:[/\s]|$)|/|file:).*")
"""A requirement that is a directory or file, as opposed to a package of an index."""


@dataclass(frozen=True, slots=True)
class Export:
    """Lines of requirements: those ``locked`` have hashes, those ``own`` are paths relative to the app."""

    locked: str
    own: tuple[str, ...]


def has_own(app_dir: Path) -> bool:
    """Say whether the lock has packages that are built of the app's own files: the app itself, a workspace."""
    packages = bp.read_toml(app_dir / "uv.lock").get("package", [])
    return any({"editable", "directory"} & each.get("source", {}).keys() for each in packages)


def export(app_dir: Path, uv: str, environment: Mapping[str, str]) -> Export:
    """Return what the app needs to run, without groups for development.

    Raises ``BuildpackError`` for a package from outside of the app.
    """
    settings = {"UV_OFFLINE": "1", "UV_NO_CACHE": "1", "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    text = bp.capture(
        [uv, "export", "--frozen", "--no-dev", "--no-editable", "--no-header", "--no-annotate", "--quiet"],
        cwd=app_dir,
        env={**environment, **settings},
        fix="check with 'uv lock --check' that uv.lock is that of pyproject.toml",
    )
    lines = text.splitlines()
    own = tuple(line for line in lines if _PATH.fullmatch(line))
    outside = [line for line in own if not line.startswith(".") or ".." in re.split(r"[/\s]", line)]
    if outside:
        raise bp.BuildpackError(
            f"uv.lock has packages from outside of the app: {', '.join(outside)}",
            fix="publish them or move them into the app, for nothing else is there when it is built",
        )
    return Export("".join(f"{line}\n" for line in lines if line not in own), own)


def on_path(environment: Mapping[str, str]) -> str | None:
    """Return the uv of the build image."""
    return shutil.which("uv", path=environment.get("PATH"))


def install(target: Path, cache_dir: Path) -> str:
    """Install uv from the index that pip is configured for, unless it is there; return its path."""
    program = target / "bin" / "uv"
    if program.is_file():
        return str(program)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "uv.txt")
        wanted.write_text(" ".join((f"uv=={VERSION}", *(f"--hash=sha256:{each}" for each in _HASHES))) + "\n")
        pip_install.install(wanted, target, cache_dir, "--no-deps", "--only-binary=uv")
    return str(program)
