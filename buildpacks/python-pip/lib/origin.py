"""What an installation came from, and how it differs from what is wanted now."""

from __future__ import annotations

import hashlib
import platform
import sys
import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SELECTING = (
    "PIP_CONFIG_SETTINGS",
    "PIP_NO_BINARY",
    "PIP_NO_DEPS",
    "PIP_ONLY_BINARY",
    "PIP_PRE",
    "PIP_PREFER_BINARY",
)
"""Settings of pip that decide what is installed, as opposed to where it comes from."""


def describe(requirements: str, buildpack: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return all that decides what gets installed, by name.

    ``requirements`` is the digest of the requirements files, ``buildpack`` the version of this buildpack.
    """
    settings = "\n".join(f"{name}={environment[name]}" for name in _SELECTING if environment.get(name))
    return {
        "requirements": requirements,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{sysconfig.get_platform()}-{platform.libc_ver()[0] or 'musl'}",
        "buildpack": buildpack,
        "settings": hashlib.sha256(settings.encode()).hexdigest(),
    }


def difference(old: Mapping[str, str] | None, new: Mapping[str, str]) -> str | None:
    """Return why what was installed for ``old`` is no use for ``new``, ``None`` if it is."""
    if old is None:
        return "none from an earlier build"
    reasons = []
    if old.get("requirements") != new["requirements"]:
        reasons.append("requirements.txt changed")
    reasons += [
        f"{name} {old.get(name, 'unknown')} → {new[name]}"
        for name in ("python", "platform", "buildpack")
        if old.get(name) != new[name]
    ]
    if old.get("settings") != new["settings"]:
        reasons.append("PIP_* settings changed")
    return ", ".join(reasons) or None
