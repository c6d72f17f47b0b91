"""The analyzer.  Spec: platform.md "Analyzer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phase_stores import cache_images
from lifecycle.cli.steps.analyze import analyze
from lifecycle.files.codec import save

if TYPE_CHECKING:
    from lifecycle.cli.phases.running import Running
    from lifecycle.cli.settings import Settings


def analyzer(running: Running, settings: Settings) -> None:
    """Write analyzed.toml."""
    images = running.images(settings)
    running.step = Phase.ANALYZER
    analyzed = analyze(settings, images=images, cache_images=cache_images(settings, running.remote))
    save(settings.path("analyzed"), analyzed.struct())
