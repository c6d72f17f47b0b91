"""Detection: find the group of buildpacks, and image extensions, that builds the app.

Spec: buildpack.md "Phase #1: Detection", image_extension.md "Detection", platform.md "detector".
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import DetectionError, InvalidFileError, LifecycleError
from lifecycle.executables.process import Command, ending
from lifecycle.files.codec import load
from lifecycle.files.modules import Extension, find_buildpack, find_extension
from lifecycle.files.work_dir import work_directory
from lifecycle.model.api import PlatformFeature
from lifecycle.model.descriptor import System
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.plan import BuildPlan, Plan
from lifecycle.phases.module_environment import ModuleEnvironments
from lifecycle.phases.timer import timed
from lifecycle.rules.detection import (
    ERROR,
    PASS,
    Attempt,
    DetectRun,
    GroupErroredError,
    Line,
    NoGroupPassedError,
    Tried,
    judge,
)
from lifecycle.rules.environment import Phase
from lifecycle.rules.exec_env import takes_part
from lifecycle.rules.order import Composite, Entry, resolved_groups, with_system
from lifecycle.rules.stacks import supports_stack
from lifecycle.rules.targets import buildpack_targets, mismatch, satisfies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Buildpack
    from lifecycle.model.api import BuildpackApi, PlatformApi
    from lifecycle.model.descriptor import ModuleInfo, Order, OrderGroup
    from lifecycle.model.target import TargetData

_LOG = logging.getLogger(__name__)

_STEP = 0.5
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class DetectInputs:
    """Everything that detection depends on; paths are absolute.

    ``target`` is the target data of the build, gaps filled (``rules.targets.complete_target``); without it no
    target is compared and no variable tells it.  ``stack_id`` is that of the build environment or empty.
    """

    platform_api: PlatformApi
    app_dir: Path
    buildpacks_dir: Path
    extensions_dir: Path
    platform_dir: Path
    build_config_dir: Path
    order: Order
    system: System = field(default_factory=System)
    target: TargetData | None = None
    exec_env: str = "production"
    stack_id: str = ""
    process_env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Detected:
    """The group and the plan to write, and the account of every group that was tried; the last passed."""

    group: Group
    plan: Plan
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class _Component:
    """A module that has a ``bin/detect``, and why it can't run on this base image, if it can't."""

    module: Buildpack | Extension
    info: ModuleInfo
    incompatible: str


@timed("Detector")
def detect(inputs: DetectInputs, *, run: Runner, pool: Executor | None = None) -> Detected:
    """Try the groups of the order until one passes; ``pool`` runs the executables, in parallel unless given.

    The log is held back until the end: if no group passes, all of it is printed, whatever the level.
    Raises ``NoGroupPassedError`` or ``GroupErroredError`` with an account of all groups, ``DetectionError``
    for an order that can't be resolved, ``BuildpackApiError`` and ``InvalidFileError`` for unusable modules.
    """
    lines: list[Line] = []
    try:
        detected = _detect(inputs, run, pool or ThreadPoolExecutor(thread_name_prefix="detect"), lines)
    except LifecycleError as error:
        for line in lines:
            _LOG.handle(_LOG.makeRecord(_LOG.name, line.level, __file__, 0, line.text, (), None))
        if isinstance(error, NoGroupPassedError | GroupErroredError):
            _LOG.error("No buildpack groups passed detection.")
        if isinstance(error, NoGroupPassedError):
            _LOG.error("Please check that you are running against the correct path.")
        raise
    for line in lines:
        _LOG.log(line.level, "%s", line.text)
    return detected


def _detect(inputs: DetectInputs, run: Runner, pool: Executor, lines: list[Line]) -> Detected:
    order = _order_with_system(inputs)
    modules = _Modules(inputs)
    for group in order:
        modules.check(group, extension=False)
    for group in inputs.order.order_extensions:
        modules.check(group, extension=True)
    attempts: list[Attempt] = []
    with _begun(), pool:
        runs = _Runs(inputs, run, pool)
        for members in resolved_groups(order, inputs.order.order_extensions, look_up=modules.look_up):
            judgement = judge(runs.of(members))
            lines += judgement.lines
            attempts.append(judgement.attempt)
            if judgement.attempt.passed:
                return Detected(judgement.group, judgement.plan, tuple(attempts))
    if any(attempt.errored for attempt in attempts):
        raise GroupErroredError(tuple(attempts))
    raise NoGroupPassedError(tuple(attempts))


@contextmanager
def _begun() -> Iterator[None]:
    """Make a file that can't be used once detection has begun, as that of a nested buildpack, its failure."""
    try:
        yield
    except InvalidFileError as error:
        raise DetectionError(error.message, where=error.where, remedy=error.remedy) from error


