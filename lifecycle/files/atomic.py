"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_atomic(path: Path, data: bytes | Iterable[bytes], *, fsync: bool = True) -> None:
    """Write a file, and the directories it lies in, under a temporary name and rename it.

    Modes are 0666 and 0777 less the umask.  A symlink at ``path`` is replaced, never followed: phases write
    as root to directories that buildpacks own.  On ``LifecycleError`` the file is what it was before.
    """
    temporary = path.parent / f".tmp-{secrets.token_hex(8)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, [data] if isinstance(data, bytes) else data, fsync=fsync)
        try:
            temporary.replace(path)
        except BaseException:
            _remove(temporary)
            raise
        if fsync:
            sync_directory(path.parent)
    except OSError as error:
        raise LifecycleError(f"can't be written: {error.strerror}", where=path) from error


def _write(path: Path, chunks: Iterable[bytes], *, fsync: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
            file.writelines(chunks)
            if fsync:
                file.flush()
                os.fsync(descriptor)
    except BaseException:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, where its file system does that: some of networks sync files only."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
