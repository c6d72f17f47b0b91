"""The directory ``/cnb/lifecycle``, however it is brought into an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.dist.sbom import Component, sbom_files

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "lifecycle"
LAUNCHER = "launcher"
DESCRIPTOR = "lifecycle.toml"


@dataclass(frozen=True, slots=True)
class Contents:
    """Files by name: ``programs`` may be executed, ``texts`` not, ``links`` name another file beside them."""

    programs: dict[str, bytes]
    texts: dict[str, bytes]
    links: dict[str, str] = field(default_factory=dict)


def lifecycle_contents(
    program: bytes, launcher: bytes, *, phases: Sequence[str], version: str, components: Sequence[Component]
) -> Contents:
    """Return the program, a link to it for each phase, the launcher, and what both consist of."""
    return Contents(
        {PROGRAM: program, LAUNCHER: launcher},
        {**sbom_files(PROGRAM, version, components), **launcher_sboms(version)},
        dict.fromkeys(phases, PROGRAM),
    )


def launcher_sboms(version: str) -> dict[str, bytes]:
    """Return the SBOM files of the launcher, which is in every app image: it contains musl alone."""
    return sbom_files(LAUNCHER, version, [Component("musl", "1.2", "generic")])
