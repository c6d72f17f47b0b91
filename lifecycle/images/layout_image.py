"""Images in an OCI layout, wherever its files are.

Spec: OCI image-spec image-layout.md, image-index.md.  Reference: layouts without the blobs of base layers
(sparse ones) are read as long as nobody asks for those blobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, VerificationError
from lifecycle.images.layout_files import INDEX, LayoutFiles, blob_name
from lifecycle.images.stored_image import MAX_DOCUMENT, MAX_NESTING, check_layer_count, layer_tar
from lifecycle.oci.config import ImageConfig, read_config
from lifecycle.oci.digest import Digest, verified
from lifecycle.oci.manifest import (
    INDEX_TYPES,
    REF_NAME,
    Descriptor,
    Manifest,
    read_index,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.images.image_platform import ImagePlatform
    from lifecycle.oci.digest import DiffId


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """An image in a layout."""

    name: str
    reference: str
    config: ImageConfig
    manifest: Manifest
    files: LayoutFiles

    def manifest_data(self) -> bytes:
        """Return the bytes of the manifest, verified."""
        digest = Digest(self.reference.rpartition("@")[2])
        return b"".join(verified(self.files.chunks(blob_name(digest)), digest=digest, size=None, where=self.reference))

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        return layer_tar(self, diff_id)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether the blob is there."""
        return self.files.size(blob_name(descriptor.digest)) is not None

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, verified while they are read."""
        return _blob(self.files, descriptor)


def read_layout_index(files: LayoutFiles) -> tuple[Descriptor, ...] | None:
    """Return what index.json lists, ``None`` where there is none."""
    size = files.size(INDEX)
    if size is None:
        return None
    where = f"{files.where}/{INDEX}"
    if size > MAX_DOCUMENT:
        raise CorruptImageError(f"is larger than {MAX_DOCUMENT} bytes", where=where)
    return read_index(b"".join(files.chunks(INDEX)), where=where)


def open_image(files: LayoutFiles, descriptor: Descriptor, *, name: str) -> LayoutImage:
    """Read the manifest and the configuration of an image."""
    manifest = read_manifest(_document(files, descriptor), where=f"{files.where} {descriptor.digest}")
    config = read_config(_document(files, manifest.config), where=f"{files.where} {manifest.config.digest}")
    check_layer_count(manifest, config, where=name)
    return LayoutImage(name, f"{files.where}@{descriptor.digest}", config, manifest, files)


def with_digest(
    files: LayoutFiles, descriptors: Sequence[Descriptor], digest: str, *, depth: int = 0
) -> Descriptor | None:
    """Return the descriptor with that digest, looking into nested indexes too."""
    for descriptor in descriptors:
        if descriptor.digest == digest:
            return descriptor
        if descriptor.media_type in INDEX_TYPES and depth < MAX_NESTING:
            found = with_digest(files, nested(files, descriptor), digest, depth=depth + 1)
            if found is not None:
                return found
    return None


def for_platform(
    files: LayoutFiles, descriptors: Sequence[Descriptor], platform: ImagePlatform, *, depth: int = 0
) -> Descriptor:
    """Return the image manifest to use among several: the only one, or the first for ``platform``.

    Reference: a single manifest is taken whatever its platform; it can't choose among several in a layout.
    """
    distinct = {descriptor.digest: descriptor for descriptor in descriptors}
    fitting = [each for each in distinct.values() if each.platform is not None and platform.fits(each.platform)]
    if len(distinct) == 1:
        (chosen,) = distinct.values()
    elif fitting:
        chosen = fitting[0]
    else:
        unmarked = [each for each in distinct.values() if each.platform is None]
        names = sorted({each.annotations.get(REF_NAME, "") for each in unmarked} - {""})
        if len(unmarked) > 1 and names:
            raise CorruptImageError(
                f"holds several images: {', '.join(names)}", where=files.where, remedy="name one: PATH:NAME"
            )
        if len(unmarked) != 1:
            raise CorruptImageError(
                f"has {len(distinct)} images, none of them for {platform}" if distinct else "has no image",
                where=files.where,
            )
        chosen = unmarked[0]
    if chosen.media_type not in INDEX_TYPES:
        return chosen
    if depth == MAX_NESTING:
        raise CorruptImageError("nests indexes too deep", where=files.where)
    return for_platform(files, nested(files, chosen), platform, depth=depth + 1)


def with_name(descriptors: Sequence[Descriptor], name: str) -> tuple[Descriptor, ...]:
    """Return the descriptors of index.json that carry that name or tag."""
    return tuple(each for each in descriptors if each.annotations.get(REF_NAME) == name)


def nested(files: LayoutFiles, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """Return what a nested index lists."""
    return read_index(_document(files, descriptor), where=f"{files.where} {descriptor.digest}")


def _document(files: LayoutFiles, descriptor: Descriptor) -> bytes:
    if descriptor.size > MAX_DOCUMENT:
        raise CorruptImageError(f"is larger than {MAX_DOCUMENT} bytes", where=f"{files.where} {descriptor.digest}")
    try:
        return b"".join(_blob(files, descriptor))
    except VerificationError as error:
        raise CorruptImageError(error.message, where=error.where) from error


def _blob(files: LayoutFiles, descriptor: Descriptor) -> Iterator[bytes]:
    name = blob_name(Digest(descriptor.digest))
    where = f"{files.where} {descriptor.digest}"
    return verified(files.chunks(name), digest=descriptor.digest, size=descriptor.size, where=where)