def _order_with_system(inputs: DetectInputs) -> tuple[OrderGroup, ...]:
    if PlatformFeature.SYSTEM_BUILDPACKS not in inputs.platform_api:
        return inputs.order.order
    groups = []
    for group in inputs.order.order:
        extended, before, after = with_system(group, inputs.system.system)
        if before:
            _LOG.debug("Prepending %d system buildpack(s) to group", before)
        if after:
            _LOG.debug("Appending %d system buildpack(s) to group", after)
        groups.append(extended)
    return tuple(groups)


class _Modules:
    """The modules that orders name, each read once."""

    def __init__(self, inputs: DetectInputs) -> None:
        self._inputs = inputs
        self._found: dict[tuple[bool, str, str], tuple[Buildpack | Extension, BuildpackApi]] = {}
        self._components: dict[tuple[bool, str, str], _Component] = {}

    def check(self, group: OrderGroup, *, extension: bool) -> None:
        """Read every module of the group, so that a bad one is known before anything runs."""
        for element in group.group:
            self._find(Entry(element, extension))

    def look_up(self, entry: Entry) -> Composite | _Component | None:
        """Say what an entry of the order is; ``None`` if it is for another execution environment."""
        inputs = self._inputs
        module, api = self._find(entry)
        info = module.descriptor.extension if isinstance(module, Extension) else module.descriptor.buildpack
        listed = (entry.element.exec_env, self._api_of_order(entry)), (info.exec_env, api)
        for names, of in listed:
            if not takes_part(names, inputs.exec_env, platform_api=inputs.platform_api, buildpack_api=of):
                _LOG.debug("Skipping %s: it is not for the execution environment '%s'", entry, inputs.exec_env)
                return None
        if not isinstance(module, Extension) and module.descriptor.order:
            return Composite(module.descriptor.order)
        key = (entry.extension, entry.element.id, entry.element.version)
        if key not in self._components:
            self._components[key] = _Component(module, info, self._obstacle(module, api))
        return self._components[key]

    def _find(self, entry: Entry) -> tuple[Buildpack | Extension, BuildpackApi]:
        element = entry.element
        key = (entry.extension, element.id, element.version)
        if key not in self._found:
            module: Buildpack | Extension
            if entry.extension:
                module = find_extension(self._inputs.extensions_dir, element.id, element.version)
            else:
                module = find_buildpack(self._inputs.buildpacks_dir, element.id, element.version)
            self._found[key] = (module, module.api)
        return self._found[key]

    def _api_of_order(self, entry: Entry) -> BuildpackApi | None:
        if not entry.within:
            return None
        return self._find(Entry(entry.within[-1]))[1]

    def _obstacle(self, module: Buildpack | Extension, api: BuildpackApi) -> str:
        """Return why the module can't be for the base image, ``""`` if it may; extensions are all optional."""
        inputs = self._inputs
        if isinstance(module, Extension):
            return ""
        stacks = module.descriptor.stacks
        if not supports_stack(stacks, inputs.stack_id, platform_api=inputs.platform_api, buildpack_api=api):
            return (
                f"stack {inputs.stack_id} is not among the stacks of the buildpack: "
                f"{', '.join(stack.id for stack in stacks)}"
            )
        if PlatformFeature.TARGETS not in inputs.platform_api or inputs.target is None:
            return ""
        targets = buildpack_targets(module.descriptor.targets, stacks, _names_in(module.root / "bin"), api=api)
        return "" if satisfies(targets, inputs.target) else mismatch(targets, inputs.target)


def _names_in(directory: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in directory.iterdir())
    except OSError:
        return frozenset()


