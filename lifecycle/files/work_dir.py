"""Directories for a while, which a process that was killed does not leave for ever: the next of its kind removes them.

Whoever uses one holds its lock, which the kernel takes from a process that is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "cnb-lifecycle."


@contextlib.contextmanager
def work_directory(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a directory in ``parent``, and remove it afterwards, and those of this kind that are abandoned.

    ``parent`` is where temporary files are, unless it is given.

    Raises ``LifecycleError`` where it can't be made.
    """
    prefix = f"{_PREFIX}{kind}."
    try:
        for path in (parent or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
            remove_abandoned(path)
        path, descriptor = _made(prefix, parent)
    except OSError as error:
        where = error.filename or parent or tempfile.tempdir
        raise LifecycleError(f"can't be written: {error.strerror}", where=where) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(path: Path) -> None:
    """Remove a directory of this user that nobody holds the lock of; what can't be removed stays."""
    with contextlib.suppress(OSError):
        descriptor = _opened(path)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _made(prefix: str, parent: Path | None) -> tuple[Path, int]:
    """Make a directory whose lock this process holds; another process may take it for abandoned until then."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            descriptor = _opened(path)
            # Where there are no locks, none of these directories is ever taken for abandoned.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                return path, descriptor
            os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
