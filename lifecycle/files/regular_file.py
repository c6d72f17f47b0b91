"""Reading what should be a file, where a buildpack may have put something else."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from lifecycle.errors import InvalidFileError

if TYPE_CHECKING:
    from pathlib import Path


class NotAFileError(OSError):
    """What is there is a directory, a named pipe, or another thing that is no file."""


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, through links; raise ``InvalidFileError`` for anything but a file.

    It doesn't wait for the other end of a named pipe, which may never come.
    """
    try:
        return open_regular(path)
    except NotAFileError as error:
        raise InvalidFileError("is not a file", where=path) from error
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error


def open_regular(path: Path) -> BinaryIO:
    """Open a file as ``open_file`` does, but raise ``OSError``, ``NotAFileError`` for anything but a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(errno.EINVAL, "is not a file", path)
    return os.fdopen(descriptor, "rb")


def read_at_most(path: Path, limit: int) -> bytes | None:
    """Return the content of a file, ``None`` if it has more than ``limit`` bytes; raises as ``open_file``."""
    with open_file(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    return data if len(data) <= limit else None
