"""The caches that a phase's inputs name besides its own one, from its start to its end.

Where they name none, nothing of them is loaded.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from lifecycle.cli.caches.specs import shared_specs, snapshot_path, source_specs
from lifecycle.cli.steps.inputs import exec_env, known_target, skips_layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cache.distributed.usage import BuildLease
    from lifecycle.cache.store import Cache
    from lifecycle.cli.caches.repository import SharedBuild
    from lifecycle.cli.caches.sources import CacheUse
    from lifecycle.cli.caches.targets import CacheTargets
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running
    from lifecycle.images.store import ImageStore
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.restore import RestoredLayers


def lease(running: Running, settings: Settings, former: str = "") -> BuildLease | None:
    """Let nothing be deleted from a shared cache that this build may use; ``None`` where there is none to lease.

    ``former`` is the name of the lease that a phase before this one has.
    """
    if not settings.text("cache_repo"):
        return None
    from lifecycle.cli.caches.repository import lease_cache

    return lease_cache(settings, running.remote, former)


def open_sources(  # what a build is known by
    running: Running,
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    *,
    plan: Callable[[], Plan],
    written: str,
    cache: Cache | None,
) -> CacheSources | None:
    """Open the caches that layers may come from, ``None`` where no input names one.

    ``written`` is, or is like, the name of the image to write.  To a buildpack with layers in the phase's own
    ``cache``, shared caches offer the very same step only.
    """
    specs = (*source_specs(settings), *shared_specs(settings))
    if not specs or skips_layers(settings):
        return None
    from lifecycle.cli.caches.repository import with_own_layers
    from lifecycle.cli.caches.sources import open_sources as open_named
    from lifecycle.cli.caches.sources import registry_of
    from lifecycle.cli.steps.build import build_inputs, with_step_keys
    from lifecycle.cli.steps.image_paths import IN_PLACE

    elsewhere = settings.switch("daemon") or settings.switch("layout")
    sources = open_named(
        specs,
        running.remote,
        target=known_target(analyzed),
        exec_env=exec_env(settings),
        layers_dir=str(settings.path("layers")),
        registry="" if elsewhere else registry_of(written),
    )
    sources = with_own_layers(sources, cache, analyzed)
    inputs = build_inputs(settings, analyzed, group, plan(), environment=running.environment)
    return with_step_keys(settings, sources, inputs, analyzed, IN_PLACE)


def use_of(
    settings: Settings, analyzed: Analyzed, sources: CacheSources | None, account: RestoredLayers
) -> CacheUse | None:
    """Return what a restoration leaves for export and reports, ``None`` where nobody named a source or a report."""
    if sources is None and not settings.text("cache_report"):
        return None
    from lifecycle.cli.caches.sources import use_of as use_of_sources
    from lifecycle.phases.cache_sources import NO_SOURCES

    return use_of_sources(settings, analyzed, sources or NO_SOURCES, account)


def leave_for_exporter(settings: Settings, use: CacheUse | None, lease: BuildLease | None) -> None:
    """Leave for the exporter what a restoration found, or take away what another build left; write the report."""
    if use is None:
        if lease is not None:
            lease.end()
        with contextlib.suppress(OSError):
            snapshot_path(settings).unlink(missing_ok=True)
        return
    from lifecycle.cli.caches.sources import save_snapshot, write_report

    save_snapshot(settings, use, "" if lease is None else lease.name)
    write_report(settings.optional_path("cache_report"), use.report)


def left_by_restorer(running: Running, settings: Settings) -> tuple[CacheUse | None, str]:
    """Return what the restorer left, ``None`` where it found nothing in named caches, and the name of its lease."""
    if not os.path.lexists(snapshot_path(settings)):
        return None, ""
    from lifecycle.cli.caches.sources import load_snapshot, use_again

    snapshot = load_snapshot(settings)
    if snapshot is None:
        return None, ""
    return use_again(settings, snapshot.cache, running.remote), snapshot.lease


def share_build(
    running: Running,
    settings: Settings,
    analyzed: Analyzed,
    *,
    images: ImageStore,
    use: CacheUse | None,
    lease: BuildLease | None,
) -> SharedBuild | None:
    """Return the build's part in the cache that ``-cache-repo`` names, ``None`` where there is none."""
    if not settings.text("cache_repo"):
        return None
    from lifecycle.cli.caches.repository import share_build as share_in_repository

    taken = use.elsewhere if use else {}
    return share_in_repository(settings, running.remote, analyzed, images=images, taken=taken, lease=lease)


def open_targets(running: Running, settings: Settings) -> CacheTargets | None:
    """Return the caches to write, ``None`` where no input names one; raise ``InvalidInputError``."""
    if not settings.list("cache_to"):
        return None
    from lifecycle.cli.caches.targets import open_targets as open_named

    return open_named(settings, running.remote)
