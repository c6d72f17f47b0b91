"""Removing directories in which something may have been mounted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError
from lifecycle.files.ownership import mount_points

if TYPE_CHECKING:
    from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it; a missing one is no error.

    Raises ``LifecycleError``, and removes nothing, where something is mounted in it: what shows there is not its own.
    """
    real = str(path.resolve())
    shown = next((point for point in mount_points() if f"{point}/".startswith(f"{real}/")), None)
    if shown is not None:
        raise LifecycleError("is not removed, because something is mounted there", where=shown, remedy="unmount it")
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LifecycleError(f"can't be removed: {error.strerror}", where=error.filename or path) from error
