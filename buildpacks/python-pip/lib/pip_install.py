"""Finding pip and running it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHER_PYTHON = re.compile(r"python3(\.\d+)?")
_SINCE = (22, 3)
"""The first pip that installs for another interpreter (``--python``)."""

_UNWANTED = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN")
_SOURCE_DATE_EPOCH = "315532800"
"""1980-01-01, the first moment that a zip file can hold."""


def install(requirements: Path, target: Path, cache_dir: Path, *options: str, name: str | None = None) -> None:
    """Install into ``target`` from whatever index pip is configured for, with pip's output in the log.

    ``name`` is what errors call the requirements.
    """
    command = [
        *find_pip(),
        "install",
        "--no-input",
        "--no-compile",
        "--no-warn-script-location",
        "--progress-bar=off",
        f"--target={target}",
        f"--requirement={requirements}",
        *options,
    ]
    bp.run(command, env=environment(dict(os.environ), cache_dir), name=f"pip install of {name or requirements.name}")


def environment(inherited: dict[str, str], cache_dir: Path) -> dict[str, str]:
    """Return the environment for pip: settings stay, but for those that would install to another place."""
    return {
        "SOURCE_DATE_EPOCH": _SOURCE_DATE_EPOCH,
        **{name: value for name, value in inherited.items() if name not in _UNWANTED},
        "PIP_CACHE_DIR": str(cache_dir),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def find_pip() -> list[str]:
    """Return the command that is pip for this interpreter, if need be the pip of another python3 on PATH."""
    if _pip_version(sys.executable):
        return [sys.executable, "-m", "pip"]
    for other in _other_pythons():
        if _pip_version(other) >= _SINCE:
            return [other, "-m", "pip", "--python", sys.executable]
    raise bp.BuildpackError(
        f"{sys.executable} has no pip, nor has another python3 on PATH one of version"
        f" {'.'.join(map(str, _SINCE))} or newer",
        fix="install it (Debian, Ubuntu: apt-get install python3-pip; others: python3 -m ensurepip) or build with a"
        " Python that has it first on PATH",
    )


def _other_pythons() -> Iterator[str]:
    seen = {Path(sys.executable)}
    for directory in filter(None, os.environ.get("PATH", os.defpath).split(os.pathsep)):
        try:
            files = sorted(Path(directory).iterdir())
        except OSError:
            continue
        for path in files:
            if _OTHER_PYTHON.fullmatch(path.name) and path not in seen and os.access(path, os.X_OK):
                seen.add(path)
                yield str(path)


def _pip_version(python: str) -> tuple[int, ...]:
    """Return the version of an interpreter's pip, ``()`` if it has none."""
    try:
        answer = bp.capture([python, "-m", "pip", "--version"])
    except bp.CommandError:
        return ()
    found = re.match(r"pip (\d+)\.(\d+)", answer)
    return tuple(map(int, found.groups())) if found else ()
