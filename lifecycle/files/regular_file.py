"""Reading what should be a file, where a buildpack may have put something else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from lifecycle.errors import InvalidFileError

if TYPE_CHECKING:
    from pathlib import Path


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, through links; raise ``InvalidFileError`` for anything but a file.

    It doesn't wait for the other end of a named pipe, which may never come.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidFileError("is not a file", where=path)
    return os.fdopen(descriptor, "rb")


def read_at_most(path: Path, limit: int) -> bytes | None:
    """Return the content of a file, ``None`` if it has more than ``limit`` bytes; raises as ``open_file``."""
    with open_file(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    return data if len(data) <= limit else None
