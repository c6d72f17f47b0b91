"""Directories that are the same wherever and whenever they were made."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def tree_digest(*paths: Path) -> str:
    """Return the SHA-256, in hexadecimal, of files and directories.

    Names, contents, targets of links and who may run count, as does the order of the paths; where the paths are,
    times and owners do not.  A path that does not exist differs from an empty file.  Raises ``OSError`` for what
    can't be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        _update(digest, "root", path.name.encode(errors="surrogateescape"))
        for each in _members(path):
            name = str(each.relative_to(path)).encode(errors="surrogateescape")
            if each.is_symlink():
                _update(digest, "link", name, str(each.readlink()).encode(errors="surrogateescape"))
            elif each.is_dir():
                _update(digest, "directory", name)
            elif each.is_file():
                kind = "program" if each.stat().st_mode & 0o100 else "file"
                _update(digest, kind, name, _contents(each))
            else:
                _update(digest, "other", name)
    return digest.hexdigest()


def remove_bytecode(root: Path) -> None:
    """Remove what Python compiled: it holds the times of its sources."""
    for directory in [path for path in root.rglob("__pycache__") if path.is_dir() and not path.is_symlink()]:
        shutil.rmtree(directory)


def normalise_modes(root: Path) -> None:
    """Give all below a directory the modes 755 or 644, whatever umask made it."""
    for path in _members(root):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _members(path: Path) -> Iterator[Path]:
    """Yield a path and all below it, sorted, without following links."""
    if not path.is_symlink() and not path.exists():
        return
    yield path
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir(), key=_name):
            yield from _members(child)


def _name(path: Path) -> bytes:
    return path.name.encode(errors="surrogateescape")


def _contents(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _update(digest: hashlib._Hash, kind: str, *parts: bytes) -> None:
    for part in (kind.encode(), *parts):
        digest.update(b"%d:" % len(part))
        digest.update(part)
