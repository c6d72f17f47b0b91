"""The SBOM files that describe lifecycle and launcher, put beside those of the build.

Spec: platform.md "Exporter", launch SBOM and build SBOM.  Reference: names of files and messages.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.files.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_EXTENSIONS = ("sbom.cdx.json", "sbom.spdx.json", "sbom.syft.json")
_LIFECYCLE = "buildpacksio_lifecycle"


def copy_lifecycle_sboms(layers_dir: Path, *, lifecycle_dir: Path | None, launcher_sbom_dir: Path) -> None:
    """Copy the SBOM files of the lifecycle to the build's and those of the launcher to the launch SBOM.

    A missing file in ``lifecycle_dir`` is worth a warning, unless there is no such directory (``None``).  From a
    custom ``launcher_sbom_dir`` every SBOM file is taken under its own name; raises ``ExportError`` when that
    directory can't be read.
    """
    if lifecycle_dir is not None:
        _copy_component("lifecycle", lifecycle_dir, layers_dir / "sbom" / "build" / _LIFECYCLE)
    launcher = layers_dir / "sbom" / "launch" / _LIFECYCLE / "launcher"
    if launcher_sbom_dir == lifecycle_dir:
        _copy_component("launcher", launcher_sbom_dir, launcher)
    else:
        _copy_all(launcher_sbom_dir, launcher)


def _copy_component(component: str, source: Path, destination: Path) -> None:
    for extension in _EXTENSIONS:
        name = f"{component}.{extension}"
        if not (source / name).exists():
            _LOG.warning("Did not find SBOM %s in %s", name, source)
            continue
        _LOG.debug("Copying SBOM %s to %s", name, destination / extension)
        _copy(source / name, destination / extension)


def _copy_all(source: Path, destination: Path) -> None:
    try:
        names = sorted(path.name for path in source.iterdir())
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"failed to copy buildpacksio SBOMs: {error.strerror}",
            where=error.filename,
            remedy="give a directory with -launcher-sbom",
        ) from error
    for name in names:
        if name.endswith(_EXTENSIONS):
            _copy(source / name, destination / name)


def _copy(source: Path, destination: Path) -> None:
    try:
        with source.open("rb") as file:
            write_atomic(destination, iter(lambda: file.read(65536), b""), fsync=False)
    except OSError as error:
        raise ExportError(f"failed to copy buildpacksio SBOMs: {error.strerror}", where=source) from error
