"""One app and its buildpacks through the phases, in the directories of one place, build after build."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import BuildpackDetectError, DetectionError, LifecycleError, NoGroupDetectedError
from lifecycle.executables.process import ending
from lifecycle.files.build_metadata import save_metadata
from lifecycle.launcher import launcher_path
from lifecycle.model.build_metadata import LauncherSource
from lifecycle.model.descriptor import Order, OrderGroup
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.ids import directory_name
from lifecycle.model.plan import Plan, PlanEntry, Provider, Require
from lifecycle.phases.analyze import AnalyzeInputs, analyze
from lifecycle.phases.build import BuildInputs, build
from lifecycle.phases.cache_export import export_cache
from lifecycle.phases.detect import DetectInputs, detect
from lifecycle.phases.export import ExportInputs, export
from lifecycle.phases.restore import RestoredLayers, RestoreInputs, restore
from lifecycle.rules.detection import GroupErroredError, NoGroupPassedError
from lifecycle.testing.cache import MemoryCache
from lifecycle.testing.conditions import ConditionedRunner, Conditions, Recorder
from lifecycle.testing.detection import Detection
from lifecycle.testing.image import AppImage
from lifecycle.testing.in_process import InProcessRunner, OneByOne
from lifecycle.testing.modules import TestedModule, lay_out
from lifecycle.testing.place import IMAGE_APP, IMAGE_LAYERS, OWNER, Place, make_read_only

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifecycle.executables.process import Command
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.target import TargetData
    from lifecycle.phases.build import Built, StepStart
    from lifecycle.phases.generate import Generated
    from lifecycle.testing.conditions import Call
    from lifecycle.testing.images import MemoryImages
    from lifecycle.testing.layer import LayersDir
    from lifecycle.testing.log import LogBook

RUN_IMAGE = "run"


Around = Callable[["Command", Place], AbstractContextManager[None]]
"""Makes the context in which an executable runs."""


def nothing_around(_command: Command, _place: Place) -> AbstractContextManager[None]:
    """Return a context in which nothing happens."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a platform gives to every build of a session; each executable runs within ``around``."""

    platform_api: PlatformApi
    target: TargetData
    exec_env: str
    conditions: Conditions
    images: MemoryImages
    logs: LogBook
    redirects: bool = True
    around: Around = nothing_around


@dataclass(slots=True)
class _Environment:
    """Keeps the environment that each step leaves to the next.  A ``StepObserver``."""

    left: Mapping[str, str] = field(default_factory=dict)

    def before(self, start: StepStart) -> None:
        pass

    def after(self, start: StepStart, environment: Mapping[str, str]) -> None:  # noqa: ARG002  # the protocol's
        self.left = environment


