"""The exporter.  Spec: platform.md "Exporter"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phases import named_caches
from lifecycle.cli.steps.export import export, prepare_export
from lifecycle.cli.steps.inputs import read_analyzed, read_group, resolving_inputs
from lifecycle.cli.stores.phase import open_cache
from lifecycle.files.codec import load
from lifecycle.files.half_replaced import check_not_half_replaced
from lifecycle.model.build_metadata import BuildMetadata

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def exporter(running: Running, settings: Settings) -> None:
    """Write the app image, report.toml and the caches."""
    images = running.images(settings)
    with resolving_inputs():
        analyzed = read_analyzed(settings)
    group = read_group(settings)
    metadata = load(BuildMetadata, settings.path("layers") / "config" / "metadata.toml")
    check_not_half_replaced(settings.path("layers"))
    cache = open_cache(settings, running.remote)
    use, former = named_caches.left_by_restorer(running, settings)
    lease = named_caches.lease(running, settings, former)
    shared = named_caches.share_build(running, settings, analyzed, images=images, use=use, lease=lease)
    if shared is not None:
        running.step = Phase.EXPORTER
        metadata = shared.publish(settings.path("layers"), group, metadata, settings.api)
        running.step = None
    ready = prepare_export(settings, analyzed, group, metadata, images=images)
    targets = named_caches.open_targets(running, settings)
    running.step = Phase.EXPORTER
    export(settings, ready, images=images, cache=cache, use=use, targets=targets, shared=shared)
