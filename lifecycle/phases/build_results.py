"""What the buildpacks of a build leave for its image: processes, labels, slices and SBOM files.

The builder takes it in after each ``bin/build``; an exporter that replaced a step does so again.
Spec: platform.md "builder" (outputs), "SBOM Files", "metadata.toml (TOML)".
"""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import BuildError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.layers_dir import copy_output, create_directory, read_build_outputs
from lifecycle.model.api import BuildpackApi, PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.ids import directory_name
from lifecycle.rules import bom
from lifecycle.rules.launch import ProcessTypes, upgraded
from lifecycle.rules.sbom import MEDIA_TYPES, is_sbom_name, sbom_copies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lifecycle.files.layers_dir import BuildOutputs
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import Process
    from lifecycle.model.group import Group
    from lifecycle.model.launch import AttributedBomEntry, BomEntry, Label, Slice

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepBuilder:
    """The buildpack of a step; ``sbom_formats`` are the media types that it may write."""

    id: str
    version: str
    api: BuildpackApi
    sbom_formats: Sequence[str]

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


class BuildResults:
    """What the buildpacks left so far, each of them in the order of the group.

    All raise ``BuildError`` or ``InvalidFileError``, naming the file.
    """

    def __init__(self, layers_dir: Path, api: PlatformApi) -> None:
        self._layers_dir = layers_dir
        self._api = api
        self._processes = ProcessTypes()
        self._labels: list[Label] = []
        self._slices: list[Slice] = []
        self._launch_bom: list[AttributedBomEntry] = []
        self._build_bom: list[AttributedBomEntry] = []

    def take_build_toml(self, buildpack: StepBuilder, directory: Path, outputs: BuildOutputs) -> None:
        """Take in the bill of materials of the build."""
        with located(directory / "build.toml"):
            self._build_bom += _bom_rows(buildpack, outputs.build.bom, outputs)

    def copy_sboms(self, buildpack: StepBuilder, directory: Path, outputs: BuildOutputs) -> None:
        """Copy SBOM files to where image, build and cache find them."""
        copies = sbom_copies(
            [directory / name for name in outputs.file_names if is_sbom_name(name)],
            buildpack=str(buildpack),
            buildpack_id=buildpack.id,
            layers={layer.name: layer.types for layer in outputs.layers},
            declared=buildpack.sbom_formats,
        )
        if PlatformFeature.SBOM not in self._api:
            return
        for copy in copies:
            *parts, name = copy.place
            target = create_directory(self._layers_dir, "sbom", *parts)
            copy_output(copy.source, target, name, within=directory)

    def take_launch_toml(self, buildpack: StepBuilder, directory: Path, outputs: BuildOutputs) -> tuple[Process, ...]:
        """Take in what the image needs at launch; return the processes of this buildpack."""
        launch = outputs.launch
        with located(directory / "launch.toml"):
            self._launch_bom += _bom_rows(buildpack, launch.bom, outputs)
            written = upgraded(launch.processes, buildpack_id=buildpack.id, api=buildpack.api)
        _LOG.debug("Updating buildpack processes")
        self._labels += launch.labels
        self._slices += launch.slices
        _LOG.debug("Updating process list")
        self._processes, lost_default = self._processes.extended(written.processes)
        for warning in (*written.warnings, lost_default):
            if warning:
                _LOG.warning("%s", warning)
        return written.processes

    def finish(self, group: Group) -> BuildMetadata:
        """Write the legacy SBOM files and return metadata.toml."""
        in_label = PlatformFeature.BOM_IN_LABEL in self._api
        if PlatformFeature.SBOM in self._api:
            _LOG.debug("Copying SBOM files")
        if PlatformFeature.LEGACY_SBOM_FILE in self._api:
            _LOG.debug("Creating SBOM files for legacy BOM")
            for kind, rows in (("launch", self._launch_bom), ("build", self._build_bom)):
                target = create_directory(self._layers_dir, "sbom", kind)
                write_atomic(target / "sbom.legacy.json", bom.legacy_file(rows).encode(), fsync=False)
        _LOG.debug("Listing processes")
        return BuildMetadata(
            bom=tuple(self._launch_bom) if in_label else (),
            buildpacks=group.group,
            extensions=tuple(element.model_copy(update={"optional": False}) for element in group.group_extensions),
            labels=tuple(self._labels),
            processes=self._processes.listed(),
            slices=tuple(self._slices),
            default_process_type=self._processes.default,
        )


def collect_again(layers_dir: Path, group: Group, api: PlatformApi) -> BuildMetadata:
    """Take in anew what lies in the directories of the buildpacks; return metadata.toml.

    The kinds of SBOM files were checked when the buildpacks ran, which need not be there any more.
    """
    remove_sboms(layers_dir)
    results = BuildResults(layers_dir, api)
    for element in group.group:
        buildpack_api = BuildpackApi.parse(element.api, module=f"Buildpack '{element}'")
        buildpack = StepBuilder(element.id, element.version, buildpack_api, tuple(MEDIA_TYPES.values()))
        directory = layers_dir / directory_name(element.id)
        outputs = read_build_outputs(directory)
        results.take_build_toml(buildpack, directory, outputs)
        results.copy_sboms(buildpack, directory, outputs)
        results.take_launch_toml(buildpack, directory, outputs)
    return results.finish(group)


def remove_sboms(layers_dir: Path) -> None:
    """Take away the SBOM files of another build; raise ``BuildError``."""
    directory = layers_dir / "sbom"
    try:
        if directory.is_dir() and not directory.is_symlink():
            shutil.rmtree(directory)
        else:
            directory.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(
            f"cleaning layers SBOM directory: {error.strerror}", where=error.filename or directory
        ) from error


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Say in which file the problem is that a rule found."""
    try:
        yield
    except LifecycleError as error:
        raise BuildError(error.message, where=path, remedy=error.remedy) from error


def _bom_rows(
    buildpack: StepBuilder, rows: Sequence[BomEntry], outputs: BuildOutputs
) -> tuple[AttributedBomEntry, ...]:
    if rows and not any(map(is_sbom_name, outputs.file_names)):
        _LOG.warning("%s: %s", buildpack, bom.DEPRECATION)
    return bom.attributed(rows, buildpack_id=buildpack.id, version=buildpack.version)
