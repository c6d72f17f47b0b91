"""Opening the sources of a build: all at once, each with its own deadline, and told apart by what is there.

A source that can't be used costs time and never a build: why is in its ``Opened``.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.open import open_repository
from lifecycle.cache.sources.blobs import LayoutBlobs, RegistryBlobs, document
from lifecycle.cache.sources.buildkit import open_buildkit
from lifecycle.cache.sources.distributed import open_distributed
from lifecycle.cache.sources.image import source_of_image
from lifecycle.cache.sources.model import Opened, Status
from lifecycle.cache.sources.volume import is_volume, open_volume
from lifecycle.cache.specification import DISTRIBUTED, LOCAL, redacted
from lifecycle.cache.targets.buildkit_manifest import CONFIG_TYPE
from lifecycle.errors import (
    AccessDeniedError,
    CacheError,
    ForeignSourceError,
    ImageNotFoundError,
    LifecycleError,
)
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.images.layout_files import ArchiveFiles, DirectoryFiles
from lifecycle.images.layout_image import for_platform as layout_for_platform
from lifecycle.images.layout_image import open_image as open_layout_image
from lifecycle.images.layout_image import read_layout_index, with_digest, with_name
from lifecycle.images.registry.image import at_digest, for_platform, open_image, stored_manifest
from lifecycle.oci.manifest import INDEX_TYPES, Descriptor, read_index, read_manifest
from lifecycle.oci.reference import parse_reference
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.cache.sources.model import Source
    from lifecycle.cache.specification import CacheSpec
    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.progress import Progress

DEADLINE: Final = 20.0
"""Seconds for opening one source, and for a sign of it between bytes, unless it says ``timeout``."""

_DEFAULT_TAG: Final = "latest"


class Opener:
    """Opens sources; ``clients`` gives a client of registries that waits so many seconds for a sign of them."""

    def __init__(
        self,
        clients: Callable[[float], RegistryClient],
        *,
        platform: ImagePlatform | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self._clients = clients
        self._platform = platform or host_platform()
        self._progress = progress

    def open_all(self, specs: Sequence[CacheSpec]) -> tuple[Opened, ...]:
        """Open all sources at once; what takes too long is left behind."""
        found: dict[int, Opened] = {}
        failed: list[BaseException] = []
        started = time.monotonic()

        def work(index: int, spec: CacheSpec) -> None:
            try:
                found[index] = self.open_one(index, spec)
            except BaseException as error:  # noqa: BLE001  # raised below, in the thread that waits
                failed.append(error)

        # A thread that hangs must not keep the process, as those of an executor would.
        threads = [
            threading.Thread(target=work, args=(index, spec), name=f"cache source #{index}", daemon=True)
            for index, spec in enumerate(specs, start=1)
        ]
        for thread in threads:
            thread.start()
        for thread, spec in zip(threads, specs, strict=True):
            thread.join(max(0.0, started + _seconds(spec) - time.monotonic()))
        if failed:
            raise failed[0]
        return tuple(
            found.get(index) or Opened(index, spec, Status.ERROR, error=_late(_seconds(spec)))
            for index, spec in enumerate(specs, start=1)
        )

    def open_one(self, index: int, spec: CacheSpec) -> Opened:
        """Open a source; the outcome says why it can't be used."""
        try:
            source = self._open(spec)
        except AccessDeniedError as error:
            return Opened(index, spec, Status.DENIED, error=_line(error))
        except ForeignSourceError as error:
            return Opened(index, spec, Status.FOREIGN, error=_line(error))
        except ImageNotFoundError as error:
            return Opened(index, spec, Status.MISSING, error=_line(error))
        except LifecycleError as error:
            return Opened(index, spec, Status.ERROR, error=_line(error))
        if source is None:
            return Opened(index, spec, Status.MISSING, error="is not there")
        return Opened(index, spec, Status.OK, source)

    def _open(self, spec: CacheSpec) -> Source | None:
        if spec.type == DISTRIBUTED:
            return open_distributed(open_repository(spec, lambda: self._clients(_seconds(spec))))
        if spec.type == LOCAL:
            return self._open_path(spec)
        return self._open_reference(spec)

    def _open_reference(self, spec: CacheSpec) -> Source | None:
        client = self._clients(_seconds(spec))
        reference = parse_reference(spec.get("ref"))
        stored = stored_manifest(client, reference)
        if stored is None:
            return None
        location = at_digest(reference, stored.digest)
        if _is_buildkit(stored.data, stored.media_type, where=location.name):
            blobs = RegistryBlobs(client, location)
            return open_buildkit(stored.data, media_type=stored.media_type, name=location.name, blobs=blobs)
        chosen = for_platform(client, reference, stored, self._platform)
        if chosen is None:
            raise ImageNotFoundError(f"has no variant for {self._platform}", where=location.name)
        image = open_image(client, reference, chosen, name=reference.name, progress=self._progress)
        return source_of_image(image)

    def _open_path(self, spec: CacheSpec) -> Source | None:
        path = Path(spec.get("src")).absolute()
        try:
            if path.is_file():
                return self._open_layout(ArchiveFiles(path), spec)
            if is_volume(path) and not (path / "index.json").exists():
                return open_volume(path, progress=self._progress)
        except OSError as error:
            raise CacheError(f"can't be read: {error.strerror}", where=path) from error
        return self._open_layout(DirectoryFiles(path), spec)

    def _open_layout(self, files: LayoutFiles, spec: CacheSpec) -> Source | None:
        descriptors = read_layout_index(files)
        if descriptors is None:
            return None
        chosen = self._choose(files, descriptors, spec)
        name = f"{files.where}@{chosen.digest}"
        blobs = LayoutBlobs(files)
        data = document(blobs, chosen)
        if _is_buildkit(data, chosen.media_type, where=name):
            return open_buildkit(data, media_type=chosen.media_type, name=name, blobs=blobs)
        image = open_layout_image(files, layout_for_platform(files, (chosen,), self._platform), name=name)
        return source_of_image(image)

    def _choose(self, files: LayoutFiles, descriptors: tuple[Descriptor, ...], spec: CacheSpec) -> Descriptor:
        """Return what a layout lists under the digest or tag of ``spec``, or the only thing, or ``latest``."""
        if digest := spec.get("digest"):
            found = with_digest(files, descriptors, digest)
            if found is None:
                raise ImageNotFoundError(f"lists no {digest}", where=files.where)
            return found
        distinct = tuple({each.digest: each for each in descriptors}.values())
        tag = spec.get("tag")
        if not tag and len(distinct) == 1:
            return distinct[0]
        named = with_name(descriptors, tag or _DEFAULT_TAG)
        if not named:
            known = ", ".join(sorted({name for each in descriptors for name in each.annotations.values()})) or "none"
            raise ImageNotFoundError(
                f"lists nothing with the tag {tag or _DEFAULT_TAG}", where=files.where, remedy=f"its tags: {known}"
            )
        return named[0] if len(named) == 1 else layout_for_platform(files, named, self._platform)


def _is_buildkit(data: bytes, media_type: str, *, where: str) -> bool:
    """Say whether a manifest, or an index of blobs, is a cache in the format of BuildKit."""
    if media_type in INDEX_TYPES:
        return any(each.media_type == CONFIG_TYPE for each in read_index(data, where=where))
    return read_manifest(data, where=where).config.media_type == CONFIG_TYPE


def _seconds(spec: CacheSpec) -> float:
    return spec.number("timeout", DEADLINE)


def _late(seconds: float) -> str:
    return f"did not answer within {seconds:g} s"


def _line(error: LifecycleError) -> str:
    """Return an error in one line, without what people did not write for others to read."""
    return redacted(" ".join(str(error).split()))
