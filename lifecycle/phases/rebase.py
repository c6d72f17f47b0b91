"""Rebase: a finished app image on a new run image.  Only manifest and configuration are made anew.

Spec: platform.md "Rebaser".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import ImageNotFoundError, RebaseError
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.model.api import PlatformApi, PlatformFeature
from lifecycle.model.label_text import read_lifecycle_metadata
from lifecycle.model.report import Report
from lifecycle.oci.gojson import dumps
from lifecycle.phases.readable_run_image import readable_run_image
from lifecycle.phases.save_image import image_report, save_image
from lifecycle.phases.timer import timed
from lifecycle.rules import rebase as rules
from lifecycle.rules.image_config import LIFECYCLE_LABEL

if TYPE_CHECKING:
    from lifecycle.images.store import Image, ImageStore, WrittenImage
    from lifecycle.model.lifecycle_metadata import LifecycleMetadata

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebaseInputs:
    """What a rebase needs to know.  Spec: platform.md "Rebaser" (inputs).

    ``names`` are written; ``previous_image`` is the app image, the first of ``names`` unless given.  ``run_image``
    is the new run image, that of the app image's label unless given.  ``force`` allows what is unsafe.
    """

    api: PlatformApi
    names: tuple[str, ...]
    previous_image: str = ""
    run_image: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class RebasePlan:
    """Both images, what the label of the app image says, and the name of the run image."""

    app: Image
    metadata: LifecycleMetadata
    run_image: str


@dataclass(frozen=True, slots=True)
class Rebased:
    """The image that was written and what report.toml says of it."""

    written: WrittenImage
    report: Report


def plan_rebase(inputs: RebaseInputs, *, images: ImageStore) -> RebasePlan:
    """Look at the app image and choose its new run image; raise ``RebaseError`` or ``ImageError``."""
    name = inputs.previous_image or inputs.names[0]
    app = images.find(name)
    if app is None:
        raise RebaseError(f"failed to access image to rebase: '{name}' is not there", remedy="correct its name")
    text = app.config.labels.get(LIFECYCLE_LABEL, "")
    if not text:
        raise RebaseError(
            f"'{name}' is not an app image: it has no label {LIFECYCLE_LABEL}",
            remedy="name an image that buildpacks built",
        )
    try:
        metadata = read_lifecycle_metadata(text)
    except ValueError as error:
        raise RebaseError(
            f"'{name}' has a label {LIFECYCLE_LABEL} that can't be understood", remedy="build the app again"
        ) from error
    run_image = inputs.run_image
    if not run_image:
        offered = rules.recorded_run_image(inputs.api, metadata)
        run_image = readable_run_image(offered, app_image=name, images=images)
    return RebasePlan(app, metadata, run_image)


def find_run_image(plan: RebasePlan, *, images: ImageStore) -> Image:
    """Return the new run image; raise ``ImageNotFoundError`` where there is none."""
    base = images.find(plan.run_image)
    if base is None:
        raise ImageNotFoundError(
            f"failed to access run image: '{plan.run_image}' is not there", remedy="correct -run-image"
        )
    return base


@timed("Rebaser")
def rebase(inputs: RebaseInputs, plan: RebasePlan, base: Image, *, images: ImageStore) -> Rebased:
    """Write the app image on its new run image under all names.

    Raises ``RebaseError`` where the two don't fit and ``inputs.force`` is not set, ``ExportError`` where it can't be
    written.
    """
    app, metadata = plan.app, plan.metadata
    for objection in rules.objections(app.config, base.config):
        _overrule(objection, force=inputs.force)
    kept = rules.layers_above(app.config, metadata)
    renamed = ""
    if PlatformFeature.RUN_IMAGE_IN_LABEL in inputs.api:
        stranger = rules.unknown_name(metadata, plan.run_image)
        if stranger is not None:
            _overrule(stranger, force=inputs.force)
            renamed = plan.run_image
    labels = rules.rebased_labels(inputs.api, app.config, base.config)
    said = rules.rebased_metadata(metadata, base.config, reference=base.reference, renamed=renamed)
    labels[LIFECYCLE_LABEL] = dumps(said.label())
    config = rules.rebased_config(app.config, base.config, kept=kept, labels=labels)
    layers = tuple(ReusedLayer(app, diff_id) for diff_id in kept)
    written = save_image(images, NewImage(base, layers, config), inputs.names)
    return Rebased(written, Report(image=image_report(written)))


def _overrule(objection: str, *, force: bool) -> None:
    if not force:
        raise RebaseError(objection, remedy="please provide -force to override")
    _LOG.warning("%s", objection)
