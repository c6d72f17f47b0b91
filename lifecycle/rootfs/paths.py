"""Paths inside the file system of an image, whose links lead no further than its root."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_LINKS = 255


def resolved(root: Path, path: str) -> Path:
    """Return where an absolute path of the image leads, on disk; what is missing of it is taken as it is written.

    Raises ``ExtendError`` for a circle of links.
    """
    left = [part for part in reversed(path.split("/")) if part not in {"", "."}]
    found: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            found = found[:-1]
            continue
        here = root.joinpath(*found, part)
        try:
            is_link = stat.S_ISLNK(os.lstat(here).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_link = False
        except OSError as error:
            raise ExtendError(f"can't be looked at: {error.strerror}", where=path) from error
        if not is_link:
            found.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise ExtendError(f"can't be looked at: {os.strerror(errno.ELOOP)}", where=path)
        target = str(here.readlink())
        if target.startswith("/"):
            found = []
        left += [each for each in reversed(target.split("/")) if each not in {"", "."}]
    return root.joinpath(*found)
