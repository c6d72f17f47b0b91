"""``-cache-to type=inline``: the app image is a cache of its own launch layers.

BuildKit finds the records in the configuration's member ``moby.buildkit.cache.v0``, we find ours in one label.  Both
change the image's digest, so nobody gets them without asking.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.targets.buildkit_manifest import checked_size, inline_records
from lifecycle.cache.targets.cache_index import CachedBuild, cached_steps
from lifecycle.cache.targets.cache_index import dumps as index_bytes
from lifecycle.cache.targets.cache_index import loads as read_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.images.store import NewImage
    from lifecycle.model.cached_step import CachedStep
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.manifest import Manifest

LABEL: Final = "cnb-lifecycle.cache.records"
"""The label of an app image that is a cache: our index with one build, without places of blobs."""


def with_inline_cache(image: NewImage, steps: Sequence[StepRecord]) -> NewImage:
    """Return the image with the records of its steps; raise ``CacheError`` if BuildKit could not read it."""
    build = CachedBuild("min", tuple(map(_of_image, steps)))
    label = index_bytes((build,)).decode()
    run = {**image.config.run, "Labels": {**image.config.labels, LABEL: label}}
    config = replace(image.config, run=run, inline_cache=inline_records(build, image.config.diff_ids))
    checked_size(config.dumps(), what="configuration with an inline cache")
    return replace(image, config=config)


def inline_steps(config: ImageConfig, manifest: Manifest) -> tuple[CachedStep, ...] | None:
    """Return the steps that an image remembers in its label, ``None`` if it has none; raise ``CacheError``."""
    records = inline_step_records(config)
    if records is None:
        return None
    blobs = dict(zip(config.diff_ids, manifest.layers, strict=False))

    def placed(step: StepRecord) -> StepRecord:
        layers = (replace(each, blob=blobs.get(each.diff_id) if each.diff_id else None) for each in step.layers)
        return step.keeping(tuple(layers))

    return cached_steps((CachedBuild("min", tuple(map(placed, records))),))


def inline_step_records(config: ImageConfig) -> tuple[StepRecord, ...] | None:
    """Return the records in an image's label, ``None`` if it has none; raise ``CacheError``."""
    label = config.labels.get(LABEL)
    if label is None:
        return None
    builds = read_index(label.encode("utf-8", "surrogateescape"), where=f"label {LABEL}")
    return tuple(step for build in builds for step in build.steps)


def _of_image(step: StepRecord) -> StepRecord:
    """Return what of a step its image remembers."""
    outputs = {name: each for name, each in step.outputs.items() if name == "store.toml"}
    return replace(step, outputs=outputs, layers=tuple(replace(layer, blob=None) for layer in step.layers))
