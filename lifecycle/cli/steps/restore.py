"""Restoration.  Spec: platform.md "Restorer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.steps.image_paths import IN_PLACE, ImagePaths
from lifecycle.cli.steps.inputs import skips_layers
from lifecycle.phases.cache_sources import NO_SOURCES
from lifecycle.phases.restore import RestoreInputs
from lifecycle.phases.restore import restore as phase

if TYPE_CHECKING:
    from lifecycle.cache.store import Cache
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.restore import RestoredLayers


def restore(
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    *,
    cache: Cache | None,
    sources: CacheSources | None = None,
    paths: ImagePaths = IN_PLACE,
) -> RestoredLayers:
    """Bring back layers, their metadata and stores of the last build, or of those that ``sources`` remember."""
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
        sources=sources or NO_SOURCES,
    )
