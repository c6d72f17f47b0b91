"""The run image after detection: extensions may have switched to one that analysis has not seen.

Spec: platform.md "Restorer" (outputs), "Run Image Resolution".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import ImageError, ImageNotFoundError
from lifecycle.model.api import PlatformApi, PlatformFeature
from lifecycle.rules.run_image import listed, target_data

if TYPE_CHECKING:
    from lifecycle.images.store import ImageStore
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.run import Run


def identify_run_image(analyzed: Analyzed, *, api: PlatformApi, run: Run, images: ImageStore) -> Analyzed:
    """Return ``analyzed`` with reference and target of the run image filled in where they are missing.

    An image that run.toml lists may come from a mirror where it can't be read; the reference fails then.
    Raises ``ImageError`` when there is no such image that can be read.
    """
    chosen = analyzed.run_image
    if chosen is None or PlatformFeature.TARGETS not in api:
        return analyzed
    name = chosen.image or chosen.reference
    if chosen.target is not None and chosen.reference not in {"", chosen.image}:
        return analyzed
    if PlatformFeature.RESTORER_READS_RUN_TOML in api:
        name = _readable(name, run, images)
    found = images.find(name)
    if found is None:
        raise ImageNotFoundError(f"run image '{name}' is not there", remedy="make it readable for this build")
    identified = chosen.model_copy(
        update={
            "reference": found.reference,
            "target": chosen.target or target_data(found.config, where=f"run image {name}"),
        }
    )
    return analyzed.model_copy(update={"run_image": identified})


def _readable(name: str, run: Run, images: ImageStore) -> str:
    entry = listed(run, name)
    if entry is None:
        return name
    for each in (name, *entry.names()):
        if images.readable(each):
            return each
    raise ImageError(f"selected run image '{name}' is not accessible", remedy="make it or one of its mirrors readable")
