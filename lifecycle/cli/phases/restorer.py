"""The restorer.  Spec: platform.md "Restorer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phases import named_caches
from lifecycle.cli.steps.inputs import read_analyzed_if_usable, read_group, read_run
from lifecycle.cli.steps.restore import restore
from lifecycle.cli.stores.phase import open_cache
from lifecycle.files.codec import load, save
from lifecycle.model.api import PlatformFeature
from lifecycle.phases.restore_run_image import identify_run_image, must_be_identified, with_readable_run_image

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.plan import Plan


def restorer(running: Running, settings: Settings) -> None:
    """Bring back layers; leave analyzed.toml with the run image of the build, and what caches gave."""
    group = read_group(settings)
    analyzed = read_analyzed_if_usable(settings)
    if PlatformFeature.RESTORER_READS_RUN_TOML in settings.api:
        analyzed = with_readable_run_image(analyzed, run=read_run(settings), images=running.images(settings))
    if PlatformFeature.EXTENDER in settings.api and settings.text("build_image"):
        from lifecycle.cli.steps.base_images import keep_build_image

        analyzed = keep_build_image(analyzed, settings.text("build_image"), registry=running.remote.registry)
    if _is_to_be_extended(settings, analyzed):
        from lifecycle.cli.steps.base_images import keep_run_image

        analyzed = keep_run_image(analyzed, api=settings.api, registry=running.remote.registry)
    elif must_be_identified(analyzed, group, api=settings.api):
        analyzed = identify_run_image(analyzed, api=settings.api, images=running.images(settings))
    save(settings.path("analyzed"), analyzed.struct())
    cache = open_cache(settings, running.remote)
    lease = named_caches.lease(running, settings)
    sources = named_caches.open_sources(
        running,
        settings,
        analyzed,
        group,
        plan=lambda: _plan(settings),
        written=analyzed.image.reference if analyzed.image else "",
        cache=cache,
    )
    running.step = Phase.RESTORER
    account = restore(settings, analyzed, group, cache=cache, sources=sources)
    named_caches.leave_for_exporter(settings, named_caches.use_of(settings, analyzed, sources, account), lease)


def _is_to_be_extended(settings: Settings, analyzed: Analyzed) -> bool:
    """Say whether the extender needs the run image; one in a layout directory can't be extended."""
    return (
        PlatformFeature.RUN_IMAGE_EXTENSION in settings.api
        and not settings.switch("layout")
        and analyzed.run_image is not None
        and analyzed.run_image.extend
    )


def _plan(settings: Settings) -> Plan:
    from lifecycle.model.plan import Plan

    return load(Plan, settings.path("plan"), missing_ok=True) or Plan()
