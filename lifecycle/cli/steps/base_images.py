"""The base images that the extender needs, as the restorer leaves them: without layers, for they are its file systems.

Spec: platform.md "restorer" (outputs).  Reference: cmd/lifecycle/restorer.go; they always come from a registry.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lifecycle.cli.steps.extend import BASE_DIR
from lifecycle.errors import ImageNotFoundError
from lifecycle.images.sparse_layout import save_base
from lifecycle.model.analyzed import ImageIdentifier
from lifecycle.phases.restore_run_image import identify_run_image

if TYPE_CHECKING:
    from lifecycle.images.registry.image import RegistryImage
    from lifecycle.images.registry.store import RegistryStore
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.api import PlatformApi

_LOG = logging.getLogger(__name__)


def keep_build_image(analyzed: Analyzed, name: str, *, registry: RegistryStore) -> Analyzed:
    """Keep the build image, and return ``analyzed`` with its digest reference; raise ``LifecycleError``."""
    image = _kept(name, registry, "build image")
    return analyzed.model_copy(update={"build_image": ImageIdentifier(reference=image.reference)})


def keep_run_image(analyzed: Analyzed, *, api: PlatformApi, registry: RegistryStore) -> Analyzed:
    """Keep the run image, and return ``analyzed`` with its digest reference and target; raise ``LifecycleError``."""
    identified = identify_run_image(analyzed, api=api, images=registry)
    if identified.run_image is not None:
        _kept(identified.run_image.reference, registry, "run image")
    return identified


def _kept(name: str, registry: RegistryStore, kind: str) -> RegistryImage:
    image = registry.find(name)
    if image is None:
        raise ImageNotFoundError(f"{kind} '{name}' is not there", remedy="make it readable for this build")
    path = save_base(image, BASE_DIR)
    _LOG.debug("Saved manifest and configuration of %s to %s", name, path)
    return image
