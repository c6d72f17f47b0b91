"""In which files two trees differ, as far as layers show it: names, kinds, modes that count, contents."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 20
_EXECUTE = 0o111


def differing(one: Path, other: Path) -> tuple[str, ...]:
    """Return the paths, relative and sorted, at which two directories differ; raise ``OSError``."""
    left, right = _entries(one), _entries(other)
    return tuple(
        sorted(
            path
            for path in {*left, *right}
            if left.get(path) != right.get(path) or _contents_differ(path, left, one, other)
        )
    )


def _contents_differ(path: str, entries: dict[str, tuple[str, int]], one: Path, other: Path) -> bool:
    return entries[path][0] == "file" and _digest(one / path) != _digest(other / path)


def _entries(root: Path) -> dict[str, tuple[str, int]]:
    """Return kind, and size or a digest of the link's target, of everything below ``root``."""
    found: dict[str, tuple[str, int]] = {}
    pending = [root]
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                name = os.path.relpath(entry.path, root)
                if stat.S_ISDIR(status.st_mode):
                    found[name] = "directory", 0
                    pending.append(directory / entry.name)
                elif stat.S_ISLNK(status.st_mode):
                    target = hashlib.sha256(os.fsencode(os.readlink(entry.path))).digest()  # noqa: PTH115  # an entry
                    found[name] = "link", int.from_bytes(target, "big")
                else:
                    found[name] = "file", status.st_size << 1 | bool(status.st_mode & _EXECUTE)
    return found


def _digest(path: Path) -> bytes:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.digest()
