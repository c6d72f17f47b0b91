"""Analysis.  Spec: platform.md "Analyzer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.steps.image_paths import IN_PLACE, ImagePaths
from lifecycle.cli.steps.inputs import read_run, read_stack, resolving_inputs, skips_layers
from lifecycle.phases.analyze import AnalyzeInputs
from lifecycle.phases.analyze import analyze as phase

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.images.store import ImageStore
    from lifecycle.model.analyzed import Analyzed


def analyze(
    settings: Settings,
    *,
    images: ImageStore,
    cache_images: ImageStore | None = None,
    paths: ImagePaths = IN_PLACE,
) -> Analyzed:
    """Look at the previous image and choose the run image; ``cache_images`` has the cache image, if there is one."""
    with resolving_inputs():
        run, stack = read_run(settings), read_stack(settings)
    inputs = AnalyzeInputs(
        api=settings.api,
        image=settings.images[0],
        image_name=(settings.image_names or settings.images)[0],
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
