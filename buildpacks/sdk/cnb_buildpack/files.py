"""Files of the specification: read with a clear error, written whole or not at all."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.toml_encoder import toml_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_toml(path: Path) -> dict[str, Any]:
    """Return the document; raise ``BuildpackError`` if it is malformed and ``FileNotFoundError`` if it isn't there."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BuildpackError(f"{path}: not valid TOML: {error}") from None


def write_toml(path: Path, table: Mapping[str, Any]) -> None:
    """Write the document atomically."""
    write_atomic(path, toml_text(table).encode())


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file that readers see whole or, if this fails, as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Remove a file, a link or a directory with all that is in it, if it is there, whatever its modes are."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    # Some tools leave directories in which nobody may write, as the module cache of Go has them.
    path.chmod(path.stat().st_mode | 0o700)
    for child in path.iterdir():
        remove(child)
    path.rmdir()


def child_name(name: str, what: str) -> str:
    """Return ``name`` if it is that of a direct child; raise ``BuildpackError`` if it leads elsewhere."""
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise BuildpackError(f"{what} {name!r} is not a file name", fix="use a name without slashes")
    return name
