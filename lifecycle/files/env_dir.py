"""Directories whose files are environment variables.

Spec: buildpack.md "Provided by the Buildpacks", platform.md "User-Provided Variables".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.regular_file import read_at_most
from lifecycle.rules.environment import SEARCH_PATHS, LayerEnvironment

if TYPE_CHECKING:
    from pathlib import Path

_MAX_VALUE = 16 * 1024 * 1024


def read_env_dir(directory: Path) -> dict[str, str]:
    """Return the files of a directory by name, contents unmodified; a missing directory is empty.

    Directories are passed over, links to files are read.  Raises ``InvalidFileError`` for what can't be read
    and what can't be a variable.
    """
    try:
        with os.scandir(directory) as entries:
            names = sorted((entry.name for entry in entries if not entry.is_dir()), key=os.fsencode)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=error.filename or directory) from error
    return {name: _value(directory / name) for name in names}


def read_layer_environment(layer_dir: Path) -> LayerEnvironment:
    """Return what a build layer contributes to the environment of later buildpacks.

    Spec: buildpack.md "Layer Paths", "Provided by the Buildpacks".
    """
    try:
        present = {name: str(layer_dir / name) for name in SEARCH_PATHS if (layer_dir / name).is_dir()}
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=error.filename) from error
    return LayerEnvironment(
        search_paths=present, files=(read_env_dir(layer_dir / "env"), read_env_dir(layer_dir / "env.build"))
    )


def _value(path: Path) -> str:
    if "=" in path.name:
        raise InvalidFileError("the name of a variable can't hold '='", where=path, remedy="rename the file")
    data = read_at_most(path, _MAX_VALUE)
    if data is None:
        raise InvalidFileError(f"is longer than {_MAX_VALUE // 2**20} MiB", where=path)
    if b"\x00" in data:
        raise InvalidFileError("holds a NUL byte, which no variable can hold", where=path)
    return os.fsdecode(data)
