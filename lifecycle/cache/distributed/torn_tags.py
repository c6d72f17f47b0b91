"""Tags that a crash of a registry left half-written: listed, and leading nowhere.

With one of them in a repository, docker-registry takes the manifest of a deletion away, then fails, and leaves its tag.
What is written in their place follows from names alone, so that nothing that anybody may rely on is ever changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cache.distributed.deciding_registry import first_manifest
from lifecycle.cache.distributed.registry_log import marker
from lifecycle.cache.distributed.retention_tags import Made, read_retention_tag
from lifecycle.cache.distributed.tags import Decided, First, Stored, read_tag, seen_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lifecycle.cache.distributed.registry_log import RegistryLog
    from lifecycle.oci.digest import Digest


def mend(log: RegistryLog) -> int:
    """Write the tags that lead nowhere again, as far as that is safe; return how many those were."""
    names = log.names()
    # Some are on their way, and a registry may be busy: only what is seen twice was left by a crash.
    torn = [name for name in sorted(names) if not log.leads_somewhere(name)]
    mended = 0
    for name in torn:
        if log.leads_somewhere(name):
            continue
        data = contents(name, names, log.stored)
        if data is None:
            continue
        if not isinstance(read_tag(name), First):
            log.write(name, data)
        elif not log.write_new(name, data):
            continue
        mended += 1
    return mended


def contents(name: str, names: Iterable[str], stored: Callable[[Digest], bytes | None]) -> bytes | None:
    """Return what is to stand under a tag that leads nowhere, ``None`` where nobody can tell.

    ``names`` is a listing, ``stored`` gives manifests by their digests.

    The record that was the first of its key is the one that was decided.  If none is, somebody may have been told of
    one that is unknown here: no other may take its place unless its generation is closed, after which nobody asks.
    Where the manifest of a record is lost, and for a signature, which nobody could read, the tag gets a manifest that
    says nothing: the record is refused as before, and the tag can be deleted.
    """
    match read_tag(name) or read_retention_tag(name):
        case First(key, generation):
            if seen_of(names, key).generation > generation:
                return marker(name)
            decided = (read_tag(each) for each in names)
            values = {tag.value for tag in decided if isinstance(tag, Decided) and _is_of(tag, key, generation)}
            return first_manifest(name, min(values)) if values else None
        case Stored(value=digest) | Made(note=digest):
            return stored(digest) or marker(name)
        case _:
            return marker(name)


def _is_of(tag: Decided, key: Digest, generation: int) -> bool:
    return (tag.key, tag.generation) == (key, generation)
