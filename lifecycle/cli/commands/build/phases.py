"""The phases of ``lifecycle build``, one after the other in this process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.cli.caches.repository import lease_cache, share_build, with_own_layers
from lifecycle.cli.caches.sources import use_of
from lifecycle.cli.caches.targets import open_targets
from lifecycle.cli.commands.build.extension import check_dockerfiles, extend_run_image
from lifecycle.cli.commands.build.paths import APP, LAYERS
from lifecycle.cli.steps.analyze import analyze
from lifecycle.cli.steps.build import build, build_inputs, with_step_keys
from lifecycle.cli.steps.detect import DetectedGroup, detect
from lifecycle.cli.steps.export import export, prepare_export
from lifecycle.cli.steps.image_paths import ImagePaths
from lifecycle.cli.steps.inputs import exec_env, known_target
from lifecycle.cli.steps.restore import restore
from lifecycle.cli.stores.phase import cache_images, open_cache
from lifecycle.errors import BuildpackDetectError, LifecycleError, NoGroupDetectedError
from lifecycle.executables.process import run_process
from lifecycle.phases.restore_run_image import identify_run_image
from lifecycle.rules.detection import ERROR, GroupErroredError, NoGroupPassedError, Verdict
from lifecycle.rules.detection_explained import about_order, suggestions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.store import Cache
    from lifecycle.cli.caches.sources import CacheUse
    from lifecycle.cli.commands.build.images import BuildImages
    from lifecycle.cli.commands.build.stepping import BuildSteps
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.logs.build_log import BuildLog
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.rules.detection import Attempt


def run_phases(
    settings: Settings,
    images: BuildImages,
    remote: RemoteStores,
    environment: Mapping[str, str],
    log: BuildLog,
    *,
    seen: Settings,
    source: Path,
    work_dir: Path,
    steps: BuildSteps,
    warn: Callable[[], None],
    open_caches: Callable[..., CacheSources],
) -> None:
    """Run the phases; those that run buildpacks have the paths of ``seen``, and the app is a copy of ``source``.

    ``work_dir`` does not exist; a run image that is to be extended is unpacked there.
    """
    paths = ImagePaths(LAYERS, APP, normalise_ancestors=True)
    cache = open_cache(settings, remote, progress=log.progress)
    targets = open_targets(settings, remote, progress=log.progress)
    log.heading("Analyzing")
    analyzed = analyze(settings, images=images, cache_images=cache_images(settings, remote), paths=paths)
    previous = analyzed.image.reference if analyzed.image else ""
    log.note(f"previous image {previous}" if previous else "no previous image, every layer will be new")
    log.heading("Detecting")
    found = _detect(seen, analyzed, environment, log)
    log.group(found.group)
    steps.detected(found.group)
    to_extend = check_dockerfiles(found)
    images, found = _follow_extensions(settings, analyzed, found, images, log)
    log.heading("Restoring")
    lease = lease_cache(settings, remote)
    sources = open_caches(target=known_target(found.analyzed), exec_env=exec_env(settings), layers_dir=str(LAYERS))
    if sources.opened:
        sources = with_own_layers(sources, cache, found.analyzed)
        inputs = build_inputs(seen, found.analyzed, found.group, found.plan, environment=environment)
        sources = with_step_keys(settings, sources, inputs, found.analyzed, paths)
    use = _restore(settings, found, log, cache=cache, sources=sources, paths=paths)
    taken = use.elsewhere if use else {}
    shared = share_build(settings, remote, found.analyzed, images=images, taken=taken, lease=lease, source_dir=source)
    steps.restored()
    if to_extend:
        log.heading("Extending")
        extend_run_image(settings, found.group, images, work_dir=work_dir, environment=environment, output=log.output)
    log.heading("Building")
    metadata = build(
        seen,
        found.analyzed,
        found.group,
        found.plan,
        environment=environment,
        run=steps.run,
        output=log.output,
        on_start=steps.started,
        paths=paths,
        shared=shared,
    )
    for row in () if shared is None else shared.rows:
        log.note(row.told())
    warn()
    log.heading("Exporting")
    ready = prepare_export(settings, found.analyzed, found.group, metadata, images=images, paths=paths)
    exported = export(
        settings,
        ready,
        images=images,
        cache=cache,
        use=use,
        targets=targets,
        shared=shared,
        observe=log.layer,
        observe_cache=log.cached,
        progress=log.progress,
    )
    if exported.written.failures:
        raise LifecycleError("; ".join(f"{name}: {why}" for name, why in exported.written.failures.items()))
    log.result(exported.written, verdicts=exported.verdicts)


def _restore(
    settings: Settings,
    found: DetectedGroup,
    log: BuildLog,
    *,
    cache: Cache | None,
    sources: CacheSources,
    paths: ImagePaths,
) -> CacheUse | None:
    """Restore layers, say where they come from, and return what the caches that the user named were good for."""
    account = restore(settings, found.analyzed, found.group, cache=cache, sources=sources, paths=paths)
    use = use_of(settings, found.analyzed, sources, account)
    if use is not None and sources.opened:
        log.restored_from(use.report)
    else:
        log.restored(account)
    return use


def explain_detection(
    settings: Settings,
    images: BuildImages,
    environment: Mapping[str, str],
    log: BuildLog,
    *,
    seen: Settings,
) -> None:
    """Run the phases up to detection and say what became of each buildpack that was tried, and why.

    Raises ``DetectionError`` where none passed, after saying what order would.
    """
    log.heading("Analyzing")
    analyzed = analyze(settings, images=images, paths=ImagePaths(LAYERS, APP, normalise_ancestors=True))
    log.heading("Detecting")
    found = _detect(seen, analyzed, environment, log, explains=True)
    log.attempts(found.attempts)
    log.suggestions(suggestions(found.attempts))
    log.heading("Would build with")
    log.group(found.group)
    log.plan(found.resolved)


def _detect(
    settings: Settings, analyzed: Analyzed, environment: Mapping[str, str], log: BuildLog, *, explains: bool = False
) -> DetectedGroup:
    """Detect; say of groups that fail why, and what order would pass: with ``explains`` whatever it takes."""

    def explain(attempts: Sequence[Attempt], otherwise: str) -> str:
        """Return what to do."""
        found = [each for each in suggestions(attempts) if explains or about_order(each)]
        log.attempts(attempts)
        log.suggestions(found)
        return "change the order as told above" if any(map(about_order, found)) else otherwise

    try:
        return detect(
            settings,
            analyzed,
            environment=environment,
            run=run_process,
            output=log.output,
            allow_extensions=lambda: None,
        )
    except NoGroupPassedError as error:
        if not any(attempt.elements for attempt in error.attempts):
            raise NoGroupDetectedError(
                "the order has no group of buildpacks", remedy="give it [[order]] tables with [[order.group]] in them"
            ) from error
        remedy = explain(
            error.attempts,
            "check that APP is the directory of the app's source, or name a buildpack for it with --buildpack",
        )
        raise NoGroupDetectedError("no group of buildpacks fits this app", remedy=remedy) from error
    except GroupErroredError as error:
        explain(error.attempts, "")
        raise BuildpackDetectError(
            "no group of buildpacks passed detection, and one at least failed with an error",
            remedy="what it printed, above, should tell why" if _ran(error.attempts) else None,
        ) from error


def _ran(attempts: Sequence[Attempt]) -> bool:
    """Say whether the error is one that a ``bin/detect`` ended with."""
    return any(
        each.verdict is Verdict.ERROR and each.code != ERROR for attempt in attempts for each in attempt.elements
    )


def _follow_extensions(
    settings: Settings, analyzed: Analyzed, found: DetectedGroup, images: BuildImages, log: BuildLog
) -> tuple[BuildImages, DetectedGroup]:
    """Return the images and the analysis with the run image that extensions chose."""
    before, after = analyzed.run_image, found.analyzed.run_image
    if after is None or before is None or after.reference == before.reference:
        return images, found
    log.note(f"extensions switched the run image to {after.reference}")
    images = images.with_run_image(after.reference)
    identified = identify_run_image(found.analyzed, api=settings.api, images=images)
    return images, replace(found, analyzed=identified)
