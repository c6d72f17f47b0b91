"""The deprecated bill of materials of launch.toml and build.toml.

Spec: buildpack.md "bom Arrays"; platform.md "Builder" (outputs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.launch import AttributedBomEntry, BomSource
from lifecycle.oci import gojson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.launch import BomEntry

DEPRECATION = (
    "[[bom]] is deprecated but still read. Authors of buildpacks should write <layer>.sbom.<ext>, "
    "launch.sbom.<ext> or build.sbom.<ext> instead."
)
"""What an author should know who writes no SBOM files yet."""


def attributed(entries: Sequence[BomEntry], *, buildpack_id: str, version: str) -> tuple[AttributedBomEntry, ...]:
    """Return the rows with the buildpack that wrote them; ``InvalidFileError`` for one with a version."""
    for entry in entries:
        if entry.version:
            raise InvalidFileError(
                f"bom entry '{entry.name}' has a top level version which is not allowed",
                remedy="the buildpack should instead set metadata.version",
            )
    source = BomSource(id=buildpack_id, version=version)
    return tuple(AttributedBomEntry(name=entry.name, metadata=entry.metadata, buildpack=source) for entry in entries)


def legacy_file(entries: Sequence[AttributedBomEntry]) -> str:
    """Return the content of sbom.legacy.json: the rows as JSON, ``null`` for none."""
    return gojson.dumps([entry.struct() for entry in entries] or None) + "\n"
