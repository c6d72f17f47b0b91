"""How two images differ: the whole answer of ``lifecycle diff``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.differences.layers import Owner
from lifecycle.differences.members import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.differences.fields import FieldDifference, Place
    from lifecycle.differences.layers import LayerPair, Origin
    from lifecycle.differences.members import LayerComparison, MemberDifference
    from lifecycle.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two images.

    ``image_id`` is the digest of its configuration, ``digest`` that of its manifest, ``None`` in a place that keeps
    none.
    """

    name: str
    image_id: Digest
    digest: Digest | None
    platform: str
    layers: int


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """A layer that is in one image only, or has other bytes in the other.

    ``unread`` says why its members could not be compared, ``""`` if they were.
    """

    pair: LayerPair
    comparison: LayerComparison
    unread: str = ""


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """All that differs; ``order`` are the layers of both in the order of either, if those are not the same."""

    first: Side
    second: Side
    layers: tuple[LayerDifference, ...] = ()
    identical_layers: int = 0
    order: tuple[tuple[Origin, ...], tuple[Origin, ...]] | None = None
    fields: tuple[FieldDifference, ...] = ()

    @property
    def same_id(self) -> bool:
        """Whether the configurations, and with them all layers, are the same bytes."""
        return self.first.image_id == self.second.image_id

    @property
    def identical(self) -> bool:
        """Whether the ids are the same, and the manifests too where both images have one."""
        digests = {self.first.digest, self.second.digest} - {None}
        return self.same_id and len(digests) <= 1

    def of(self, *places: Place) -> tuple[FieldDifference, ...]:
        """Return the fields that differ in some places."""
        return tuple(each for each in self.fields if each.place in places)


def by_weight(members: Sequence[MemberDifference]) -> list[MemberDifference]:
    """Return the members with those first that are not there, or have other content, in the other layer."""
    return sorted(members, key=lambda each: each.change is Change.CHANGED and not each.content_differs)


def first_member(difference: ImageDifference) -> tuple[LayerDifference | None, MemberDifference | None]:
    """Return the lowest layer that differs, and of its members the one to look at first."""
    for layer in difference.layers:
        members = by_weight(layer.comparison.members)
        return layer, members[0] if members else None
    return None, None


def first_field(difference: ImageDifference) -> FieldDifference | None:
    """Return the first field that does not only tell of a layer, one of a buildpack if there is any."""
    own = [each for each in difference.fields if not each.follows]
    return min(own, key=lambda each: not each.origin.startswith(Owner.BUILDPACK), default=None)
