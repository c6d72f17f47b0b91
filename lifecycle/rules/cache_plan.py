"""Which layers a cache gets, and whether each is new or kept.  Reference: phase/cache.go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.rules.export_plan import (
    CACHE_SBOM_ID,
    SBOM_CREATED_BY,
    Action,
    Candidate,
    LayerKind,
    LayerVerdict,
)

if TYPE_CHECKING:
    from lifecycle.model.group import GroupElement
    from lifecycle.model.lifecycle_metadata import CacheMetadata
    from lifecycle.oci.digest import DiffId


def cache_layer(buildpack: GroupElement, name: str, previous: CacheMetadata) -> Candidate:
    """Return the candidate for a cached layer of a buildpack."""
    layers = previous.of(buildpack.id)
    recorded = None if layers is None else layers.layers.get(name)
    return Candidate(
        id=f"{buildpack.id}:{name}",
        kind=LayerKind.BUILDPACK,
        created_by=f"Layer: '{name}', Created by buildpack: {buildpack}",
        cached=True,
        recorded=frozenset({recorded.sha} if recorded and recorded.sha else ()),
    )


def sbom_layer(previous: CacheMetadata) -> Candidate:
    """Return the candidate for the SBOM files of cached layers."""
    return Candidate(
        id=CACHE_SBOM_ID,
        kind=LayerKind.SBOM,
        created_by=SBOM_CREATED_BY,
        cached=True,
        recorded=frozenset({previous.sbom.sha} if previous.sbom.sha else ()),
    )


def judge(candidate: Candidate, diff_id: DiffId) -> LayerVerdict:
    """Decide on a layer: keep what the cache has, add the rest."""
    if diff_id in candidate.recorded:
        action, reason = Action.REUSE, "unchanged"
    elif candidate.recorded:
        action, reason = Action.ADD, "contents changed"
    else:
        action, reason = Action.ADD, "new layer"
    return candidate.verdict(action, reason, diff_id)
