"""The images of ``lifecycle build``: where the result goes, and the run image, which may lie elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ImageNotFoundError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.scratch import SCRATCH, scratch_image
from lifecycle.oci.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.images.store import Image, ImageStore, NewImage, WrittenImage


def destination(output: Path | None, images_dir: Path) -> ImageStore:
    """Return where the image goes: a layout or archive of its own, or a layout among all local images."""
    if output is None:
        return LayoutStore(images_dir)
    return ArchiveStore(output) if output.suffix == ".tar" else DirectoryStore(output)


class LocalImages:
    """The store of one build.

    The run image is recorded by its digest alone, so that the app image doesn't tell where on this host it lay.
    """

    def __init__(self, result: ImageStore, *, run_image: str) -> None:
        self._result = result
        self._run_image = run_image
        self._base = _open_run_image(run_image)

    def with_run_image(self, name: str) -> LocalImages:
        """Return the store of the same build on another run image."""
        return LocalImages(self._result, run_image=name)

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


def _open_run_image(name: str) -> Image:
    if name == SCRATCH:
        return scratch_image(architecture=host_platform().architecture)
    path = Path(name).absolute()
    if not path.exists():
        raise ImageNotFoundError(
            "run image is not there",
            where=name,
            remedy="give --run-image an OCI layout directory, an OCI archive (.tar), or 'scratch'",
        )
    store = ArchiveStore(path) if path.is_file() else DirectoryStore(path)
    image = store.find("")
    if image is None:
        raise ImageNotFoundError("holds no image", where=path, remedy="give --run-image an OCI layout or archive")
    return replace(image, reference=digest_of(image.manifest.dumps()))
