"""An image store in one file: an OCI layout as a tar archive, which other programs call ``oci-archive``."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ImageError, ImageNotFoundError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.images.layout import DirectoryStore, check_writable, find_in
from lifecycle.images.layout_files import INDEX, ArchiveFiles, DirectoryFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.images.layout_image import LayoutImage
    from lifecycle.images.store import NewImage, WrittenImage


class ArchiveStore:
    """The archive at ``path``, in which names are tags; writing replaces all of it."""

    def __init__(self, path: Path, *, platform: ImagePlatform | None = None) -> None:
        self._path = path.absolute()
        self._platform = platform or host_platform()

    def find(self, name: str) -> LayoutImage | None:
        """Return the image of a tag or of ``<path>@<digest>``; the empty name means the only image."""
        try:
            files = ArchiveFiles(self._path)
        except ImageNotFoundError:
            return None
        if files.size(INDEX) is None:
            raise CorruptImageError(
                "is not an OCI archive: it has no index.json",
                where=self._path,
                remedy="make it with 'skopeo copy … oci-archive:…' or with this program",
            )
        return find_in(files, name, self._platform)

    def readable(self, name: str) -> bool:
        """Say whether the archive has such an image."""
        return self.find(name) is not None

    def check_write(self, names: Sequence[str]) -> None:  # noqa: ARG002  # all names lie in one file
        """Raise ``ImageError`` unless the archive could be written."""
        check_writable(self._path.parent)
        if self._path.is_dir():
            raise ImageError("is a directory", where=self._path, remedy="choose another path for the archive")

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write the archive with ``image`` under every name."""
        self.check_write(names)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Beside the archive, where new layers can be linked instead of copied.
            directory = Path(tempfile.mkdtemp(prefix=".tmp-", dir=self._path.parent))
        except OSError as error:
            raise ImageError(f"can't be written: {error.strerror}", where=self._path.parent) from error
        try:
            written = DirectoryStore(directory, platform=self._platform).write(image, names)
            write_atomic(self._path, _archive(directory))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return replace(written, reference=written.reference.replace(str(directory), str(self._path), 1))


def _archive(directory: Path) -> Iterator[bytes]:
    """Yield a tar of a layout that depends on its contents only."""
    files = DirectoryFiles(directory)
    for path in sorted(directory.rglob("*"), key=os.fsencode):
        name = path.relative_to(directory).as_posix()
        header = tarfile.TarInfo(name)
        header.mode = 0o755 if path.is_dir() else 0o644
        if path.is_dir():
            header.type = tarfile.DIRTYPE
            yield header.tobuf(tarfile.PAX_FORMAT)
            continue
        header.size = path.stat().st_size
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from files.chunks(name)
        yield bytes(-header.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
