"""``-cache-to type=local``: a cache in BuildKit's format as an OCI layout in a directory.

The whole export holds an exclusive lock on the directory, which leaves no file; index.json is replaced by rename, so
readers see the old cache or the new one.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lifecycle.cache.sources.blobs import LayoutBlobs, document
from lifecycle.cache.sources.buildkit import read_builds
from lifecycle.cache.targets.buildkit_manifest import read_cache_manifest
from lifecycle.cache.targets.contents import documents, prepare
from lifecycle.cache.targets.merging import merged
from lifecycle.errors import CacheError, ImageError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.work_dir import work_directory
from lifecycle.images.layout import locked_layout
from lifecycle.images.layout_files import DirectoryFiles, blob_name
from lifecycle.images.layout_image import read_layout_index, with_name
from lifecycle.images.layout_writer import add_blob, write_index
from lifecycle.oci.manifest import REF_NAME, Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifecycle.cache.store import ExportedSteps
    from lifecycle.cache.targets.cache_index import CachedBuild
    from lifecycle.cache.targets.contents import TargetOptions
    from lifecycle.oci.digest import Digest

_LOG = logging.getLogger(__name__)

DEFAULT_TAG: Final = "latest"


def export_to_layout(
    path: Path,
    exported: ExportedSteps,
    options: TargetOptions,
    *,
    tag: str = DEFAULT_TAG,
    reset: bool = False,
    merge: bool = False,
) -> Digest:
    """Write the cache under ``tag`` and return its manifest's digest; with ``reset`` nothing else stays.

    Raises ``LifecycleError``, and the directory lists what it listed before.
    """
    path = path.absolute()
    with locked_layout(path), work_directory("cache-to") as work_dir:
        started = time.time()
        prepared = prepare(exported, options, work_dir=work_dir)
        files = DirectoryFiles(path)
        listed = read_layout_index(files) or ()
        old = _builds(files, with_name(listed, tag)) if merge and not reset else ()
        written = documents(merged(prepared.build, old) if merge else (prepared.build,), options.variant)
        for descriptor, source in prepared.blobs.values():
            add_blob(path, descriptor, source)
        for data, descriptor in (
            (written.index, written.index_descriptor),
            (written.config, written.config_descriptor),
            (written.manifest, written.manifest_descriptor),
        ):
            write_atomic(path / blob_name(descriptor.digest), data)
        others = () if reset else tuple(each for each in listed if each.annotations.get(REF_NAME) != tag)
        current = replace(written.manifest_descriptor, annotations={REF_NAME: tag})
        write_index(path, (*others, current))
        if reset:
            with contextlib.suppress(LifecycleError, OSError):
                _remove_unlisted(path, files, current, before=started)
    return current.digest


def _builds(files: DirectoryFiles, found: Sequence[Descriptor]) -> tuple[CachedBuild, ...]:
    if not found:
        return ()
    blobs = LayoutBlobs(files)
    try:
        builds = read_builds(document(blobs, found[0]), name=files.where, blobs=blobs)
    except (CacheError, ImageError) as error:
        _LOG.warning("Not merging with the cache that is there: %s", error)
        return ()
    return tuple(build for build in builds if all(blobs.has(blob) for _, blob in build.layers()))


def _remove_unlisted(path: Path, files: DirectoryFiles, kept: Descriptor, *, before: float) -> None:
    """Remove all blobs but those of ``kept`` and any that another program may just be writing."""
    found = read_cache_manifest(b"".join(files.chunks(blob_name(kept.digest))), where=files.where)
    if found is None:
        return
    needed = {blob_name(each.digest) for each in (kept, found.config, *found.blobs)}
    for blob in (path / "blobs").glob("*/*"):
        if str(blob.relative_to(path)) not in needed and blob.stat().st_mtime < before:
            blob.unlink()
