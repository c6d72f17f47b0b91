"""The steps of a build, from resolved settings to the files and images that each leaves.

Phase executables run one step between reading and writing its files; creator and ``lifecycle build`` run all.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.cli.cache_inputs import write_report
from lifecycle.cli.cache_repository import repository_spec
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import DetectionError, ExportError, InvalidFileError, InvalidInputError
from lifecycle.files.build_metadata import save_metadata
from lifecycle.files.codec import load, save
from lifecycle.files.observed_steps import remove_observed, save_observed
from lifecycle.files.os_release import read_distro
from lifecycle.images.image_platform import host_platform
from lifecycle.model.analyzed import Analyzed
from lifecycle.model.api import PlatformFeature
from lifecycle.model.build_metadata import LauncherSource
from lifecycle.model.descriptor import Order, System
from lifecycle.model.project import ProjectMetadata
from lifecycle.model.run import Run, Stack
from lifecycle.phases.cache_sources import NO_SOURCES
from lifecycle.progress import NO_PROGRESS
from lifecycle.rules.targets import complete_target, lacks_distro

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import PurePosixPath

    from lifecycle.cache.store import Cache
    from lifecycle.cli.cache_inputs import CacheUse
    from lifecycle.cli.cache_repository import SharedBuild
    from lifecycle.cli.cache_targets import CacheTargets
    from lifecycle.cli.settings import Settings
    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Buildpack
    from lifecycle.images.store import Image, ImageStore, NewImage
    from lifecycle.model.build_metadata import BuildMetadata
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.model.target import TargetData
    from lifecycle.phases.build import BuildInputs
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.export import Exported
    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.phases.generate import GeneratedDockerfile
    from lifecycle.phases.restore import RestoredLayers
    from lifecycle.phases.step_recorder import StepRecorder
    from lifecycle.progress import Progress
    from lifecycle.rules.export_plan import LayerVerdict

_LOG = logging.getLogger(__name__)
LAUNCHER_REPOSITORY = "github.com/buildpacks/lifecycle"


@dataclass(frozen=True, slots=True)
class ImagePaths:
    """Where the image has its directories, if that differs from the disk."""

    layers_dir: PurePosixPath | None = None
    app_dir: PurePosixPath | None = None
    normalise_ancestors: bool = False


IN_PLACE = ImagePaths()


def read_run(settings: Settings) -> Run:
    """Read run.toml; empty where the Platform API has none or the file is missing."""
    if PlatformFeature.RUN_TOML not in settings.api:
        return Run()
    path = settings.path("run")
    found = load(Run, path, missing_ok=True)
    if found is None:
        _LOG.info('No run metadata found at path "%s"', path)
    return found or Run()


def read_stack(settings: Settings) -> Stack:
    """Read stack.toml; empty where the Platform API has none or the file is missing."""
    if PlatformFeature.STACK_TOML not in settings.api:
        return Stack()
    path = settings.path("stack")
    found = load(Stack, path, missing_ok=True)
    if found is None:
        _LOG.info('No stack metadata found at path "%s"', path)
    return found or Stack()


def read_analyzed(settings: Settings) -> Analyzed:
    """Read analyzed.toml; a missing one is a warning."""
    path = settings.path("analyzed")
    found = load(Analyzed, path, missing_ok=True)
    if found is None:
        _LOG.warning('No analyzed metadata found at path "%s"', path)
    return found or Analyzed()


def read_analyzed_if_usable(settings: Settings) -> Analyzed:
    """Read analyzed.toml; one that can't be understood is a warning, as a missing one is."""
    try:
        return read_analyzed(settings)
    except InvalidFileError as error:
        _LOG.warning("Not using analyzed data: %s", error)
        return Analyzed()


def read_group(settings: Settings) -> Group:
    """Read group.toml; raise ``BuildpackApiError`` for an API that is not supported."""
    from lifecycle.model.group import Group

    group = load(Group, settings.path("group"))
    group.check_apis()
    return group


@contextmanager
def resolving_inputs() -> Iterator[None]:
    """Make a file that can't be understood an input that can't be resolved."""
    try:
        yield
    except InvalidFileError as error:
        raise InvalidInputError(error.message, where=error.where, remedy=error.remedy) from error


def known_target(analyzed: Analyzed, *, announced: bool = False) -> TargetData:
    """Return what is known of the target: analyzed.toml's, completed from this host, which may be announced."""
    recorded = analyzed.run_image.target if analyzed.run_image else None
    distro = None
    if lacks_distro(recorded):
        level = logging.INFO if announced else logging.DEBUG
        _LOG.log(level, "target distro name/version labels not found, reading /etc/os-release file")
        distro = read_distro()
    return complete_target(recorded, distro=distro, arch=host_platform().architecture)


