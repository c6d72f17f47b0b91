"""Models without pydantic's plugins."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_LOADER = "pydantic.plugin._loader"


def leave_out_plugins() -> None:
    """Spare the search for plugins; call it before the first model is built.

    None is wanted: what a phase reads must not depend on what else is installed.  The search, which no setting takes
    away whole, reads the metadata of every installed distribution with a parser of mail.  In a pydantic without this
    module nothing changes.
    """
    sys.modules.setdefault(_LOADER, _NoPlugins(_LOADER))


class _NoPlugins(ModuleType):
    @staticmethod
    def get_plugins() -> tuple[()]:
        """Return no plugins."""
        return ()

    def __getattr__(self, name: str) -> Any:
        """Return what else pydantic has there."""
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(_LOADER, None)
        return getattr(importlib.import_module(_LOADER), name)
