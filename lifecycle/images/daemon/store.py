"""The images of a Docker daemon, or of podman's service in its place.

An image is exported as ``docker load`` takes it, without the layers that the daemon has already.
Reference: imgutil, local store.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import DaemonError, ImageError, LifecycleError
from lifecycle.images.assembly import layers_of
from lifecycle.images.daemon.client import connect
from lifecycle.images.daemon.containerd import KeptBlobs, layout_chunks
from lifecycle.images.daemon.image import DaemonImage, SavedOnce, diff_ids_of, image_id_of, inspected_config
from lifecycle.images.docker_archive_format import archive_chunks, full_name
from lifecycle.images.layout_files import ArchiveFiles
from lifecycle.images.store import ReusedLayer, WrittenImage
from lifecycle.oci.digest import digest_of
from lifecycle.progress import NO_PROGRESS, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.images.daemon.client import DaemonClient
    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.images.store import NewImage
    from lifecycle.oci.digest import DiffId
    from lifecycle.progress import Progress

_LOG = logging.getLogger(__name__)


def open_daemon(
    environment: Mapping[str, str], *, progress: Progress = NO_PROGRESS, before_drop: bool = False
) -> DaemonStore:
    """Return the images of the daemon that ``DOCKER_HOST`` names; raise ``DaemonError`` if it can't be reached.

    With ``before_drop`` the daemon stays within reach of a process that gives up privileges.
    """
    return DaemonStore(connect(environment, before_drop=before_drop), progress=progress)


class DaemonStore:
    """The images of one daemon."""

    def __init__(self, client: DaemonClient, *, progress: Progress = NO_PROGRESS) -> None:
        self._client = client
        self._progress = progress
        self._kept = KeptBlobs(client)
        self._saved: dict[str, SavedOnce] = {}

    def find(self, name: str) -> DaemonImage | None:
        """Return the image of a name or id."""
        inspected = self._client.inspect(name)
        if inspected is None:
            return None
        image_id = image_id_of(inspected, where=name)
        config = inspected_config(inspected, self._client.history(image_id), where=name)
        saved = self._saved.setdefault(image_id, SavedOnce(lambda: self._save(image_id)))
        return DaemonImage(name, image_id.removeprefix("sha256:"), config, saved)

    def readable(self, name: str) -> bool:  # noqa: ARG002  # part of the protocol
        """Return true: only a registry has mirrors to choose from.  Reference: the same."""
        return True

    def check_write(self, names: Sequence[str]) -> None:
        """Accept every name: whoever may connect may write."""

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Load ``image`` under its first name and tag it with the others."""
        failures: dict[str, str] = {}
        try:
            image_id = self._load(image, names[0])
        except LifecycleError as error:
            image_id = digest_of(image.config.dumps())
            return WrittenImage((), "", image_id, failures=dict.fromkeys(names, str(error)))
        for name in names[1:]:
            try:
                self._tag(image_id, name)
            except DaemonError as error:
                failures[name] = str(error)
        written = tuple(name for name in names if name not in failures)
        return WrittenImage(written, image_id.removeprefix("sha256:"), image_id, failures=failures)

    def _load(self, image: NewImage, name: str) -> str:
        """Load the image, without what the daemon has if that suffices, and return its id."""
        if self._client.keeps_blobs():
            return self._load_unpacked_last(image, name)
        known = self._known_layers(image, name)
        if known:
            try:
                return self._load_without(known, image, name)
            except DaemonError as error:
                _LOG.debug("Loading again with all layers: %s", error)
        return self._load_without(0, image, name)

    def _load_unpacked_last(self, image: NewImage, name: str) -> str:
        """Load into containerd's store, which moves the name before it knows that it can unpack the image."""
        previous = self._client.inspect(full_name(name))
        try:
            try:
                return self._loaded(layout_chunks(image, self._kept, name=name), image, name)
            except DaemonError as error:
                _LOG.debug("Loading again with all layers: %s", error)
            return self._load_without(0, image, name)
        except DaemonError:
            with contextlib.suppress(DaemonError):
                if previous is None:
                    self._client.untag(full_name(name))
                else:
                    self._tag(image_id_of(previous, where=name), name)
            raise

    def _load_without(self, omitted: int, image: NewImage, name: str) -> str:
        layers = layers_of(image, where=name)
        return self._loaded(archive_chunks(image.config, layers, names=[name], omitted=omitted), image, name)

    def _loaded(self, chunks: Iterator[bytes], image: NewImage, name: str) -> str:
        self._client.load(watched(chunks, self._progress, task=f"loading {name}", total=None))
        inspected = self._client.inspect(full_name(name))
        if inspected is None or diff_ids_of(inspected) != image.config.diff_ids:
            raise DaemonError(f"did not take {name} as it was sent", where=self._client.host)
        return image_id_of(inspected, where=name)

    def _tag(self, image_id: str, name: str) -> None:
        repository, _, tag = full_name(name).rpartition(":")
        self._client.tag(image_id, repository, tag)

    def _known_layers(self, image: NewImage, name: str) -> int:
        """Return how many of the first layers the daemon has on top of each other, which is how it finds them."""
        references = {} if image.base is None else {image.base.reference: None}
        references |= {each.image.reference: None for each in image.layers if isinstance(each, ReusedLayer)}
        known = 0
        for reference in (*references, full_name(name)):
            # References of other stores are no names here.
            with contextlib.suppress(DaemonError):
                inspected = self._client.inspect(reference)
                if inspected is not None:
                    known = max(known, _common(diff_ids_of(inspected), image.config.diff_ids))
        return known

    def _save(self, image_id: str) -> LayoutFiles:
        """Return the files of ``docker save``, in a file without a name, which vanishes with the last reader."""
        try:
            with tempfile.TemporaryFile() as file:
                task = f"reading {image_id} from the daemon"
                file.writelines(watched(self._client.save(image_id), self._progress, task=task, total=None))
                file.flush()
                return ArchiveFiles(Path(f"/proc/self/fd/{file.fileno()}"))
        except OSError as error:
            raise ImageError(
                f"an image of the daemon can't be held: {error.strerror}",
                where=tempfile.gettempdir(),
                remedy="set TMPDIR to a directory with more room",
            ) from error


def _common(one: Sequence[DiffId], other: Sequence[DiffId]) -> int:
    """Return how long the common beginning is."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
