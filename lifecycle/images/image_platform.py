"""The operating system and architecture for which an image of several platforms is taken."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm", "armv6l": "arm", "i386": "386",
    "i686": "386",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImagePlatform:
    """What an image runs on; an empty variant fits any."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def fits(self, described: Mapping[str, Any] | None) -> bool:
        """Say whether the ``platform`` of a descriptor fits.  Reference: a missing one is linux/amd64."""
        given = described or {"os": "linux", "architecture": "amd64"}
        return (
            given.get("os") == self.os
            and given.get("architecture") == self.architecture
            and (not self.variant or given.get("variant", "") in {"", self.variant})
        )

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def host_platform() -> ImagePlatform:
    """Return the platform of this machine, on Linux."""
    machine = os.uname().machine
    return ImagePlatform(architecture=_ARCHITECTURES.get(machine, machine))
