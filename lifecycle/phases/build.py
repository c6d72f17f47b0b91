"""The build: every buildpack of the group contributes its layers and processes.

Spec: buildpack.md "Phase #5: Build"; platform.md "builder".
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import BuildError, BuildpackApiError, BuildpackBuildError, LifecycleError
from lifecycle.executables.process import Command, ending
from lifecycle.files.codec import save
from lifecycle.files.env_dir import read_layer_environment
from lifecycle.files.layers_dir import (
    WrittenLayer,
    create_directory,
    read_build_outputs,
    set_aside,
)
from lifecycle.files.modules import find_buildpack
from lifecycle.files.work_dir import work_directory
from lifecycle.model.ids import directory_name
from lifecycle.model.plan import BuildpackPlan
from lifecycle.phases.build_results import BuildResults, StepBuilder, located, remove_sboms
from lifecycle.phases.module_environment import ModuleEnvironments
from lifecycle.phases.timer import timed
from lifecycle.rules.buildpack_plan import met_names, without_met
from lifecycle.rules.environment import Phase, with_layer
from lifecycle.rules.plan import entries_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Buildpack
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import BuildMetadata, Process
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan, Require
    from lifecycle.model.target import TargetData

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """Everything that a build depends on; paths are absolute.

    ``group`` and ``plan`` are those of detection; ``target`` is the target data of the build, gaps filled
    (``rules.targets.complete_target``), without which no variable tells it.
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
class BuildpackAccount:
    """What one buildpack did: its layers in the order of their files, and how long its ``bin/build`` took."""

    buildpack: Buildpack
    layers: tuple[WrittenLayer, ...]
    processes: tuple[Process, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Built:
    """metadata.toml to write, what of the plan nobody met, and the account of every buildpack in order."""

    metadata: BuildMetadata
    plan: Plan
    buildpacks: tuple[BuildpackAccount, ...]


@dataclass(frozen=True, slots=True)
class StepStart:
    """A step that is about to run: the plan it gets, and the environment that earlier layers make.

    ``platform_env`` and ``build_config_env`` are the files of user and operator, ``directory`` is its layers
    directory.
    """

    buildpack: Buildpack
    directory: Path
    plan: tuple[Require, ...]
    environment: Mapping[str, str]
    platform_env: Mapping[str, str]
    build_config_env: Mapping[str, str]


class StepObserver(Protocol):
    """Who looks at the state before each ``bin/build``, and at what it left."""

    def before(self, start: StepStart) -> None:
        """Look at the state in which a step starts."""
        ...

    def after(self, start: StepStart, environment: Mapping[str, str]) -> None:
        """Look at what the step left; ``environment`` is that of the next one."""
        ...


class _NoObserver:
    """Takes no notice."""

    def before(self, start: StepStart) -> None:
        pass

    def after(self, start: StepStart, environment: Mapping[str, str]) -> None:
        pass


NO_OBSERVER: StepObserver = _NoObserver()


def _unobserved(_event: object) -> None:
    """Take no notice."""


@timed("Builder")
def build(
    inputs: BuildInputs,
    *,
    run: Runner,
    output: Callable[[bytes], None],
    on_buildpack_start: Callable[[Buildpack], None] = _unobserved,
    observer: StepObserver = NO_OBSERVER,
    settle: Callable[[StepStart], None] = _unobserved,
) -> Built:
    """Run ``bin/build`` of every buildpack of the group and collect what they leave.

    ``settle`` hears that ``bin/build`` has ended before anything of it is read, and may replace what it left.
    Raises ``BuildpackBuildError`` for an executable that fails, ``BuildpackApiError`` for an API that is not
    supported and ``BuildError`` for anything else.
    """
    with _translated():
        buildpacks = _find_all(inputs)
        remove_sboms(inputs.layers_dir)
        state = _Build(inputs)
        accounts = []
        for buildpack in buildpacks:
            _LOG.debug("Running build for buildpack %s", buildpack)
            on_buildpack_start(buildpack)
            _LOG.debug("Looking up buildpack")
            accounts.append(state.run_buildpack(buildpack, run=run, output=output, observer=observer, settle=settle))
            _LOG.debug("Finished running build for buildpack %s", buildpack)
        return Built(state.finish(), state.plan, tuple(accounts))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BuildError, BuildpackApiError):
        raise
    except LifecycleError as error:
        raise BuildError(error.message, where=error.where, remedy=error.remedy) from error


