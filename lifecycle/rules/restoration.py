"""What a build gets back of each layer of the last one.

Two places remember layers: the app image has their metadata, the cache their metadata and contents.
Spec: buildpack.md "Layer Types", platform.md "Layer Restoration".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.model.api import PlatformFeature
from lifecycle.model.ids import is_layer_name
from lifecycle.oci.digest import is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.model.api import PlatformApi
    from lifecycle.model.lifecycle_metadata import BuildpackLayer

OTHER_VERSION = "cache=true, but the cache holds another version than the app image"


@unique
class Restored(StrEnum):
    """How much of a layer comes back; contents never come without metadata."""

    CONTENTS = "contents"
    METADATA = "metadata"
    NOTHING = "nothing"


@unique
class Origin(StrEnum):
    """Who remembers the metadata of a layer."""

    APP_IMAGE = "app image"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class Restoration:
    """The decision on one layer, and the reason for it in words.

    ``layer`` is what is remembered and ``origin`` by whom, both ``None`` when nothing comes back.
    ``outdated`` says that what lies in the layers directory under that name must go.
    """

    restored: Restored
    reason: str
    layer: BuildpackLayer | None = None
    origin: Origin | None = None
    outdated: bool = False


def _nothing(reason: str, *, outdated: bool = False) -> Restoration:
    return Restoration(Restored.NOTHING, reason, outdated=outdated)


def restoration(in_image: BuildpackLayer | None, in_cache: BuildpackLayer | None, *, api: PlatformApi) -> Restoration:
    """Decide on a layer from what the app image and the cache remember of it.

    Reference: internal/layer/metadata_restorer.go, phase/restorer.go.  It differs for a launch-only layer
    that the cache still holds from an earlier build: its metadata comes back, as the specification says.
    """
    cached = in_cache if in_cache is not None and in_cache.cache and is_digest(in_cache.sha) else None
    if cached is not None and not cached.launch:
        return _from_cache(cached, "cache=true, launch=false")
    if in_image is not None:
        return _by_image(in_image, cached)
    if cached is None:
        return _nothing("the cache does not hold it")
    if PlatformFeature.CACHE_ONLY_METADATA not in api:
        return _nothing(
            "cache=true, launch=true, but the app image, which this Platform API asks, does not know it",
            outdated=True,
        )
    return _from_cache(cached, "cache=true, launch=true, and only the cache knows it")


def _by_image(layer: BuildpackLayer, cached: BuildpackLayer | None) -> Restoration:
    if not layer.launch:
        return _nothing("the app image says launch=false", outdated=cached is not None)
    if not layer.cache:
        if layer.build:
            return _nothing("build=true, cache=false: it has to be made again", outdated=cached is not None)
        return Restoration(
            Restored.METADATA,
            "launch=true, cache=false: the image keeps its contents",
            layer,
            Origin.APP_IMAGE,
        )
    if cached is None:
        return _nothing("cache=true, but the cache does not hold it")
    if layer.sha != cached.sha:
        return _nothing(OTHER_VERSION, outdated=True)
    return Restoration(
        Restored.CONTENTS,
        "cache=true, launch=true: app image and cache agree",
        layer,
        Origin.APP_IMAGE,
    )


def _from_cache(layer: BuildpackLayer, reason: str) -> Restoration:
    return Restoration(Restored.CONTENTS, reason, layer, Origin.CACHE)


def restorations(
    in_image: Mapping[str, BuildpackLayer], in_cache: Mapping[str, BuildpackLayer], *, api: PlatformApi
) -> dict[str, Restoration]:
    """Decide on all layers of a buildpack, sorted by name; names that no layer can have are left out."""
    names = sorted(filter(is_layer_name, {*in_image, *in_cache}))
    return {name: restoration(in_image.get(name), in_cache.get(name), api=api) for name in names}
