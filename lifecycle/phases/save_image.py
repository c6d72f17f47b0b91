"""Writing an image under its names, with the messages that platforms know.  Reference: phase/save.go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.model.report import ImageReport
from lifecycle.phases.timer import timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.images.store import ImageStore, NewImage, WrittenImage

_LOG = logging.getLogger(__name__)
_SHORT = 12


def save_image(images: ImageStore, image: NewImage, names: Sequence[str]) -> WrittenImage:
    """Write ``image`` under all ``names``; raise ``ExportError`` when some could not be written."""
    if not names:
        raise ExportError("at least one image argument is required", remedy="name the image to write")
    with timed(f"Saving {names[0]}..."):
        return _save(images, image, names)


def _save(images: ImageStore, image: NewImage, names: Sequence[str]) -> WrittenImage:
    _LOG.info("Saving %s...", names[0])
    written = images.write(image, names)
    _LOG.info("*** Images (%s):", _shown(written))
    for name in names:
        failure = written.failures.get(name)
        _LOG.info("      %s", name if failure is None else f"{name} - {failure}")
    report = image_report(written)
    if report.image_id:
        _LOG.debug("\n*** Image ID: %s", report.image_id)
    if report.digest:
        _LOG.debug("\n*** Digest: %s", report.digest)
    if report.manifest_size:
        _LOG.debug("\n*** Manifest Size: %d", report.manifest_size)
    if written.failures:
        failures = ",".join(f"[{name}: {cause.removeprefix(f'{name}: ')}]" for name, cause in written.failures.items())
        raise ExportError(f"failed to write image to the following tags: {failures}")
    return written


def image_report(written: WrittenImage) -> ImageReport:
    """Return the table ``[image]`` of report.toml.

    A registry's image has a digest, a daemon's an id; a layout's has neither, for its reference is its path.
    Spec: platform.md "report.toml (TOML)".
    """
    return ImageReport(
        tags=written.names,
        image_id=written.image_id.removeprefix("sha256:") if _has_only_id(written) else "",
        digest=written.digest,
        manifest_size=written.manifest_size,
    )


def _has_only_id(written: WrittenImage) -> bool:
    return not written.digest and "@" not in written.reference


def _shown(written: WrittenImage) -> str:
    if _has_only_id(written):
        return written.image_id.removeprefix("sha256:")[:_SHORT]
    return written.digest or written.reference
