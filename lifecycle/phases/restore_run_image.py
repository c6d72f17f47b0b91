"""The run image after detection: extensions may have switched to one that analysis has not seen.

Spec: platform.md "Restorer" (outputs), "Run Image Resolution".  Reference: cmd/lifecycle/restorer.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import ImageError, ImageNotFoundError
from lifecycle.model.api import PlatformApi, PlatformFeature
from lifecycle.rules.run_image import listed, target_data

if TYPE_CHECKING:
    from lifecycle.images.store import ImageStore
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group
    from lifecycle.model.run import Run


def with_readable_run_image(analyzed: Analyzed, *, run: Run, images: ImageStore) -> Analyzed:
    """Return ``analyzed`` with a run image that can be read: its own, or a mirror that run.toml lists for it.

    One that run.toml does not list is left to whoever reads it.  Raises ``ImageError`` when none can be read.
    """
    chosen = analyzed.run_image
    name = (chosen.image or chosen.reference) if chosen else ""
    entry = listed(run, name) if name else None
    if chosen is None or entry is None:
        return analyzed
    readable = next((each for each in (name, *entry.names()) if images.readable(each)), None)
    if readable is None:
        raise ImageError(
            f"selected run image '{name}' is not accessible", remedy="make it or one of its mirrors readable"
        )
    if readable == name:
        return analyzed
    return analyzed.model_copy(
        update={"run_image": chosen.model_copy(update={"image": readable, "reference": readable})}
    )


def must_be_identified(analyzed: Analyzed, group: Group, *, api: PlatformApi) -> bool:
    """Say whether the run image has to be looked at again: extensions extend it, or switched to an unknown one."""
    chosen = analyzed.run_image
    if chosen is None or not group.group_extensions:
        return False
    if PlatformFeature.TARGETS not in api:
        # Only extensions name an image there; analysis has identified its own, by an id that may be a daemon's.
        return bool(chosen.image)
    return chosen.extend or chosen.target is None or not chosen.target.os


def identify_run_image(analyzed: Analyzed, *, api: PlatformApi, images: ImageStore) -> Analyzed:
    """Return ``analyzed`` with the digest reference of the run image and what is known of its target.

    Raises ``ImageError`` when there is no such image that can be read.
    """
    chosen = analyzed.run_image
    if chosen is None:
        return analyzed
    name = chosen.image or chosen.reference
    found = images.find(name)
    if found is None:
        raise ImageNotFoundError(f"run image '{name}' is not there", remedy="make it readable for this build")
    target = target_data(found.config, where=f"run image {name}") if PlatformFeature.TARGETS in api else None
    identified = chosen.model_copy(update={"reference": found.reference, "target": target})
    return analyzed.model_copy(update={"run_image": identified})
