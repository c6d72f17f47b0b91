"""Images in OCI layouts without the layers of a base: what restorer, extender and exporter hand to each other.

Spec: platform.md "restorer", "extender" (outputs).  Reference: one directory for each image, named by its digest.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ImageError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.layout_files import blob_name
from lifecycle.images.layout_writer import write_blobs, write_index
from lifecycle.images.store import NewImage
from lifecycle.oci.digest import digest_of, is_digest
from lifecycle.oci.manifest import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.images.layout_image import LayoutImage
    from lifecycle.images.registry.image import RegistryImage
    from lifecycle.images.store import Image
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.oci.manifest import Manifest

_MODE = 0o755


def save_base(image: RegistryImage, directory: Path) -> Path:
    """Keep manifest and configuration of an image, byte for byte, in a layout below ``directory``; return its path.

    Raises ``LifecycleError``.
    """
    stored, config = image.stored, image.manifest.config
    path = directory / stored.digest
    write_atomic(path / blob_name(config.digest), image.blob(config))
    write_atomic(path / blob_name(stored.digest), stored.data)
    write_index(path, [Descriptor(stored.media_type, len(stored.data), stored.digest)])
    return path


def find_base(directory: Path, reference: str) -> LayoutImage:
    """Return the image that was kept for a digest reference; raise ``ImageError`` if there is none."""
    digest = reference.rpartition("@")[2]
    if not is_digest(digest):
        raise ImageError(
            f"{reference!r} is no digest reference", remedy="let the restorer prepare the base images for the extender"
        )
    path = directory / digest
    found = DirectoryStore(path).find(f"{path}@{digest}")
    if found is None:
        raise ImageError(
            f"there is no base image {digest}",
            where=path,
            remedy="mount the volume /kaniko into restorer and extender, and give the restorer -build-image",
        )
    return found


def save_extended(directory: Path, base: Image, config: ImageConfig, layers: Sequence[LayerBlob]) -> Path:
    """Make the image on ``base`` the only one in ``directory``, with the blobs of ``layers`` alone; return its path.

    What was there before goes.  Raises ``LifecycleError``.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".extended-", dir=directory.parent) as temporary:
            made = Path(temporary, "layout")
            image = NewImage(_WithoutBlobs(base), tuple(layers), config)
            manifest = write_blobs(made, image)
            data = manifest.dumps()
            write_index(made, [Descriptor(manifest.media_type, len(data), digest_of(data))])
            ready = Path(temporary, "run")
            ready.mkdir(_MODE)
            made.rename(ready / digest_of(data))
            if directory.is_symlink() or directory.is_file():
                directory.unlink()
            elif directory.exists():
                shutil.rmtree(directory)
            ready.rename(directory)
            return directory / digest_of(data)
    except OSError as error:
        raise ImageError(f"can't be written: {error.strerror}", where=error.filename or directory) from error


@dataclass(frozen=True, slots=True)
class _WithoutBlobs:
    """An image none of whose layers are to be copied, be they there or not."""

    image: Image

    @property
    def name(self) -> str:
        return self.image.name

    @property
    def reference(self) -> str:
        return self.image.reference

    @property
    def config(self) -> ImageConfig:
        return self.image.config

    @property
    def manifest(self) -> Manifest:
        return replace(self.image.manifest, annotations={})

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        return self.image.layer(diff_id)

    def has_blob(self, descriptor: Descriptor) -> bool:  # noqa: ARG002  # a layer of the base
        return False

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        raise CorruptImageError(f"has no blob {descriptor.digest}", where=self.name)
