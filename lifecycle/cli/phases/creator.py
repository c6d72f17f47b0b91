"""The creator: all phases of a build in one process.  Spec: platform.md "Creator"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phases import named_caches
from lifecycle.cli.phases.detector import detect_group
from lifecycle.cli.steps.analyze import analyze
from lifecycle.cli.steps.build import build
from lifecycle.cli.steps.export import export, prepare_export
from lifecycle.cli.steps.restore import restore
from lifecycle.cli.stores.phase import cache_images, open_cache
from lifecycle.executables.process import run_process
from lifecycle.files.codec import save
from lifecycle.model.api import PlatformFeature

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def creator(running: Running, settings: Settings) -> None:
    """Write the app image, report.toml and the caches, and the files of the phases before."""
    images = running.images(settings)
    cache = open_cache(settings, running.remote)
    running.enter(Phase.ANALYZER, "ANALYZING")
    analyzed = analyze(settings, images=images, cache_images=cache_images(settings, running.remote))
    save(settings.path("analyzed"), analyzed.struct())
    running.enter(Phase.DETECTOR, "DETECTING")
    found = detect_group(running, settings, analyzed, generates=False)
    analyzed, group, plan = found.analyzed, found.group, found.plan
    save(settings.path("group"), group.struct())
    save(settings.path("plan"), plan.struct())
    use = None
    lease = named_caches.lease(running, settings)
    if PlatformFeature.CREATOR_ALWAYS_RESTORES in settings.api or not settings.switch("skip_restore"):
        running.enter(Phase.RESTORER, "RESTORING")
        sources = named_caches.open_sources(
            running, settings, analyzed, group, plan=lambda: plan, written=settings.images[0], cache=cache
        )
        account = restore(settings, analyzed, group, cache=cache, sources=sources)
        use = named_caches.use_of(settings, analyzed, sources, account)
    shared = named_caches.share_build(running, settings, analyzed, images=images, use=use, lease=lease)
    running.enter(Phase.BUILDER, "BUILDING")
    metadata = build(
        settings,
        analyzed,
        group,
        plan,
        environment=running.environment,
        run=run_process,
        output=running.output,
        shared=shared,
    )
    running.enter(None, "EXPORTING")
    ready = prepare_export(settings, analyzed, group, metadata, images=images)
    targets = named_caches.open_targets(running, settings)
    running.step = Phase.EXPORTER
    export(settings, ready, images=images, cache=cache, use=use, targets=targets, shared=shared)
