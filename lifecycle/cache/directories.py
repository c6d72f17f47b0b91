"""Directories that several processes replace: one lock, unique staging, an exchange in one step.

A killed process leaves nothing that the next one does not clear up, and never a moment without a whole
directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.files.atomic import sync_directory
from lifecycle.files.regular_file import NotAFileError
from lifecycle.files.work_dir import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".lock"
_STAGING = "staging-"
_BACKUP_SUFFIX = "-backup"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_SUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP})
_RENAMEAT2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the directory ``path``; a killed holder loses it.

    Raises ``OSError`` where it can't be had, ``NotAFileError`` for what is no file in its place.
    """
    # Read-only, because a former process may have made the file as another user.
    flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path / _LOCK, flags, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFileError(errno.EINVAL, "is not a file", path / _LOCK)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Staging:
    """A new directory beside the one that it will replace, in use as long as a process holds its lock."""

    def __init__(self, parent: Path) -> None:
        """Create it; the caller holds the lock of ``parent``, lest it looks abandoned before it is locked."""
        self.path = Path(tempfile.mkdtemp(prefix=_STAGING, dir=parent))
        self._descriptor: int | None = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path.chmod(0o755)

    def remove(self) -> None:
        """Remove what lies there now: after an exchange, the old directory.  Harmless when repeated."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            shutil.rmtree(self.path, ignore_errors=True)


def remove_abandoned_staging(parent: Path) -> None:
    """Remove the staging directories of killed processes; the caller holds the lock of ``parent``."""
    for path in parent.glob(f"{_STAGING}*"):
        remove_abandoned(path)


def replace_directory(current: Path, new: Path) -> None:
    """Put ``new`` in the place of ``current``; where the system can, the old directory ends up as ``new``.

    The caller holds the lock of the directory around them.
    """
    recover_directory(current)
    if not current.exists():
        new.rename(current)
    elif not exchange(new, current):
        _replace_in_two_steps(current, new)
    sync_directory(current.parent)


def recover_directory(current: Path) -> None:
    """Undo or finish a replacement in two steps that was cut short.  The caller holds the lock.

    Reference: it renames the same way, but loses the content when it is killed between its two steps.
    """
    backup = _backup(current)
    if not backup.exists():
        return
    if current.exists():
        shutil.rmtree(backup, ignore_errors=True)
    else:
        backup.rename(current)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths swap what they name, in one step; ``False`` where system or file system can't."""
    if _RENAMEAT2 is None:
        return False
    if _RENAMEAT2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(one))


def _replace_in_two_steps(current: Path, new: Path) -> None:
    backup = _backup(current)
    current.rename(backup)
    try:
        new.rename(current)
    except OSError:
        backup.rename(current)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _backup(current: Path) -> Path:
    return current.with_name(current.name + _BACKUP_SUFFIX)
