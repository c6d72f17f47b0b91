"""Analysis: what the last build left, and which run image this build uses.

Spec: platform.md "Analyzer", buildpack.md "Analysis".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import (
    CorruptImageError,
    ImageNotFoundError,
    UnsafeArchiveError,
    VerificationError,
)
from lifecycle.model.analyzed import Analyzed, ImageIdentifier, RunImageChoice
from lifecycle.model.api import PlatformApi, PlatformFeature
from lifecycle.model.label_text import read_lifecycle_metadata
from lifecycle.model.lifecycle_metadata import LifecycleMetadata
from lifecycle.model.run import Run, Stack
from lifecycle.oci.digest import DiffId
from lifecycle.oci.reference import parse_reference
from lifecycle.phases.layer_sboms import restore_launch_sboms
from lifecycle.phases.readable_run_image import readable_run_image
from lifecycle.phases.timer import timed
from lifecycle.rules.image_config import LIFECYCLE_LABEL
from lifecycle.rules.run_image import analyzed_name, offered_run_image, target_data

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from lifecycle.images.store import Image, ImageStore

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeInputs:
    """What an analysis needs to know.  Spec: platform.md "Analyzer" (inputs).

    ``image`` and ``tags`` are the names to write; where ``writes_here`` is false, another place gets them, which
    can't be checked.  ``image_name`` tells the registry, where ``image`` is the path of a layout.
    ``previous_image`` is ``image`` unless given.  ``run_image`` is the one that the platform names, else ``run`` or
    ``stack`` offer one.  ``image_layers_dir`` is the place of the layers directory in images where that differs from
    ``layers_dir``.
    """

    api: PlatformApi
    image: str
    layers_dir: Path
    image_name: str = ""
    tags: tuple[str, ...] = ()
    previous_image: str = ""
    run_image: str = ""
    run: Run = field(default_factory=Run)
    stack: Stack = field(default_factory=Stack)
    cache_image: str = ""
    skip_layers: bool = False
    image_layers_dir: PurePosixPath | None = None
    writes_here: bool = True


@timed("Analyzer")
def analyze(inputs: AnalyzeInputs, *, images: ImageStore, cache_images: ImageStore | None = None) -> Analyzed:
    """Return what analyzed.toml will say, and restore the previous image's SBOM files to ``<layers>/sbom``.

    ``cache_images`` keeps the cache image, where that is another store than that of the app image.  Raises
    ``ImageError`` when a name can't be written or there is no run image, ``InvalidInputError`` when nobody names one.
    """
    if inputs.writes_here:
        images.check_write(tuple(dict.fromkeys((inputs.image, *inputs.tags))))
    if inputs.cache_image:
        (cache_images or images).check_write((_without_digest(inputs.cache_image),))
    run_image = _run_image(inputs, images)
    previous = _previous_image(inputs, images)
    return Analyzed(
        image=ImageIdentifier(reference=previous[0].reference if previous else ""),
        metadata=previous[1] if previous else LifecycleMetadata(),
        run_image=run_image,
    )


def _without_digest(name: str) -> str:
    """Return the name of a cache image to write; kpack names by its digest the one that restorers are to read."""
    reference = parse_reference(name)
    return reference.without_digest() if reference.digest else name


def _run_image(inputs: AnalyzeInputs, images: ImageStore) -> RunImageChoice:
    name = inputs.run_image or _offered(inputs, images)
    found = images.find(name)
    if found is None:
        raise ImageNotFoundError(
            f"run image '{name}' is not there", remedy="correct its name or make it readable for this build"
        )
    if PlatformFeature.TARGETS not in inputs.api:
        return RunImageChoice(reference=found.reference)
    return RunImageChoice(
        reference=found.reference,
        image=analyzed_name(name, found.reference),
        target=target_data(found.config, where=f"run image {name}"),
    )


def _offered(inputs: AnalyzeInputs, images: ImageStore) -> str:
    """Return the run image that the builder offers, or a mirror of it."""
    offered = offered_run_image(inputs.api, run=inputs.run, stack=inputs.stack)
    return readable_run_image(offered, app_image=inputs.image_name or inputs.image, images=images)


def _previous_image(inputs: AnalyzeInputs, images: ImageStore) -> tuple[Image, LifecycleMetadata] | None:
    """Return the image of the last build and its metadata, ``None`` if there is none that can be used.

    Spec: buildpack.md "Analysis": without one, nothing is restored and the build goes on.
    """
    name = inputs.previous_image or inputs.image
    try:
        image = images.find(name)
        if image is None:
            _LOG.info('Image with name "%s" not found', name)
            return None
        metadata = _metadata(image)
        if metadata is not None:
            _restore_sbom(inputs, image, metadata)
    except (CorruptImageError, VerificationError, UnsafeArchiveError) as error:
        _LOG.warning('Ignoring image "%s" because it was corrupt', name)
        _LOG.debug("%s", error)
        return None
    return None if metadata is None else (image, metadata)


def _metadata(image: Image) -> LifecycleMetadata | None:
    """Return what an image says of its build: empty if no lifecycle made it, ``None`` if unintelligible."""
    text = image.config.labels.get(LIFECYCLE_LABEL, "")
    try:
        return read_lifecycle_metadata(text) if text else LifecycleMetadata()
    except ValueError as error:
        _LOG.warning("Ignoring image \"%s\" because its label '%s' can't be understood", image.name, LIFECYCLE_LABEL)
        _LOG.debug("%s: %s", image.name, error)
        return None


def _restore_sbom(inputs: AnalyzeInputs, image: Image, metadata: LifecycleMetadata) -> None:
    """Restore the SBOM files of the launch layers, for the restorer to hand out.

    A layer that can't be read makes the whole image corrupt: reusing launch layers without their SBOM would
    lose it.  Files below another layers directory would not be found; the reference puts them there, out of sight.
    """
    if PlatformFeature.SBOM not in inputs.api or inputs.skip_layers or not metadata.sbom or not metadata.sbom.sha:
        return
    built_in = image.config.variables.get("CNB_LAYERS_DIR", "")
    expected = str(inputs.image_layers_dir or inputs.layers_dir)
    if built_in not in {"", expected}:
        _LOG.warning(
            'Not restoring SBOM from previous image "%s", whose layers directory is %s and not %s',
            image.name,
            built_in,
            expected,
        )
        return
    _LOG.info("Restoring data for SBOM from previous image")
    restore_launch_sboms(
        image.layer(DiffId(metadata.sbom.sha)),
        layers_dir=inputs.layers_dir,
        image_layers_dir=inputs.image_layers_dir,
    )
