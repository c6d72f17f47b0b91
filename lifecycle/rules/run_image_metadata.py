"""What an app image records of its run image.

Spec: platform.md "io.buildpacks.lifecycle.metadata (JSON)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.api import PlatformFeature
from lifecycle.model.lifecycle_metadata import RunImageMetadata
from lifecycle.model.run import Run, RunImage, Stack
from lifecycle.oci.reference import same_image_name

if TYPE_CHECKING:
    from lifecycle.model.api import PlatformApi

EMPTY_LAYOUT_IMAGE = "sha256:9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0"
"""The manifest of linux/amd64 without layers that the reference makes where it has no base image."""


def run_image_names(api: PlatformApi, *, chosen: str, run: Run, stack: Stack, extended: bool) -> RunImage:
    """Return the name and the mirrors of the run image ``chosen`` by analysis.

    ``extended`` says that extensions took part: they may have switched to an image that run.toml does not
    list. Reference: platform/run_image.go.
    """
    if PlatformFeature.RUN_TOML not in api:
        return stack.run_image
    if not run.images:
        return RunImage()
    for entry in run.images:
        if chosen and any(same_image_name(chosen, name) for name in entry.names()):
            return entry
    return RunImage(image=chosen) if extended else run.images[0]


def recorded_reference(reference: str) -> str:
    """Return the reference of a run image as the label records it.

    Reference: of a run image in a layout it is the path, with the digest of an image that is empty: the exporter
    opens the path without its content.  ADR 0010 says why we write that too.
    """
    path, at, _ = reference.rpartition("@")
    return f"{path}@{EMPTY_LAYOUT_IMAGE}" if at and path.startswith("/") else reference


def run_image_label(api: PlatformApi, names: RunImage, *, top_layer: str, reference: str) -> RunImageMetadata:
    """Return the object ``runImage`` of the label; names and mirrors are in it from Platform API 0.12."""
    reference = recorded_reference(reference)
    if PlatformFeature.RUN_IMAGE_IN_LABEL not in api:
        return RunImageMetadata(topLayer=top_layer, reference=reference)
    return RunImageMetadata(topLayer=top_layer, reference=reference, image=names.image, mirrors=names.mirrors)
