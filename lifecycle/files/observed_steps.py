"""The file in the layers directory that tells the export what the build saw of its steps."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from lifecycle.errors import CacheError
from lifecycle.files.atomic import write_atomic
from lifecycle.model.observed_step import dumps, loads

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.model.observed_step import ObservedStep

FILE_NAME = "cache-steps.json"
"""Its name; of the layers directory, an export takes subdirectories only."""

_LOG = logging.getLogger(__name__)


def save_observed(layers_dir: Path, steps: tuple[ObservedStep, ...]) -> None:
    """Write what a build saw."""
    write_atomic(layers_dir / FILE_NAME, dumps(steps))


def remove_observed(layers_dir: Path) -> None:
    """Take away what another build saw."""
    with contextlib.suppress(OSError):
        (layers_dir / FILE_NAME).unlink(missing_ok=True)


def load_observed(layers_dir: Path) -> tuple[ObservedStep, ...]:
    """Return what a build saw of its steps; without it they have no keys, which is no failure."""
    path = layers_dir / FILE_NAME
    try:
        return loads(path.read_bytes(), where=str(path))
    except OSError:
        _LOG.debug("%s is not there: the steps of this build have no keys", path)
    except CacheError as error:
        _LOG.warning("Not using what the build saw of its steps: %s", error)
    return ()
