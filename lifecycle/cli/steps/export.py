"""The export of the app image and of the cache.  Spec: platform.md "Exporter"."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.cli.steps.image_paths import IN_PLACE, ImagePaths
from lifecycle.cli.steps.inputs import exec_env, read_run, read_stack
from lifecycle.errors import ExportError, InvalidInputError
from lifecycle.files.codec import load, save
from lifecycle.files.work_dir import work_directory
from lifecycle.model.api import PlatformFeature
from lifecycle.model.build_metadata import LauncherSource
from lifecycle.model.project import ProjectMetadata
from lifecycle.phases.export import export as phase
from lifecycle.phases.export_inputs import ExportInputs
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifecycle.cache.store import Cache
    from lifecycle.cli.caches.repository import SharedBuild
    from lifecycle.cli.caches.sources import CacheUse
    from lifecycle.cli.caches.targets import CacheTargets
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.images.store import Image, ImageStore, NewImage
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.build_metadata import BuildMetadata
    from lifecycle.model.group import Group
    from lifecycle.phases.export import Exported
    from lifecycle.progress import Progress
    from lifecycle.rules.export_plan import LayerVerdict

_LOG = logging.getLogger(__name__)
LAUNCHER_REPOSITORY = "cnb-lifecycle"
"""The distribution whose sources have the launcher."""


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
    reference = analyzed.run_image.reference if analyzed.run_image else ""
    if not reference:
        raise InvalidInputError("run image not found in analyzed metadata", remedy="run the analyzer first")
    base = images.find(reference)
    if base is None:
        raise ExportError("the run image is not there any more", where=reference)
    previous = images.find(analyzed.image.reference) if analyzed.image and analyzed.image.reference else None
    project = load(ProjectMetadata, settings.path("project_metadata"), missing_ok=True)
    if project is None:
        path = settings.path("project_metadata")
        _LOG.debug('No project metadata found at path "%s", project metadata will not be exported', path)
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
        exec_env=exec_env(settings),
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

    def write_image(work_dir: Path) -> Exported:
        exported = phase(
            ready.inputs,
            images=images,
            base=ready.base,
            previous=ready.previous,
            extended=ready.extended,
            elsewhere=use.elsewhere_for(ready.base) if use else {},
            work_dir=work_dir,
            observe=observe,
            progress=progress,
            before_write=partial(_changed, ready.inputs, targets, shared),
        )
        _save_reports(settings, exported, use, shared)
        if shared is not None:
            shared.after_write(exported.written, ready.inputs.app_dir, ready.inputs.project_metadata.source)
        return exported

    def write_image_and_cache(work_dir: Path) -> Exported:
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
            cache_written = worker.submit(write_cache, before_commit=image_written.result)
            try:
                exported = write_image(work_dir)
            except BaseException:
                image_written.cancel()
                raise
            image_written.set_result(None)
            cache_written.result()
        return exported

    with work_directory("exporter") as work_dir:
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
        from lifecycle.cli.caches.sources import write_report

        write_report(settings.optional_path("cache_report"), report.cache)
