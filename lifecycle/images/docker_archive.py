"""Images in a file of ``docker save``, which other programs call ``docker-archive``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ImageError, ImageNotFoundError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.assembly import layers_of
from lifecycle.images.docker_archive_format import archive_chunks, read_entries, saved_layer, saved_layer_size
from lifecycle.images.layout import check_writable
from lifecycle.images.layout_files import ArchiveFiles
from lifecycle.images.store import WrittenImage
from lifecycle.oci.digest import digest_of
from lifecycle.oci.reference import parse_tag, same_image_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.images.store import NewImage
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class DockerArchiveImage:
    """An image in an archive; ``reference`` is its id, which it keeps in the daemon that loads it.

    ``stored_config`` are the bytes of its configuration.
    """

    name: str
    reference: str
    config: ImageConfig
    manifest: Manifest
    files: LayoutFiles
    layer_files: Mapping[DiffId, str]
    stored_config: bytes

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        return saved_layer(self.files, self._file(diff_id), diff_id)

    def layer_size(self, diff_id: DiffId) -> int | None:
        """Return the bytes of the tar, ``None`` where the archive has it compressed."""
        return saved_layer_size(self.files, self._file(diff_id))

    def config_data(self) -> bytes:
        """Return the bytes of the configuration."""
        return self.stored_config

    def _file(self, diff_id: DiffId) -> str:
        if diff_id not in self.layer_files:
            raise CorruptImageError(f"has no layer {diff_id}", where=self.name)
        return self.layer_files[diff_id]


class DockerArchiveStore:
    """The archive at ``path``; writing replaces all of it."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def find(self, name: str) -> DockerArchiveImage | None:
        """Return the image of a name or id; the empty name means the only image.

        Raises ``CorruptImageError``.
        """
        try:
            files = ArchiveFiles(self._path)
        except ImageNotFoundError:
            return None
        entries = read_entries(files)
        if name:
            ids = {name, f"sha256:{name}"}
            entries = tuple(
                each
                for each in entries
                if each.image_id in ids or any(same_image_name(name, saved) for saved in each.names)
            )
        elif len(entries) > 1:
            names = ", ".join(saved for each in entries for saved in each.names)
            raise CorruptImageError(
                f"has {len(entries)} images", where=self._path, remedy=f"make an archive of one of them: {names}"
            )
        if not entries:
            return None
        entry = entries[0]
        return DockerArchiveImage(
            name=name or str(self._path),
            reference=entry.image_id.removeprefix("sha256:"),
            config=entry.config,
            manifest=entry.manifest(files),
            files=files,
            layer_files=entry.layers,
            stored_config=entry.config_data,
        )

    def readable(self, name: str) -> bool:
        """Say whether the archive has such an image."""
        return self.find(name) is not None

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless the archive could be written, ``InvalidInputError`` for a name that is no tag."""
        for name in names:
            parse_tag(name)
        check_writable(self._path.parent)
        if self._path.is_dir():
            raise ImageError("is a directory", where=self._path, remedy="choose another path for the archive")

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write the archive with ``image`` under every name."""
        self.check_write(names)
        chunks = archive_chunks(image.config, layers_of(image, where=self._path), names=names)
        write_atomic(self._path, chunks)
        image_id = digest_of(image.config.dumps())
        return WrittenImage(tuple(names), reference=image_id.removeprefix("sha256:"), image_id=image_id)
