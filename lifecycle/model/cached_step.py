"""What any cache remembers of one buildpack's part in an earlier build."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any

from lifecycle.model.lifecycle_metadata import BuildpackLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.model.layer import LayerTypes, Store


@unique
class SbomPlace(StrEnum):
    """Below which directory of ``<layers>/sbom`` a layer of SBOM files has its files."""

    LAUNCH = "launch"
    CACHE = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLayer:
    """One layer of a step: ``metadata`` is the table of its ``<layer>.toml``, ``diff_id`` the digest of its tar.

    ``digest`` and ``size`` (bytes) are those of the blob as it is stored, empty and 0 where that is not known.
    ``has_contents`` says that the cache holds the layer to be unpacked, not only to be put on an image.
    """

    name: str
    types: LayerTypes
    metadata: Any = None
    diff_id: str
    digest: str = ""
    size: int = 0
    has_contents: bool = True

    def recorded(self) -> BuildpackLayer:
        """Return what a label says of the layer."""
        types = self.types
        return BuildpackLayer(
            sha=self.diff_id, data=self.metadata, build=types.build, launch=types.launch, cache=types.cache
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """What a step was made for; an empty field is not known."""

    os: str = ""
    arch: str = ""
    variant: str = ""
    distro: str = ""
    distro_version: str = ""
    exec_env: str = ""
    layers_dir: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedStep:
    """One buildpack's outputs in an earlier build.

    ``key`` names its inputs where the cache knows them (``rules.step_key``), ``record`` is the digest of its record.
    ``sboms`` are the diffIDs of layers with SBOM files, each below ``<layers>/sbom/<place>/<buildpack>/<layer>``.
    """

    buildpack_id: str
    version: str = ""
    api: str = ""
    layers: tuple[CachedLayer, ...] = ()
    store: Store | None = None
    key: str = ""
    record: str = ""
    facts: StepFacts = StepFacts()
    sboms: Mapping[SbomPlace, str] = field(default_factory=dict)
