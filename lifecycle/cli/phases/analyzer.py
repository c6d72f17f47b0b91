"""The analyzer.  Spec: platform.md "Analyzer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.steps.analyze import analyze
from lifecycle.cli.stores.phase import cache_images
from lifecycle.files.codec import save

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def analyzer(running: Running, settings: Settings) -> None:
    """Write analyzed.toml."""
    images = running.images(settings)
    running.step = Phase.ANALYZER
    analyzed = analyze(settings, images=images, cache_images=cache_images(settings, running.remote))
    save(settings.path("analyzed"), analyzed.struct())