@dataclass(slots=True)
class Session:
    """The directories, modules, images and cache of an app's builds.

    ``image`` is the name under which it exports, ``latest`` where the layers of the last build are.
    """

    given: Given
    place: Place
    buildpacks: Sequence[TestedModule]
    extensions: Sequence[TestedModule]
    image: str
    cache: MemoryCache = field(default_factory=MemoryCache)
    environment: _Environment = field(default_factory=_Environment)
    exports: int = 0
    latest: LayersDir = field(init=False)
    modules: Mapping[Path, TestedModule] = field(init=False)
    recorder: Recorder = field(init=False)
    _runner: InProcessRunner = field(init=False)

    def __post_init__(self) -> None:
        self.place.make()
        conditions = self.given.conditions
        self.modules = lay_out(self.place, [*self.buildpacks, *self.extensions], copied=conditions.copies_modules)
        in_process = {path: each.main for path, each in self.modules.items() if each.in_process or each.main}
        if conditions.copies_modules and not conditions.writable_modules:
            for path in self.modules:
                make_read_only(path)
        processes = ConditionedRunner(self.place, conditions)
        self._runner = InProcessRunner(in_process, processes, redirects=self.given.redirects)
        self.recorder = Recorder(self._run, on_call=self._heard)

    def _run(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        with self.given.around(command, self.place):
            return self._runner(command, output=output)

    def _heard(self, call: Call) -> None:
        name = Path(call.command.argv[0]).name
        self.given.logs.add(f"bin/{name} of {self.module_of(call)}, which {ending(call.status)}", call.log)

    def module_of(self, call: Call) -> TestedModule:
        """Return the module whose executable ran."""
        return self.modules[Path(call.command.argv[0]).parents[1].resolve()]

    @property
    def process_env(self) -> dict[str, str]:
        """The environment of the lifecycle, of which buildpacks inherit little."""
        env = {"PATH": os.environ.get("PATH", os.defpath)}
        return env | {"HOME": str(self.place.home)} if self.given.conditions.with_home else env

    def detect(self) -> Detection:
        """Run detection; groups that fail are told in the result.  Raises ``LifecycleError`` for unusable modules."""
        calls = len(self.recorder.calls)
        inputs = DetectInputs(
            platform_api=self.given.platform_api,
            app_dir=self.place.app,
            buildpacks_dir=self.place.cnb / "buildpacks",
            extensions_dir=self.place.cnb / "extensions",
            platform_dir=self.place.platform,
            build_config_dir=self.place.root / "build-config",
            order=Order(order=_group(self.buildpacks), order_extensions=_group(self.extensions)),
            target=self.given.target,
            exec_env=self.given.exec_env,
            process_env=self.process_env,
        )
        self._hand_over()
        group, plan, passed = Group(), Plan(), False
        try:
            detected = detect(inputs, run=self.recorder, pool=OneByOne())
            group, plan, attempts, passed = detected.group, detected.plan, detected.attempts, True
        except (NoGroupPassedError, GroupErroredError) as error:
            attempts = error.attempts
        made = {self.module_of(call).id: call for call in self.recorder.calls[calls:]}
        return Detection(passed, group, plan, attempts, made)

    def require_detection(self) -> tuple[Group, Plan]:
        """Return what passed detection; raise ``DetectionError`` that explains why nothing did."""
        found = self.detect()
        if found.passed:
            return found.group, found.resolved
        errored = any(attempt.errored for attempt in found.attempts)
        kind: type[DetectionError] = BuildpackDetectError if errored else NoGroupDetectedError
        raise kind(f"the buildpacks did not pass detection:\n{found.report}")

    def planned(self, requires: Iterable[Require]) -> tuple[Group, Plan]:
        """Return the group of all buildpacks, and the plan in which the last has to meet ``requires``."""
        elements = tuple(
            GroupElement(id=each.id, version=each.version, api=each.module.descriptor.api) for each in self.buildpacks
        )
        provider = (Provider(id=elements[-1].id, version=elements[-1].version),)
        wanted: dict[str, list[Require]] = {}
        for each in requires:
            wanted.setdefault(each.name, []).append(each)
        entries = tuple(PlanEntry(providers=provider, requires=tuple(each)) for each in wanted.values())
        return Group(group=elements), Plan(entries=entries)

    def generate(self, group: Group, plan: Plan, output: list[bytes]) -> Generated:
        """Run the extensions of the group."""
        from lifecycle.phases.generate import GenerateInputs, generate  # noqa: PLC0415  # few have extensions

        inputs = GenerateInputs(
            platform_api=self.given.platform_api,
            app_dir=self.place.app,
            extensions_dir=self.place.cnb / "extensions",
            generated_dir=self.place.generated,
            platform_dir=self.place.platform,
            build_config_dir=self.place.root / "build-config",
            group=group,
            plan=plan,
            analyzed=self.analyze(),
            target=self.given.target,
            process_env=self.process_env,
        )
        self.place.generated.mkdir(exist_ok=True)
        self._hand_over()
        return generate(inputs, run=self.recorder, output=output.append)

    def analyze(self) -> Analyzed:
        """Return what is known of the previous image."""
        return analyze(
            AnalyzeInputs(
                api=self.given.platform_api,
                image=self.image,
                layers_dir=self.place.layers,
                run_image=RUN_IMAGE,
                image_layers_dir=IMAGE_LAYERS,
            ),
            images=self.given.images,
        )

    def restore(self, analyzed: Analyzed, group: Group, *, cached: bool) -> RestoredLayers:
        """Bring back what the previous image and the cache remember."""
        inputs = RestoreInputs(
            api=self.given.platform_api,
            layers_dir=self.place.layers,
            buildpacks=group.group,
            metadata=analyzed.metadata,
            image_layers_dir=IMAGE_LAYERS,
        )
        return restore(inputs, cache=self.cache if cached else None)

    def build(self, group: Group, plan: Plan, output: list[bytes]) -> Built:
        """Run the buildpacks of the group and leave metadata.toml; an exception of Python code is the error's cause."""
        inputs = BuildInputs(
            platform_api=self.given.platform_api,
            app_dir=self.place.app,
            layers_dir=self.place.layers,
            buildpacks_dir=self.place.cnb / "buildpacks",
            platform_dir=self.place.platform,
            build_config_dir=self.place.root / "build-config",
            group=group,
            plan=plan,
            target=self.given.target,
            exec_env=self.given.exec_env,
            process_env=self.process_env,
        )
        own = [self.place.layers / directory_name(element.id) for element in group.group]
        for path in own:
            path.mkdir(exist_ok=True)
        self._hand_over()
        if not self.given.conditions.writable_layers:
            for path in own:
                make_read_only(path)
        self.environment = _Environment()
        try:
            built = build(inputs, run=self.recorder, output=output.append, observer=self.environment)
        except LifecycleError as error:
            if self._runner.raised is not None:
                raise error from self._runner.raised
            raise
        save_metadata(self.place.layers / "config" / "metadata.toml", built.metadata, self.given.platform_api)
        return built

    def export(self, analyzed: Analyzed, group: Group, built: Built) -> AppImage:
        """Write the image and then the cache."""
        given = self.given
        inputs = ExportInputs(
            api=given.platform_api,
            names=(self.image,),
            layers_dir=self.place.layers,
            app_dir=self.place.app,
            group=group,
            build_metadata=built.metadata,
            analyzed=analyzed,
            launcher=LauncherSource(version="test", repository="", commit=""),
            uid=OWNER,
            gid=OWNER,
            image_layers_dir=IMAGE_LAYERS,
            image_app_dir=IMAGE_APP,
            normalise_ancestors=True,
            launcher_path=launcher_path(),
            launcher_sbom_dir=launcher_path().parent,
            lifecycle_dir=None,
            exec_env=given.exec_env,
        )
        base = given.images.find(RUN_IMAGE)
        if base is None:
            raise LifecycleError(f"there is no run image called {RUN_IMAGE!r} any more")
        self.exports += 1
        unpack_in = self.place.root / f"image-{self.exports}"
        with tempfile.TemporaryDirectory(dir=self.place.root) as work_dir:
            previous = given.images.find(self.image)
            exported = export(inputs, images=given.images, base=base, previous=previous, work_dir=Path(work_dir))
            export_cache(inputs, cache=self.cache, exported=exported.verdicts, blobs=exported.blobs)
        return AppImage(given.images.images[self.image], exported.verdicts, unpack_in, given.platform_api)

    def _hand_over(self) -> None:
        if self.given.conditions.user is not None:
            self.place.give_to(self.given.conditions.user)


def _group(modules: Sequence[TestedModule]) -> tuple[OrderGroup, ...]:
    return (OrderGroup(group=tuple(each.element for each in modules)),) if modules else ()
