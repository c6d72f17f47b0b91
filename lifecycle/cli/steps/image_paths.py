"""Where an image has the directories of a build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class ImagePaths:
    """Where the image has its directories, if that differs from the disk."""

    layers_dir: PurePosixPath | None = None
    app_dir: PurePosixPath | None = None
    normalise_ancestors: bool = False


IN_PLACE = ImagePaths()
