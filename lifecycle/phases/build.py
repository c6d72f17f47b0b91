"""Build: run the buildpacks of the group and gather what they say of the app.

Spec: buildpack.md "Phase #3: Build", platform.md "builder".
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import BuildError, BuildpackApiError, BuildpackBuildError, LifecycleError
from lifecycle.executables.process import Command
from lifecycle.files.codec import load, save
from lifecycle.files.env_dir import read_env_dir, read_layer_environment
from lifecycle.files.modules import find_buildpack
from lifecycle.files.sbom_files import copy_sboms, find_sboms, remove_sboms, save_legacy_bom
from lifecycle.model.api import PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.ids import directory_name, is_layer_name
from lifecycle.model.launch import Build, Launch
from lifecycle.model.layer import LayerMetadata, LayerTypes
from lifecycle.rules.buildpack_plan import check_unmet, plan_for, without_met
from lifecycle.rules.environment import (
    Phase,
    base_environment,
    executable_variables,
    with_layer,
    with_platform,
)
from lifecycle.rules.launch import MergedProcesses, attributed_bom, launch_processes, merge_processes
from lifecycle.rules.sbom import sbom_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Buildpack
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import Process
    from lifecycle.model.group import Group, GroupElement
    from lifecycle.model.launch import AttributedBomEntry
    from lifecycle.model.plan import BuildpackPlan, Plan
    from lifecycle.model.target import TargetData
    from lifecycle.rules.sbom import SbomCopy

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """Everything that the build depends on; paths are absolute.

    ``group`` and ``plan`` are those of detection; without ``target`` no variable tells it.
    """

    platform_api: PlatformApi
    app_dir: Path
    layers_dir: Path
    buildpacks_dir: Path
    platform_dir: Path
    build_config_dir: Path
    group: Group
    plan: Plan
    target: TargetData | None = None
    exec_env: str = "production"
    process_env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Built:
    """metadata.toml to write."""

    metadata: BuildMetadata


@dataclass(frozen=True, slots=True)
class _Output:
    """What one buildpack left: its layers by name, and its files beside them."""

    layers: Mapping[str, LayerTypes]
    launch: Launch
    processes: tuple[Process, ...]
    build_toml: Build
    launch_bom: tuple[AttributedBomEntry, ...]
    build_bom: tuple[AttributedBomEntry, ...]
    sboms: tuple[SbomCopy, ...]


def _ignore(_: GroupElement) -> None:
    """Take no notice of the start of a buildpack."""


def build(
    inputs: BuildInputs,
    *,
    run: Runner,
    output: Callable[[bytes], None],
    on_start: Callable[[GroupElement], None] = _ignore,
) -> Built:
    """Run ``bin/build`` of every buildpack of the group in order; the first that fails ends the build.

    Raises ``BuildpackBuildError`` for an executable that fails, ``BuildpackApiError`` for an API that is not
    supported, and ``BuildError`` for unusable output.
    """
    _log.debug("Starting build")
    with _translated():
        remove_sboms(inputs.layers_dir)
        platform_files = read_env_dir(inputs.platform_dir / "env")
        build_config_files = read_env_dir(inputs.build_config_dir / "env")
    env = base_environment(inputs.process_env)
    plan = inputs.plan
    merged = MergedProcesses()
    outputs: list[_Output] = []
    for element in inputs.group.group:
        _log.debug("Running build for buildpack %s", element)
        on_start(element)
        with _translated():
            buildpack = find_buildpack(inputs.buildpacks_dir, element.id, element.version)
            given = plan_for(plan, element.id)
            own_env = with_platform(
                env,
                platform_files=platform_files,
                build_config_files=build_config_files,
                clear_env=buildpack.descriptor.buildpack.clear_env,
            )
            directory = inputs.layers_dir / directory_name(element.id)
            directory.mkdir(parents=True, exist_ok=True)
            _run_buildpack(inputs, buildpack, directory, given, own_env, run=run, output=output)
            found = _read_output(directory, buildpack, element, given)
            for name, types in found.layers.items():
                if types.build:
                    env = with_layer(env, read_layer_environment(directory / name))
        plan = without_met(plan, given, found.build_toml.unmet)
        merged, redefined = merge_processes(merged, found.processes)
        if redefined:
            _log.warning(
                "redefining the following default process type with a process not marked as default: %s",
                redefined,
            )
        outputs.append(found)
        _log.debug("Finished running build for buildpack %s", element)
    launch_bom = tuple(entry for each in outputs for entry in each.launch_bom)
    legacy_files = PlatformFeature.LEGACY_SBOM_FILE in inputs.platform_api
    with _translated():
        _collect_sboms(inputs, outputs, launch_bom)
    _log.debug("Finished build")
    return Built(
        BuildMetadata(
            bom=() if legacy_files else launch_bom,
            buildpacks=inputs.group.group,
            extensions=inputs.group.group_extensions,
            labels=tuple(label for each in outputs for label in each.launch.labels),
            processes=merged.processes,
            slices=tuple(part for each in outputs for part in each.launch.slices),
            default_process_type=merged.default_type,
        )
    )


def save_build_metadata(layers_dir: Path, metadata: BuildMetadata, api: PlatformApi) -> None:
    """Write ``<layers>/config/metadata.toml``; a link that a buildpack put in place of ``config`` is not followed."""
    directory = layers_dir / "config"
    with _translated():
        if directory.is_symlink():
            directory.unlink()
        save(directory / "metadata.toml", metadata.struct(api))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BuildError, BuildpackApiError):
        raise
    except LifecycleError as error:
        raise BuildError(error.message, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise BuildError(f"failed: {error.strerror or error}", where=error.filename) from error


def _run_buildpack(
    inputs: BuildInputs,
    buildpack: Buildpack,
    directory: Path,
    given: BuildpackPlan,
    env: Mapping[str, str],
    *,
    run: Runner,
    output: Callable[[bytes], None],
) -> None:
    with tempfile.TemporaryDirectory(prefix="plan.", ignore_cleanup_errors=True) as temporary:
        plan_path = Path(temporary, "plan.toml")
        save(plan_path, given.struct())
        variables = executable_variables(
            phase=Phase.BUILD,
            api=buildpack.api,
            module_dir=buildpack.root,
            platform_dir=inputs.platform_dir,
            plan_path=plan_path,
            output_dir=directory,
            target=inputs.target,
            exec_env=inputs.exec_env,
        )
        executable = buildpack.root / "bin" / "build"
        argv = (str(executable), str(directory), str(inputs.platform_dir), str(plan_path))
        try:
            status = run(Command(argv, inputs.app_dir, {**env, **variables}), output=output)
        except LifecycleError as error:
            raise BuildpackBuildError(
                f"buildpack {buildpack}: {error.message}", where=error.where, remedy=error.remedy
            ) from error
    if status != 0:
        ending = f"exited with status {status}"
        if status < 0:
            ending = f"was killed by signal {-status} ({signal.strsignal(-status) or 'unknown'})"
        raise BuildpackBuildError(
            f"bin/build of buildpack {buildpack} {ending}", remedy="see what it printed before"
        )


def _read_output(
    directory: Path, buildpack: Buildpack, element: GroupElement, given: BuildpackPlan
) -> _Output:
    """Read the files of a buildpack and put aside the layers that nobody is to use."""
    layers = _layers(directory)
    for name, types in layers.items():
        if not (types.launch or types.build or types.cache):
            _put_aside(directory / name)
    sboms = sbom_copies(
        find_sboms(directory),
        layers,
        buildpack=str(buildpack),
        buildpack_id=element.id,
        formats=buildpack.descriptor.buildpack.sbom_formats,
    )
    build_path = directory / "build.toml"
    build_toml = load(Build, build_path, missing_ok=True) or Build()
    check_unmet(build_toml.unmet, given, where=build_path)
    launch_path = directory / "launch.toml"
    launch = load(Launch, launch_path, missing_ok=True) or Launch()
    if (launch.bom or build_toml.bom) and not sboms:
        _log.warning(
            "BOM table is deprecated in this buildpack api version, though it remains supported for backwards "
            "compatibility. Buildpacks should write BOM information to <layer>.sbom.<ext>, launch.sbom.<ext>, or "
            "build.sbom.<ext>."
        )
    launched = launch_processes(
        launch.processes, buildpack_id=element.id, api=buildpack.api, where=launch_path
    )
    for warning in launched.warnings:
        _log.warning("%s", warning)
    return _Output(
        layers=layers,
        launch=launch,
        processes=launched.processes,
        build_toml=build_toml,
        launch_bom=attributed_bom(launch.bom, element, where=launch_path),
        build_bom=attributed_bom(build_toml.bom, element, where=build_path),
        sboms=sboms,
    )


def _layers(directory: Path) -> dict[str, LayerTypes]:
    """Return the types of all layers that have a ``<layer>.toml``, sorted by the name of that file.

    Reference: launch.toml, build.toml and store.toml are checked as layer metadata too.
    """
    result = {}
    for path in sorted(directory.iterdir(), key=lambda path: os.fsencode(path.name)):
        if path.suffix == ".toml" or path.name == ".toml":
            types = load(LayerMetadata, path).types
            if is_layer_name(path.stem) and path.name != ".toml":
                result[path.stem] = types
    return result


def _put_aside(layer: Path) -> None:
    """Rename a layer without types to ``<layer>.ignore``.  Spec: buildpack.md "Layer Types"."""
    ignored = layer.with_name(f"{layer.name}.ignore")
    try:
        layer.rename(ignored)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BuildError(
            f"can't be renamed to {ignored.name}: {error.strerror}",
            where=layer,
            remedy=f"remove {ignored.name} before the build or give the layer a type",
        ) from error


def _collect_sboms(
    inputs: BuildInputs, outputs: list[_Output], launch_bom: tuple[AttributedBomEntry, ...]
) -> None:
    """Fill ``<layers>/sbom``, without anything that a buildpack may have put there itself."""
    remove_sboms(inputs.layers_dir)
    if PlatformFeature.SBOM in inputs.platform_api:
        _log.debug("Copying SBOM files")
        copy_sboms(inputs.layers_dir, (copy for each in outputs for copy in each.sboms))
    if PlatformFeature.LEGACY_SBOM_FILE in inputs.platform_api:
        _log.debug("Creating SBOM files for legacy BOM")
        save_legacy_bom(inputs.layers_dir, "launch", launch_bom)
        save_legacy_bom(inputs.layers_dir, "build", [entry for each in outputs for entry in each.build_bom])