def _find_all(inputs: BuildInputs) -> list[Buildpack]:
    """Find the buildpacks before the first one runs, so that one that is missing or too new takes no time."""
    found = [find_buildpack(inputs.buildpacks_dir, element.id, element.version) for element in inputs.group.group]
    for buildpack in found:
        buildpack.api  # noqa: B018  # raises unless it is supported
    return found


class _Build:
    """What buildpacks leave to later ones and to the image: environment, plan, processes and more."""

    def __init__(self, inputs: BuildInputs) -> None:
        self.plan = inputs.plan
        self._inputs = inputs
        self._environments = ModuleEnvironments(
            Phase.BUILD,
            process_env=inputs.process_env,
            platform_dir=inputs.platform_dir,
            build_config_dir=inputs.build_config_dir,
            target=inputs.target,
            exec_env=inputs.exec_env,
        )
        self._env: Mapping[str, str] = self._environments.base
        self._results = BuildResults(inputs.layers_dir, inputs.platform_api)

    def run_buildpack(
        self,
        buildpack: Buildpack,
        *,
        run: Runner,
        output: Callable[[bytes], None],
        observer: StepObserver,
        settle: Callable[[StepStart], None],
    ) -> BuildpackAccount:
        """Run one buildpack and take in what it left."""
        info = buildpack.descriptor.buildpack
        directory = create_directory(self._inputs.layers_dir, directory_name(info.id))
        _LOG.debug("Finding plan")
        given = entries_for(self.plan, info.id, extension=False)
        step = StepStart(
            buildpack,
            directory,
            tuple(given),
            self._env,
            self._environments.platform_files,
            self._environments.build_config_files,
        )
        observer.before(step)
        start = time.monotonic()
        self._execute(buildpack, directory, given, run=run, output=output)
        seconds = time.monotonic() - start
        settle(step)
        _LOG.debug("Processing layers")
        outputs = read_build_outputs(directory)
        _LOG.debug("Updating environment")
        for layer in outputs.layers:
            if layer.ignored:
                set_aside(layer)
            if layer.types.build:
                self._env = with_layer(self._env, read_layer_environment(layer.path))
        _LOG.debug("Reading output files")
        builder = StepBuilder(info.id, info.version, buildpack.api, info.sbom_formats)
        self._results.take_build_toml(builder, directory, outputs)
        with located(directory / "build.toml"):
            self.plan = without_met(self.plan, met_names(given, outputs.build.unmet))
        self._results.copy_sboms(builder, directory, outputs)
        observer.after(step, self._env)
        processes = self._results.take_launch_toml(builder, directory, outputs)
        return BuildpackAccount(buildpack, outputs.layers, processes, seconds)

    def _execute(
        self,
        buildpack: Buildpack,
        directory: Path,
        given: Sequence[Require],
        *,
        run: Runner,
        output: Callable[[bytes], None],
    ) -> None:
        _LOG.debug("Creating plan directory")
        with work_directory("builder") as plan_dir:
            _LOG.debug("Preparing paths")
            plan_path = plan_dir / "plan.toml"
            save(plan_path, BuildpackPlan(entries=tuple(given)).struct())
            argv = (
                str(buildpack.root / "bin" / "build"),
                str(directory),
                str(self._inputs.platform_dir),
                str(plan_path),
            )
            environment = self._environments.of(buildpack, plan_path=plan_path, output_dir=directory, base=self._env)
            command = Command(argv, self._inputs.app_dir, environment)
            _LOG.debug("Running build command")
            try:
                status = run(command, output=output)
            except LifecycleError as error:
                raise BuildpackBuildError(
                    f"bin/build of buildpack {buildpack} {error.message}",
                    where=error.where,
                    remedy=error.remedy,
                ) from error
        if status != 0:
            raise BuildpackBuildError(
                f"bin/build of buildpack {buildpack} {ending(status)}",
                remedy="its output above should tell why",
            )

    def finish(self) -> BuildMetadata:
        """Write the legacy SBOM files and return metadata.toml."""
        return self._results.finish(self._inputs.group)