def exec_env(settings: Settings) -> str:
    """Return the execution environment; ``""`` where the Platform API has none."""
    if PlatformFeature.EXEC_ENV not in settings.api:
        return ""
    value = settings.text("exec_env")
    if "/" in value:
        raise InvalidInputError(f"CNB_EXEC_ENV is {value!r}, which holds the reserved character '/'")
    return value


def analyze(
    settings: Settings,
    *,
    images: ImageStore,
    cache_images: ImageStore | None = None,
    paths: ImagePaths = IN_PLACE,
) -> Analyzed:
    """Look at the previous image and choose the run image; ``cache_images`` has the cache image, if there is one."""
    from lifecycle.phases.analyze import AnalyzeInputs
    from lifecycle.phases.analyze import analyze as phase

    with resolving_inputs():
        run, stack = read_run(settings), read_stack(settings)
    inputs = AnalyzeInputs(
        api=settings.api,
        image=settings.images[0],
        layers_dir=settings.path("layers"),
        tags=settings.list("tag"),
        previous_image=settings.text("previous_image"),
        run_image=settings.text("run_image"),
        run=run,
        stack=stack,
        cache_image=settings.text("cache_image"),
        skip_layers=skips_layers(settings),
        image_layers_dir=paths.layers_dir,
        # Platforms may give the directory of layouts to the exporter only.
        writes_here=not (settings.phase is Phase.ANALYZER and settings.switch("layout")),
    )
    return phase(inputs, images=images, cache_images=cache_images)


@dataclass(frozen=True, slots=True)
class DetectedGroup:
    """What detection leaves: group, plan, the analysis as extensions changed it, and their Dockerfiles."""

    group: Group
    plan: Plan
    analyzed: Analyzed
    dockerfiles: tuple[GeneratedDockerfile, ...] = ()


def detect(
    settings: Settings,
    analyzed: Analyzed,
    *,
    environment: Mapping[str, str],
    run: Runner,
    output: Callable[[bytes], None],
    allow_extensions: Callable[[], None],
    generates: bool = True,
) -> DetectedGroup:
    """Choose the group and resolve its plan; let its extensions generate Dockerfiles.

    Raises ``DetectionError`` for a group with extensions unless somebody ``generates`` for an extender.
    """
    from lifecycle.phases.detect import DetectInputs
    from lifecycle.phases.detect import detect as phase

    order = load(Order, settings.path("order"))
    if order.order_extensions:
        allow_extensions()
    system = System()
    if PlatformFeature.SYSTEM_BUILDPACKS in settings.api:
        system = load(System, settings.path("system"), missing_ok=True) or System()
    target = known_target(analyzed, announced=True)
    inputs = DetectInputs(
        platform_api=settings.api,
        app_dir=settings.path("app"),
        buildpacks_dir=settings.path("buildpacks"),
        extensions_dir=settings.path("extensions"),
        platform_dir=settings.path("platform"),
        build_config_dir=settings.path("build_config"),
        order=order,
        system=system,
        target=target,
        exec_env=exec_env(settings),
        stack_id=settings.text("stack_id"),
        process_env=environment,
    )
    detected = phase(inputs, run=run)
    if not detected.group.group_extensions:
        return DetectedGroup(detected.group, detected.plan, analyzed)
    if not generates:
        raise DetectionError(
            "detected order contains extensions which is not supported by the creator",
            remedy="take order-extensions out of the order, or run the phases one by one",
        )
    from lifecycle.phases.generate import GenerateInputs, generate

    generated = generate(
        GenerateInputs(
            platform_api=settings.api,
            app_dir=inputs.app_dir,
            extensions_dir=inputs.extensions_dir,
            generated_dir=settings.path("generated"),
            platform_dir=inputs.platform_dir,
            build_config_dir=inputs.build_config_dir,
            group=detected.group,
            plan=detected.plan,
            analyzed=analyzed,
            run_metadata=read_run(settings),
            target=target,
            process_env=environment,
        ),
        run=run,
        output=output,
    )
    return DetectedGroup(detected.group, generated.plan, generated.analyzed, generated.dockerfiles)


def restore(
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    *,
    cache: Cache | None,
    sources: CacheSources = NO_SOURCES,
    paths: ImagePaths = IN_PLACE,
) -> RestoredLayers:
    """Bring back layers, their metadata and stores of the last build, or of those that ``sources`` remember."""
    from lifecycle.phases.restore import RestoreInputs
    from lifecycle.phases.restore import restore as phase

    return phase(
        RestoreInputs(
            api=settings.api,
            layers_dir=settings.path("layers"),
            buildpacks=group.group,
            metadata=analyzed.metadata,
            skip_layers=skips_layers(settings),
            image_layers_dir=paths.layers_dir,
        ),
        cache=cache,
        sources=sources,
    )