class _Runs:
    """The runs of ``bin/detect``: in parallel, and one for each module however many groups have it."""

    def __init__(self, inputs: DetectInputs, run: Runner, pool: Executor) -> None:
        self._inputs = inputs
        self._run = run
        self._pool = pool
        self._environments = ModuleEnvironments(
            Phase.DETECT,
            process_env=inputs.process_env,
            platform_dir=inputs.platform_dir,
            build_config_dir=inputs.build_config_dir,
            target=inputs.target,
            exec_env=inputs.exec_env,
        )
        self._results: dict[tuple[bool, str, str, str], Future[DetectRun]] = {}

    def of(self, members: Sequence[tuple[Entry, _Component]]) -> list[Tried]:
        """Run what was not run before, and return the results of all."""
        begun = [self._begin(entry, component) for entry, component in members]
        return [
            Tried(
                GroupElement(
                    id=entry.element.id,
                    version=entry.element.version,
                    api=component.module.descriptor.api,
                    homepage=component.info.homepage,
                    optional=entry.optional,
                ),
                entry.extension,
                _result(run),
            )
            for (entry, component), run in zip(members, begun, strict=True)
        ]

    def _begin(self, entry: Entry, component: _Component) -> Future[DetectRun]:
        """Return the run of a module, begun unless it was before.

        Only what a group can't do without has to be for the base image.  Reference: phase/detector.go, which lets
        anything optional run; the specification says nothing of it.
        """
        unfit = "" if entry.optional else component.incompatible
        key = (entry.extension, entry.element.id, entry.element.version, unfit)
        if key not in self._results:
            self._results[key] = self._pool.submit(self._detect, component, unfit)
        return self._results[key]

    def _detect(self, component: _Component, unfit: str) -> DetectRun:
        if unfit:
            return DetectRun(ERROR, error=unfit)
        try:
            with work_directory("detector") as directory:
                plan_path = directory / "plan.toml"
                plan_path.touch(mode=0o600)
                return self._detect_into(component, plan_path)
        except OSError as error:
            raise DetectionError(
                f"no plan file can be made for it: {error.strerror}", where=str(component.module)
            ) from error

    def _detect_into(self, component: _Component, plan_path: Path) -> DetectRun:
        module = component.module
        executable = module.root / "bin" / "detect"
        if isinstance(module, Extension) and not executable.exists():
            return _judged(component, PASS, b"", module.root / "detect" / "plan.toml")
        chunks: list[bytes] = []
        argv = (str(executable), str(self._inputs.platform_dir), str(plan_path))
        try:
            status = self._run(
                Command(argv, self._inputs.app_dir, self._environments.of(module, plan_path=plan_path)),
                output=chunks.append,
            )
        except LifecycleError as error:
            return DetectRun(ERROR, b"".join(chunks), str(error))
        output = b"".join(chunks)
        if status < 0:
            return DetectRun(ERROR, output, f"bin/detect {ending(status)}")
        return _judged(component, status, output, plan_path)


def _result(future: Future[DetectRun]) -> DetectRun:
    """Wait for a run, in steps between which Python handles signals: one just before a wait does not end it."""
    while not wait((future,), timeout=_STEP).done:
        pass
    return future.result()


def _judged(component: _Component, status: int, output: bytes, plan_path: Path) -> DetectRun:
    """Return the run, with its plan if it passed; a plan that can't be used makes it an error."""
    if status != PASS:
        return DetectRun(status, output)
    extension = isinstance(component.module, Extension)
    try:
        plan = load(BuildPlan, plan_path, missing_ok=extension, hints=True, regular=True)
    except InvalidFileError as error:
        return DetectRun(ERROR, output, str(error))
    plan = BuildPlan() if plan is None else plan
    sections = plan.alternatives()
    if extension and any(each.requires for each in sections):
        return DetectRun(ERROR, output, f'extension {component.info.id} outputs "requires" which is not allowed')
    if any(require.version for each in sections for require in each.requires):
        return DetectRun(
            ERROR,
            output,
            f'buildpack {component.info.id} has a "version" key which is not supported. '
            '"metadata.version" should be used instead',
        )
    return DetectRun(PASS, output, plan=plan)
