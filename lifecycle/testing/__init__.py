"""Tests of buildpacks without a platform: fixtures, contract, and fakes of images and caches.

Names are loaded when they are used: the pytest plugin of this package is part of every pytest run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifecycle.testing.build import Build
    from lifecycle.testing.cache import MemoryCache
    from lifecycle.testing.cnb import Cnb
    from lifecycle.testing.conditions import Conditions
    from lifecycle.testing.contracts.buildpack import contract
    from lifecycle.testing.detection import Detection
    from lifecycle.testing.image import AppImage
    from lifecycle.testing.images import MemoryImages

__all__ = ["AppImage", "Build", "Cnb", "Conditions", "Detection", "MemoryCache", "MemoryImages", "contract"]

_MODULES = {
    "AppImage": "image",
    "Build": "build",
    "Cnb": "cnb",
    "Conditions": "conditions",
    "Detection": "detection",
    "MemoryCache": "cache",
    "MemoryImages": "images",
    "contract": "contracts.buildpack",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