def skips_layers(settings: Settings) -> bool:
    """Say whether the platform wants no layers back."""
    return settings.switch("skip_layers") or settings.switch("skip_restore")


def build(
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    plan: Plan,
    *,
    environment: Mapping[str, str],
    run: Runner,
    output: Callable[[bytes], None],
    on_start: Callable[[Buildpack], None] = lambda _: None,
    paths: ImagePaths = IN_PLACE,
    shared: SharedBuild | None = None,
) -> BuildMetadata:
    """Run the group's buildpacks and leave metadata.toml for exporter and launcher.

    With ``shared`` each step ends with the outputs that other builders have too.
    """
    from lifecycle.phases.build import NO_OBSERVER
    from lifecycle.phases.build import build as phase

    inputs = build_inputs(settings, analyzed, group, plan, environment=environment)
    repository = repository_spec(settings)
    version = repository.get("cache-version") if repository else ""
    # An exporter of its own shares the steps later, with what this process has seen of them.
    later = settings.phase is Phase.BUILDER and repository is not None
    asked = bool(settings.list("cache_to") or settings.list("cache_from") or later)
    seen = _recorder(inputs, analyzed, paths, version) if asked or shared else None
    remove_observed(inputs.layers_dir)
    run_all = partial(phase, inputs, run=run, output=output, on_buildpack_start=on_start, observer=seen or NO_OBSERVER)
    if shared is None or seen is None:
        built = run_all()
    else:
        with shared.converging(inputs, seen, paths) as settle:
            built = run_all(settle=settle)
    save_metadata(inputs.layers_dir / "config" / "metadata.toml", built.metadata, settings.api)
    if seen is not None and asked:
        save_observed(inputs.layers_dir, seen.steps)
    return built.metadata


def _recorder(inputs: BuildInputs, analyzed: Analyzed, paths: ImagePaths, version: str) -> StepRecorder:
    """Return who takes down what the keys of the steps consist of."""
    from lifecycle.cli.step_context import step_context
    from lifecycle.phases.step_recorder import StepRecorder

    context = step_context(inputs, analyzed, image_layers_dir=str(paths.layers_dir or ""))
    return StepRecorder(replace(context, cache_version=version))


def with_step_keys(sources: CacheSources, inputs: BuildInputs, analyzed: Analyzed, paths: ImagePaths) -> CacheSources:
    """Return the sources with the keys of the steps to come, where one of them knows steps by keys."""
    if not sources.opened:
        return sources
    from lifecycle.cli.step_context import with_keys

    return with_keys(sources, inputs, analyzed, image_layers_dir=str(paths.layers_dir or ""))


