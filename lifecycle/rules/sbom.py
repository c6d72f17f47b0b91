"""SBOM files of buildpacks: which are accepted, and where the image, the build and the cache find them.

Spec: buildpack.md "Software-Bill-of-Materials"; platform.md "Builder" (outputs), "SBOM Files".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lifecycle.model.layer import LayerTypes

MEDIA_TYPES: Mapping[str, str] = {
    "sbom.cdx.json": "application/vnd.cyclonedx+json",
    "sbom.spdx.json": "application/spdx+json",
    "sbom.syft.json": "application/vnd.syft+json",
}
"""The supported kinds of SBOM files by the end of their names."""


@dataclass(frozen=True, slots=True)
class SbomCopy:
    """An SBOM file of a buildpack and one place for it, as parts of a path below ``<layers>/sbom``."""

    source: Path
    place: tuple[str, ...]


def is_sbom_name(name: str) -> bool:
    """Say whether a file of a layers directory means to be an SBOM."""
    _, found, rest = name.partition(".sbom.")
    return bool(found) and rest.endswith(".json")


def sbom_copies(
    files: Sequence[Path],
    *,
    buildpack: str,
    buildpack_id: str,
    layers: Mapping[str, LayerTypes],
    declared: Sequence[str],
) -> tuple[SbomCopy, ...]:
    """Return where the SBOM files of a buildpack go; those of unknown layers go nowhere.

    ``declared`` are the ``sbom-formats`` of the buildpack; raises ``InvalidFileError`` for other kinds.
    Reference: what stands before the first dot names the layer.
    """
    accepted = {media_type.partition(";")[0].strip().lower() for media_type in declared}
    copies = []
    for file in files:
        layer = file.name.partition(".")[0]
        kinds = _kinds(layer, layers)
        if not kinds:
            continue
        name = _checked_name(file, accepted, buildpack)
        inner = () if layer in {"launch", "build"} else (layer,)
        copies += [SbomCopy(file, (kind, directory_name(buildpack_id), *inner, name)) for kind in kinds]
    return tuple(copies)


def _kinds(layer: str, layers: Mapping[str, LayerTypes]) -> tuple[str, ...]:
    if layer in {"launch", "build"}:
        return (layer,)
    types = layers.get(layer)
    if types is None:
        return ()
    return ("launch" if types.launch else "build", *(("cache",) if types.cache else ()))


def _checked_name(file: Path, accepted: set[str], buildpack: str) -> str:
    name = next((each for each in MEDIA_TYPES if file.name.endswith(f".{each}")), None)
    if name is None:
        raise InvalidFileError(
            f"unsupported SBOM file format: '{file}'",
            remedy=f"the name of an SBOM file ends in {', '.join(MEDIA_TYPES)}",
        )
    if MEDIA_TYPES[name] not in accepted:
        raise InvalidFileError(
            f"validating SBOM file '{file}' for buildpack: '{buildpack}': "
            f"undeclared SBOM media type: '{MEDIA_TYPES[name]}'",
            remedy="add the type to sbom-formats in buildpack.toml",
        )
    return name
