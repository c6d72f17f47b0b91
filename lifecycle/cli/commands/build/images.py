"""The images of ``lifecycle build``: where the result goes, and the run image, which may lie elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.cli.stores.locations import IN_FILES, Location, Place, read_source
from lifecycle.cli.stores.opening import open_store
from lifecycle.errors import ImageError, ImageNotFoundError
from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import LayoutStore
from lifecycle.images.layout_image import LayoutImage
from lifecycle.images.scratch import scratch_image
from lifecycle.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import Image, ImageStore, NewImage, WrittenImage


def destination(output: Location | None, images_dir: Path, remote: RemoteStores) -> ImageStore:
    """Return where the image goes; without ``output``, a layout among all local images."""
    return LayoutStore(images_dir) if output is None else open_store(output, remote)


class BuildImages:
    """The store of one build."""

    def __init__(self, result: ImageStore, *, run_image: str, remote: RemoteStores) -> None:
        self._result = result
        self._remote = remote
        self._run_image = run_image
        self._base = _open_run_image(read_source(run_image), remote)

    def with_run_image(self, name: str) -> BuildImages:
        """Return the store of the same build on another run image."""
        return BuildImages(self._result, run_image=name, remote=self._remote)

    def reopened(self) -> BuildImages:
        """Return the same store with connections of its own; raise ``ImageError`` if the run image is another now."""
        found = BuildImages(self._result, run_image=self._run_image, remote=replace(self._remote))
        if found.run_image.reference != self._base.reference:
            raise ImageError("the run image was replaced meanwhile", where=self._run_image, remedy="build again")
        return found

    @property
    def run_image(self) -> Image:
        """The run image."""
        return self._base

    def find(self, name: str) -> Image | None:
        """Return the run image by its name or reference, anything else from the destination."""
        if name in {self._run_image, self._base.reference}:
            return self._base
        return self._result.find(name)

    def readable(self, name: str) -> bool:
        """Say whether ``name`` could be read."""
        return self.find(name) is not None

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless the destination could be written."""
        self._result.check_write(names)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write to the destination."""
        return self._result.write(image, names)


def _open_run_image(location: Location, remote: RemoteStores) -> Image:
    if location.place is Place.SCRATCH:
        return scratch_image(architecture=host_platform().architecture)
    in_files = location.place in IN_FILES
    if in_files and not location.path.exists():
        raise ImageNotFoundError(
            "run image is not there",
            where=location.path,
            remedy="give --run-image a name in a registry, docker-daemon:NAME, an OCI layout, an archive, or 'scratch'",
        )
    image = open_store(location, remote).find(location.name_in_store)
    if image is None:
        raise ImageNotFoundError(
            "holds no image" if in_files and not location.image else "run image is not there",
            where=location.path if in_files and not location.image else str(location),
            remedy="correct --run-image",
        )
    if isinstance(image, LayoutImage):
        # By its digest alone, so that the app image does not tell where on this host it lay.
        return replace(image, reference=Digest(image.reference.rpartition("@")[2]))
    return image
