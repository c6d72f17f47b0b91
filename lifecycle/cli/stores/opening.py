"""The store of each place that people name, and the image in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from lifecycle.buildpackages.read import CNB
from lifecycle.cli.stores.locations import IN_FILES, Location, Place, read_source
from lifecycle.errors import ImageNotFoundError, InvalidInputError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.layout import DirectoryStore

if TYPE_CHECKING:
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import Image, ImageStore


def open_store(location: Location, remote: RemoteStores) -> ImageStore:
    """Return the store of a place; in files, names are tags.  There is none for ``scratch``."""
    match location.place:
        case Place.REGISTRY:
            return remote.registry
        case Place.DAEMON:
            return remote.daemon
        case Place.LAYOUT:
            return DirectoryStore(location.path)
        case Place.ARCHIVE:
            return ArchiveStore(location.path)
        case Place.DOCKER_ARCHIVE:
            from lifecycle.images.docker_archive import DockerArchiveStore

            return DockerArchiveStore(location.path)
        case Place.SCRATCH:
            raise ValueError("scratch is one image, not a store")
    assert_never(location.place)


def cnb_archive(text: str) -> Location | None:
    """Return the place of a buildpackage in a file ``.cnb``, ``None`` for any other text."""
    return Location(Place.ARCHIVE, text) if text.endswith(CNB) else None


def open_image(text: str, remote: RemoteStores) -> Image:
    """Open an image that is named as a run image is, or a file ``.cnb``; raise ``LifecycleError``."""
    location = cnb_archive(text) or read_source(text)
    if location.place is Place.SCRATCH:
        raise InvalidInputError("'scratch' has nothing in it", remedy="name a file, a layout or an image")
    if location.place in IN_FILES and not location.path.exists():
        raise ImageNotFoundError("is not there", where=location.path, remedy="correct the path")
    image = open_store(location, remote).find(location.name_in_store)
    if image is None:
        raise ImageNotFoundError("is not there", where=str(location), remedy="correct the name")
    return image
