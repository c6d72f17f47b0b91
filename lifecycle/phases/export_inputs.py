"""What an export needs to know.  Spec: platform.md "Exporter" (inputs)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.layers.source import PathMapping
from lifecycle.model.project import ProjectMetadata
from lifecycle.model.run import Run, Stack

if TYPE_CHECKING:
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import BuildMetadata, LauncherSource
    from lifecycle.model.group import Group

LIFECYCLE_DIR = Path("/cnb/lifecycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInputs:
    """The files and choices that an app image is made of.

    ``layers_dir`` and ``app_dir`` are absolute; ``image_layers_dir`` and ``image_app_dir`` are their places
    in the image where those differ.  ``uid`` and ``gid`` own the layers of buildpacks and app; the
    directories above them keep their owners from disk unless ``normalise_ancestors``.  ``source_date_epoch``
    is the text of that variable. A ``launcher_sbom_dir`` other than ``lifecycle_dir`` is a custom one; platforms
    without a directory of the lifecycle have none.
    """

    api: PlatformApi
    names: tuple[str, ...]
    layers_dir: Path
    app_dir: Path
    group: Group
    build_metadata: BuildMetadata
    analyzed: Analyzed
    launcher: LauncherSource
    uid: int
    gid: int
    image_layers_dir: PurePosixPath | None = None
    image_app_dir: PurePosixPath | None = None
    normalise_ancestors: bool = False
    run: Run = field(default_factory=Run)
    stack: Stack = field(default_factory=Stack)
    project_metadata: ProjectMetadata = field(default_factory=ProjectMetadata)
    launcher_path: Path = LIFECYCLE_DIR / "launcher"
    launcher_sbom_dir: Path = LIFECYCLE_DIR
    lifecycle_dir: Path | None = LIFECYCLE_DIR
    process_type: str = ""
    source_date_epoch: str | None = None
    exec_env: str = "production"

    @property
    def layers_mapping(self) -> PathMapping:
        """Where the layers directory is on disk and in the image."""
        return self._mapping(self.layers_dir, self.image_layers_dir)

    @property
    def app_mapping(self) -> PathMapping:
        """Where the app directory is on disk and in the image."""
        return self._mapping(self.app_dir, self.image_app_dir)

    def _mapping(self, disk: Path, image: PurePosixPath | None) -> PathMapping:
        return PathMapping(disk, image or PurePosixPath(disk), self.normalise_ancestors)
