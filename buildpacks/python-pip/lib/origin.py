"""What an installation came from, and how it differs from what is wanted now."""

from __future__ import annotations

import hashlib
import platform
import sys
import sysconfig
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Origin:
    """All that decides what gets installed; ``requirements`` and ``settings`` are digests."""

    requirements: str
    python: str
    platform: str
    buildpack: str
    settings: str


def describe(requirements: str, buildpack: str, environment: Mapping[str, str]) -> Origin:
    """Return the origin of an installation by this interpreter.

    ``requirements`` is the digest of the requirements files, ``buildpack`` the version of this buildpack.
    """
    settings = "\n".join(f"{name}={environment[name]}" for name in _SELECTING if environment.get(name))
    return Origin(
        requirements=requirements,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        platform=f"{sysconfig.get_platform()}-{platform.libc_ver()[0] or 'musl'}",
        buildpack=buildpack,
        settings=hashlib.sha256(settings.encode()).hexdigest(),
    )


def difference(old: Origin, new: Origin, source: str) -> str | None:
    """Return why what was installed for ``old`` is no use for ``new``, ``None`` if it is.

    ``source`` is the file with the requirements.
    """
    reasons = [f"{source} changed"] if old.requirements != new.requirements else []
    reasons += [
        f"{name} {getattr(old, name)} → {getattr(new, name)}"
        for name in ("python", "platform", "buildpack")
        if getattr(old, name) != getattr(new, name)
    ]
    if old.settings != new.settings:
        reasons.append("PIP_* settings changed")
    return ", ".join(reasons) or None
