"""Which builds a cache keeps that several builders write to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.cache.targets.buildkit_manifest import LARGEST, cache_config
from lifecycle.errors import CacheError
from lifecycle.oci.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cache.targets.cache_index import CachedBuild
    from lifecycle.oci.digest import Digest

MOST_BUILDS: Final = 20
"""How many builds a merged cache keeps: the last ones, for it knows no times."""

_ROOM: Final = LARGEST // 2
"""Bytes of the configuration beyond which old builds go; the manifest, with long descriptors, is about as large."""


def merged(new: CachedBuild, old: Sequence[CachedBuild]) -> tuple[CachedBuild, ...]:
    """Return the builds of a cache, the newest first: those of ``old`` whose steps are not all in newer ones.

    Old ones go where BuildKit would not read the configuration any more.
    """
    builds = [new]
    seen = {step.digest for step in new.steps}
    for build in old:
        own = {step.digest for step in build.steps}
        if not own <= seen:
            builds.append(build)
            seen |= own
    del builds[MOST_BUILDS:]
    while len(builds) > 1 and not _fits(builds):
        builds.pop()
    return tuple(builds)


def _fits(builds: Sequence[CachedBuild]) -> bool:
    any_digest: Digest = digest_of(b"")
    try:
        return len(cache_config(builds, index=any_digest)) <= _ROOM
    except CacheError:
        return False
