"""The mark of a layers directory in which an exporter replaces what buildpacks left.

Several directories and metadata.toml have to go together; an exporter that is killed meanwhile leaves the mark, and
no image is made of what lies there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "cache-replacing"


class HalfReplaced:
    """The mark in ``layers_dir``."""

    def __init__(self, layers_dir: Path) -> None:
        self._path = layers_dir / FILE_NAME

    def begin(self) -> None:
        """Leave the mark; raise ``LifecycleError``."""
        write_atomic(self._path, b"an exporter replaces steps of this build\n")

    def end(self) -> None:
        """Take it away: all that belongs together is there, or a new build begins."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def check_not_half_replaced(layers_dir: Path) -> None:
    """Raise ``InvalidFileError`` if an exporter left the mark."""
    path = layers_dir / FILE_NAME
    if path.is_symlink() or path.exists():
        raise InvalidFileError(
            "an exporter ended while it replaced steps of this build by those of other builders",
            where=path,
            remedy="run restorer, builder and exporter again",
        )
