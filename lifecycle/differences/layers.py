"""What the layers of an image are, who put them there, and which of two images belong together.

Spec: platform.md "io.buildpacks.lifecycle.metadata (JSON)".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from lifecycle.differences.members import Change
from lifecycle.differences.texts import shown
from lifecycle.errors import RebaseError
from lifecycle.model.label_text import read_lifecycle_metadata
from lifecycle.rules.rebase import layers_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lifecycle.model.lifecycle_metadata import LifecycleMetadata
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId

METADATA_LABEL: Final = "io.buildpacks.lifecycle.metadata"


@unique
class Owner(StrEnum):
    """Who put a layer into an image."""

    RUN_IMAGE = "run image"
    BUILDPACK = "buildpack"
    APP = "app"
    LIFECYCLE = "lifecycle"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a layer comes from.

    ``position`` counts from 1; ``name`` is ``<layer>`` of a buildpack, ``slice 1``, ``launcher``, ``config``,
    ``process-types``, ``sbom`` or ``""``; ``created_by`` is what the history says.
    """

    position: int
    diff_id: DiffId
    owner: Owner
    name: str = ""
    buildpack_id: str = ""
    version: str = ""
    created_by: str = ""

    @property
    def key(self) -> tuple[str, ...] | None:
        """What the layer has in common with its counterpart in another image, ``None`` if it has no name."""
        return (self.owner, self.buildpack_id, self.name) if self.name else None

    @property
    def who(self) -> str:
        """Who put it there, for people."""
        if self.owner is Owner.BUILDPACK:
            return shown(f"buildpack {self.buildpack_id}@{self.version}" if self.version else self.buildpack_id)
        return "" if self.owner is Owner.UNKNOWN else self.owner

    def __str__(self) -> str:
        match self.owner:
            case Owner.UNKNOWN:
                return shown(self.created_by) or "of unknown origin"
            case Owner.BUILDPACK:
                return f"{self.who}, layer {shown(self.name)}"
            case _:
                return ", ".join(filter(None, (self.owner, shown(self.name))))


@dataclass(frozen=True, slots=True)
class LayerPair:
    """A layer of the first image and its counterpart in the second; one of them may be missing."""

    first: Origin | None
    second: Origin | None

    @property
    def origin(self) -> Origin:
        """Where it comes from, as the second image says it if it has it."""
        found = self.second or self.first
        if found is None:
            raise AssertionError
        return found

    @property
    def change(self) -> Change | None:
        """How the two differ, ``None`` if they are the same."""
        if self.first is None or self.second is None:
            return Change.ADDED if self.first is None else Change.REMOVED
        return None if self.first.diff_id == self.second.diff_id else Change.CHANGED


def origins(config: ImageConfig) -> tuple[Origin, ...]:
    """Return where each layer of an image comes from, as far as its labels and history say it."""
    history = [entry.created_by for entry in config.history if not entry.empty_layer]
    if len(history) != len(config.diff_ids):
        history = [""] * len(config.diff_ids)
    metadata = lifecycle_metadata(config)
    above = len(config.diff_ids) if metadata is None else _above(config, metadata)
    base = len(config.diff_ids) - above
    names = _Names({} if metadata is None else _named(metadata))
    found = []
    for index, (diff_id, created_by) in enumerate(zip(config.diff_ids, history, strict=True)):
        unnamed = _Name(Owner.RUN_IMAGE if index < base else Owner.UNKNOWN)
        name = unnamed if index < base else names.take(diff_id) or unnamed
        origin = Origin(index + 1, diff_id, name.owner, name.name, name.buildpack_id, name.version, created_by)
        found.append(origin)
    return tuple(found)


def lifecycle_metadata(config: ImageConfig) -> LifecycleMetadata | None:
    """Return the label of an app image, ``None`` if it has none or one that can't be understood."""
    try:
        return read_lifecycle_metadata(config.labels[METADATA_LABEL])
    except (KeyError, ValueError):
        return None


def _above(config: ImageConfig, metadata: LifecycleMetadata) -> int:
    try:
        return len(layers_above(config, metadata))
    except RebaseError:
        return len(config.diff_ids)


@dataclass(frozen=True, slots=True)
class _Name:
    owner: Owner
    name: str = ""
    buildpack_id: str = ""
    version: str = ""


class _Names:
    """The names of layers, each of which is used once: two layers may have the same bytes."""

    def __init__(self, by_diff_id: dict[str, list[_Name]]) -> None:
        self._left = by_diff_id

    def take(self, diff_id: str) -> _Name | None:
        names = self._left.get(diff_id)
        return names.pop(0) if names else None


def _named(metadata: LifecycleMetadata) -> dict[str, list[_Name]]:
    found: dict[str, list[_Name]] = {}
    for each in metadata.buildpacks or ():
        for name, layer in each.layers.items():
            found.setdefault(layer.sha, []).append(_Name(Owner.BUILDPACK, name, each.key, each.version))
    for number, sha in enumerate(metadata.app or (), start=1):
        found.setdefault(sha.sha, []).append(_Name(Owner.APP, f"slice {number}"))
    for name, layer_sha in (
        ("sbom", metadata.sbom),
        ("launcher", metadata.launcher),
        ("config", metadata.config),
        ("process-types", metadata.process_types),
    ):
        if layer_sha is not None:
            found.setdefault(layer_sha.sha, []).append(_Name(Owner.LIFECYCLE, name))
    return found


def pair_layers(first: Sequence[Origin], second: Sequence[Origin]) -> tuple[LayerPair, ...]:
    """Pair the layers of two images: by name, then those of the same bytes, and what has no name by place."""
    left, right = list(first), list(second)
    pairs = _matched(left, right, lambda origin: origin.key)
    pairs += _matched(left, right, lambda origin: (origin.diff_id,))
    pairs += [LayerPair(each, None) for each in left if each.key]
    pairs += [LayerPair(None, each) for each in right if each.key]
    unnamed = [[each for each in side if not each.key] for side in (left, right)]
    pairs += [LayerPair(one, other) for one, other in zip_longest(*unnamed)]
    return tuple(sorted(pairs, key=_place))


def _matched(
    left: list[Origin], right: list[Origin], key: Callable[[Origin], tuple[str, ...] | None]
) -> list[LayerPair]:
    """Take the pairs of equal keys out of both lists."""
    waiting: dict[tuple[str, ...], list[Origin]] = {}
    for each in right:
        waiting.setdefault(key(each) or (), []).append(each)
    waiting.pop((), None)
    pairs = []
    for each in left:
        found = waiting.get(key(each) or ())
        if found:
            pairs.append(LayerPair(each, found.pop(0)))
    taken = {id(each) for pair in pairs for each in (pair.first, pair.second)}
    for side in (left, right):
        side[:] = [each for each in side if id(each) not in taken]
    return pairs


def _place(pair: LayerPair) -> tuple[int, int]:
    positions = [each.position for each in (pair.first, pair.second) if each is not None]
    return max(positions), min(positions)


def layer_order(pairs: Iterable[LayerPair]) -> tuple[tuple[Origin, ...], tuple[Origin, ...]] | None:
    """Return the layers that both images have in the order of either, ``None`` if it is the same."""
    both = [(pair.first, pair.second) for pair in pairs if pair.first is not None and pair.second is not None]
    by_first = sorted(both, key=lambda pair: pair[0].position)
    by_second = sorted(both, key=lambda pair: pair[1].position)
    if by_first == by_second:
        return None
    return tuple(one for one, _ in by_first), tuple(other for _, other in by_second)
