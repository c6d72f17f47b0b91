"""Directories whose files are environment variables.

Spec: buildpack.md "Provided by the Buildpacks", platform.md "User-Provided Variables".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.rules.environment import SEARCH_PATHS, LayerEnvironment

if TYPE_CHECKING:
    from pathlib import Path

_MAX_VALUE = 16 * 1024 * 1024


def read_env_dir(directory: Path) -> dict[str, str]:
    """Return the files of a directory by name, contents unmodified; a missing directory is empty.

    Directories are passed over, links to files are read.  Raises ``InvalidFileError`` for what can't be read.
    """
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: os.fsencode(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=directory) from error
    return {entry.name: _value(directory / entry.name) for entry in entries if not entry.is_dir()}


def read_layer_environment(layer_dir: Path) -> LayerEnvironment:
    """Return what a build layer contributes to the environment of later buildpacks."""
    return LayerEnvironment(
        search_paths={name: str(layer_dir / name) for name in SEARCH_PATHS if (layer_dir / name).is_dir()},
        files=(read_env_dir(layer_dir / "env"), read_env_dir(layer_dir / "env.build")),
    )


def _value(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_VALUE + 1)
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    if len(data) > _MAX_VALUE:
        raise InvalidFileError(f"is longer than {_MAX_VALUE} bytes", where=path)
    if b"\x00" in data:
        raise InvalidFileError("holds a NUL byte, which no variable can hold", where=path)
    return os.fsdecode(data)
