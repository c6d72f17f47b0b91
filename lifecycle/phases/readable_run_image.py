"""The choice between a run image and its mirrors.  Spec: platform.md "Run Image Resolution"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import ImageError, InvalidInputError
from lifecycle.rules.run_image import by_preference

if TYPE_CHECKING:
    from lifecycle.images.store import ImageStore
    from lifecycle.model.run import RunImage


def readable_run_image(offered: RunImage, *, app_image: str, images: ImageStore) -> str:
    """Return the first name that can be read, those in the registry of ``app_image`` first.

    Raises ``ImageError`` when none can.
    """
    names = by_preference(offered, app_image=app_image)
    readable = next((name for name in names if _is_readable(name, images)), None)
    if readable is None:
        raise ImageError("failed to find accessible run image", remedy=f"make one of {', '.join(names)} readable")
    return readable


def _is_readable(name: str, images: ImageStore) -> bool:
    try:
        return images.readable(name)
    except InvalidInputError:
        return False
