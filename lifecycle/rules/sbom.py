"""Where the SBOM files of a buildpack go, and which it may write.

Spec: buildpack.md "Software-Bill-of-Materials", platform.md "Build" (``<layers>/sbom``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lifecycle.model.layer import LayerTypes

MEDIA_TYPES: Mapping[str, str] = {
    "cdx.json": "application/vnd.cyclonedx+json",
    "spdx.json": "application/spdx+json",
    "syft.json": "application/vnd.syft+json",
}
"""The supported formats by their extension."""


@dataclass(frozen=True, slots=True)
class SbomCopy:
    """An SBOM file of a buildpack and a place for it below ``<layers>/sbom``."""

    source: Path
    target: PurePosixPath


def sbom_copies(
    files: Sequence[Path],
    layers: Mapping[str, LayerTypes],
    *,
    buildpack: str,
    buildpack_id: str,
    formats: Sequence[str],
) -> tuple[SbomCopy, ...]:
    """Return the copies to make of ``<name>.sbom.<ext>``; files of unknown layers are passed over.

    ``buildpack`` is its id and version.  Raises ``InvalidFileError`` for a format that is not supported, or not among the ``formats``
    of the buildpack, which are media types with or without parameters.
    """
    declared = {each.partition(";")[0].strip().lower() for each in formats}
    result = []
    for file in files:
        extension = _declared_extension(file, declared, buildpack)
        name = file.name.partition(".")[0]
        for place in _places(name, layers):
            target = PurePosixPath(place, directory_name(buildpack_id))
            if name not in _OF_BUILDPACK:
                target /= name
            result.append(SbomCopy(file, target / f"sbom.{extension}"))
    return tuple(result)


_OF_BUILDPACK = ("launch", "build")


def _declared_extension(file: Path, declared: set[str], buildpack: str) -> str:
    extension = next((each for each in MEDIA_TYPES if file.name.endswith(f".sbom.{each}")), None)
    if extension is None:
        raise InvalidFileError(
            f"unsupported SBOM file format: '{file}'", remedy=f"use one of .{', .'.join(MEDIA_TYPES)}"
        )
    media_type = MEDIA_TYPES[extension]
    if media_type not in declared:
        raise InvalidFileError(
            f"validating SBOM file '{file}' for buildpack: '{buildpack}': "
            f"undeclared SBOM media type: '{media_type}'",
            remedy="add it to sbom-formats in buildpack.toml",
        )
    return extension


def _places(name: str, layers: Mapping[str, LayerTypes]) -> tuple[str, ...]:
    if name in _OF_BUILDPACK:
        return (name,)
    types = layers.get(name)
    if types is None:
        return ()
    place = "launch" if types.launch else "build"
    return (place, "cache") if types.cache else (place,)
