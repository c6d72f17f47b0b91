"""Execution environments: which of them a buildpack, or an entry of an order, is for.

Spec: platform.md "detector", buildpack.md "buildpack.toml (TOML)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.api import BuildpackFeature, PlatformFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.api import BuildpackApi, PlatformApi

_ANY = "*"


def is_for(listed: Sequence[str], exec_env: str) -> bool:
    """Say whether ``listed`` names the execution environment; an empty list and ``*`` name all of them."""
    return not listed or _ANY in listed or exec_env in listed


def takes_part(
    listed: Sequence[str], exec_env: str, *, platform_api: PlatformApi, buildpack_api: BuildpackApi | None
) -> bool:
    """Say whether detection may use what carries the list ``listed``.

    ``buildpack_api`` is that of the descriptor which holds the list, ``None`` for a list of order.toml.
    Versions from before execution environments ignore the list.
    """
    if PlatformFeature.EXEC_ENV not in platform_api:
        return True
    if buildpack_api is not None and BuildpackFeature.EXEC_ENV not in buildpack_api:
        return True
    return is_for(listed, exec_env)
