"""The file in the layers directory that tells the export what the build saw of its steps."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from lifecycle.errors import CacheError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.half_replaced import HalfReplaced
from lifecycle.files.regular_file import read_at_most
from lifecycle.model.observed_step import dumps, loads

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.model.observed_step import ObservedStep

FILE_NAME = "cache-steps.json"
"""Its name; of the layers directory, an export takes subdirectories only."""

_LOG = logging.getLogger(__name__)
_LARGEST = 16 * 1024 * 1024


def save_observed(layers_dir: Path, steps: tuple[ObservedStep, ...]) -> None:
    """Write what a build saw; where that fails the steps have no keys, which is no failure of the build."""
    try:
        write_atomic(layers_dir / FILE_NAME, dumps(steps))
    except LifecycleError as error:
        _LOG.warning("The steps of this build have no keys: %s", error)


def remove_observed(layers_dir: Path) -> None:
    """Take away what another build saw."""
    with contextlib.suppress(OSError):
        (layers_dir / FILE_NAME).unlink(missing_ok=True)
    HalfReplaced(layers_dir).end()


def load_observed(layers_dir: Path) -> tuple[ObservedStep, ...]:
    """Return what a build saw of its steps; without it they have no keys, which is no failure."""
    path = layers_dir / FILE_NAME
    if not path.is_symlink() and not path.exists():
        _LOG.debug("%s is not there: the steps of this build have no keys", path)
        return ()
    try:
        # Buildpacks can put anything here.
        data = read_at_most(path, _LARGEST)
        if data is None:
            raise CacheError(f"is larger than {_LARGEST // 2**20} MiB", where=path)
        return loads(data, where=str(path))
    except LifecycleError as error:
        _LOG.warning("Not using what the build saw of its steps: %s", error)
    return ()