def build_inputs(
    settings: Settings, analyzed: Analyzed, group: Group, plan: Plan, *, environment: Mapping[str, str]
) -> BuildInputs:
    """Return what a build depends on."""
    from lifecycle.phases.build import BuildInputs

    return BuildInputs(
        platform_api=settings.api,
        app_dir=settings.path("app"),
        layers_dir=settings.path("layers"),
        buildpacks_dir=settings.path("buildpacks"),
        platform_dir=settings.path("platform"),
        build_config_dir=settings.path("build_config"),
        group=group,
        plan=plan,
        target=known_target(analyzed, announced=True),
        exec_env=exec_env(settings),
        process_env=environment,
    )


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is ready to go: its inputs and the two images that it builds on."""

    inputs: ExportInputs
    base: Image
    previous: Image | None
    extended: Image | None


def prepare_export(
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    metadata: BuildMetadata,
    *,
    images: ImageStore,
    paths: ImagePaths = IN_PLACE,
) -> Export:
    """Gather what an export needs; raise ``ExportError`` if the run image is missing."""
    from lifecycle.phases.export_inputs import ExportInputs

    reference = analyzed.run_image.reference if analyzed.run_image else ""
    if not reference:
        raise InvalidInputError("run image not found in analyzed metadata", remedy="run the analyzer first")
    base = images.find(reference)
    if base is None:
        raise ExportError("the run image is not there any more", where=reference)
    previous = images.find(analyzed.image.reference) if analyzed.image and analyzed.image.reference else None
    project = load(ProjectMetadata, settings.path("project_metadata"), missing_ok=True)
    if project is None:
        _LOG.debug("no project metadata found at path '%s'", settings.path("project_metadata"))
    inputs = ExportInputs(
        api=settings.api,
        names=tuple(dict.fromkeys((*settings.images, *settings.list("tag")))),
        layers_dir=settings.path("layers"),
        app_dir=settings.path("app"),
        group=group,
        build_metadata=metadata,
        analyzed=analyzed,
        launcher=LauncherSource(version=__version__, repository=LAUNCHER_REPOSITORY, commit=""),
        uid=settings.number("uid"),
        gid=settings.number("gid"),
        image_layers_dir=paths.layers_dir,
        image_app_dir=paths.app_dir,
        normalise_ancestors=paths.normalise_ancestors,
        run=read_run(settings),
        stack=read_stack(settings),
        project_metadata=project or ProjectMetadata(),
        launcher_path=settings.path("launcher"),
        launcher_sbom_dir=settings.path("launcher_sbom"),
        process_type=settings.text("process_type"),
        source_date_epoch=settings.text("source_date_epoch") or None,
        exec_env=exec_env(settings) or settings.text("exec_env"),
    )
    return Export(inputs, base, previous, _extended_image(settings))


def _extended_image(settings: Settings) -> Image | None:
    """Open the run image as image extensions left it, if they did."""
    if PlatformFeature.RUN_IMAGE_EXTENSION not in settings.api:
        return None
    from lifecycle.phases.extended_run_image import extended_layout

    layout = extended_layout(settings.path("extended"))
    if layout is None:
        return None
    from lifecycle.images.layout import DirectoryStore

    return DirectoryStore(layout).find("")


def export(
    settings: Settings,
    ready: Export,
    *,
    images: ImageStore,
    cache: Cache | None,
    use: CacheUse | None = None,
    targets: CacheTargets | None = None,
    shared: SharedBuild | None = None,
    observe: Callable[[LayerVerdict], None] = lambda _: None,
    observe_cache: Callable[[LayerVerdict], None] = lambda _: None,
    progress: Progress = NO_PROGRESS,
) -> Exported:
    """Write the image, report.toml and then the cache, whose failure is only a warning.

    ``use`` is what restoration found in the caches that the user named, ``targets`` those that are written at the end,
    ``shared`` what became of the steps in a cache that builders share.
    With ``-parallel`` the cache is prepared meanwhile, but takes the place of the old one only after the image.
    """
    from lifecycle.phases.cache_export import export_cache
    from lifecycle.phases.export import export as phase

    def write_image(work_dir: str) -> Exported:
        exported = phase(
            ready.inputs,
            images=images,
            base=ready.base,
            previous=ready.previous,
            extended=ready.extended,
            elsewhere=use.elsewhere_for(ready.base) if use else {},
            work_dir=Path(work_dir),
            observe=observe,
            progress=progress,
            before_write=partial(_changed, ready.inputs, targets, shared),
        )
        _save_reports(settings, exported, use, shared)
        if shared is not None:
            shared.after_write(exported.written, ready.inputs.app_dir, ready.inputs.project_metadata.source)
        return exported

    def write_image_and_cache(work_dir: str) -> Exported:
        if cache is None:
            if settings.switch("parallel"):
                _LOG.warning(
                    "Parallel export has been enabled, but it has not taken effect because no cache has been specified."
                )
            return write_image(work_dir)
        write_cache = partial(export_cache, ready.inputs, cache=cache, observe=observe_cache)
        if not settings.switch("parallel"):
            exported = write_image(work_dir)
            write_cache(exported=exported.verdicts, blobs=exported.blobs)
            return exported
        image_written: Future[None] = Future()
        with ThreadPoolExecutor(max_workers=1) as worker:
            worker.submit(write_cache, before_commit=image_written.result)
            try:
                exported = write_image(work_dir)
            except BaseException:
                image_written.cancel()
                raise
            image_written.set_result(None)
        return exported

    with TemporaryDirectory(prefix="lifecycle.exporter.layer") as work_dir:
        exported = write_image_and_cache(work_dir)
        if targets is not None:
            targets.write(ready.inputs)
        return exported


def _changed(
    inputs: ExportInputs,
    targets: CacheTargets | None,
    shared: SharedBuild | None,
    image: NewImage,
    verdicts: Sequence[LayerVerdict],
) -> NewImage:
    """Return the image as the caches want it."""
    if targets is not None:
        image = targets.before_write(inputs, image, verdicts)
    return image if shared is None else shared.before_write(image)


def _save_reports(settings: Settings, exported: Exported, use: CacheUse | None, shared: SharedBuild | None) -> None:
    report = exported.report
    if use is not None:
        report = report.model_copy(update={"cache": use.exported(exported.verdicts)})
    if shared is not None:
        report = report.model_copy(update={"cache": shared.reported(report.cache)})
    save(settings.path("report"), report.struct())
    if report.cache is not None:
        write_report(settings.optional_path("cache_report"), report.cache)
