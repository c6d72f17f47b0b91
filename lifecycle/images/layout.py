"""Images on disk as OCI layouts.

``LayoutStore`` keeps one image per directory, found by its reference; ``DirectoryStore`` is a single layout
at a path that the user chose.  Spec: platform.md "Map an image reference to a path in the layout directory".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError, LifecycleError
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.images.layout_files import DirectoryFiles, blob_name
from lifecycle.images.layout_image import (
    for_platform,
    nested,
    open_image,
    read_layout_index,
    with_digest,
    with_name,
)
from lifecycle.images.layout_writer import manifest_descriptor, write_blobs, write_index
from lifecycle.images.store import WrittenImage
from lifecycle.oci.digest import digest_of, is_digest
from lifecycle.oci.manifest import INDEX_TYPES, REF_NAME, Descriptor
from lifecycle.oci.reference import DEFAULT_TAG, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.images.layout_files import LayoutFiles
    from lifecycle.images.layout_image import LayoutImage
    from lifecycle.images.store import NewImage
    from lifecycle.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class LayoutLocation:
    """Where an image is: the directory of its layout, the manifest wanted there, and its tag."""

    path: Path
    digest: str = ""
    tag: str = ""


def locate(name: str, layout_dir: Path) -> LayoutLocation:
    """Map a reference to its place below ``layout_dir``; a path stays one, and may end in ``@<digest>``.

    Reference: references that start with the layout directory are paths.
    """
    text, _, digest = name.rpartition("@") if is_digest(name.rpartition("@")[2]) else (name, "", "")
    if text.startswith(("/", "./", "../", f"{layout_dir}/")):
        path = Path(text).absolute()
        return LayoutLocation(path, digest, path.name)
    reference = parse_reference(name)
    parts = reference.digest.split(":") if reference.digest else [reference.identifier]
    path = layout_dir.absolute().joinpath(reference.registry, reference.repository, *parts)
    return LayoutLocation(path, "", reference.tag or DEFAULT_TAG)


class LayoutStore:
    """Images below a layout directory, each in a layout of its own.

    Written as the reference does it: index.json always has one manifest, which carries its tag as an
    annotation.
    """

    def __init__(self, layout_dir: Path, *, platform: ImagePlatform | None = None) -> None:
        self._layout_dir = layout_dir
        self._platform = platform or host_platform()

    def find(self, name: str) -> LayoutImage | None:
        """Return the image, or ``None`` if there is none."""
        location = locate(name, self._layout_dir)
        files = DirectoryFiles(location.path)
        descriptors = read_layout_index(files)
        if descriptors is None:
            return None
        if not location.digest:
            return open_image(files, for_platform(files, descriptors, self._platform), name=name)
        found = with_digest(files, descriptors, location.digest)
        return None if found is None else open_image(files, found, name=name)

    def readable(self, name: str) -> bool:
        """Say whether there is a layout for ``name``."""
        return os.access(locate(name, self._layout_dir).path / "index.json", os.R_OK)

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless every name could be written."""
        for name in names:
            check_writable(locate(name, self._layout_dir).path)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write ``image`` under every name."""
        written: dict[str, tuple[Path, Manifest]] = {}
        failures: dict[str, str] = {}
        for name in names:
            try:
                location = locate(name, self._layout_dir)
                manifest = write_blobs(location.path, image, annotations={REF_NAME: location.tag})
                write_index(location.path, [manifest_descriptor(manifest, ref_name=location.tag)])
                written[name] = location.path, manifest
            except LifecycleError as error:
                failures[name] = str(error)
        if not written:
            return WrittenImage((), "", digest_of(image.config.dumps()), failures=failures)
        path, manifest = next(iter(written.values()))
        return written_image(path, manifest, tuple(written), failures)


class DirectoryStore:
    """One layout at ``path``, in which names are tags.

    Images of other tags stay; what no image needs any more is removed after each write.
    """

    def __init__(self, path: Path, *, platform: ImagePlatform | None = None) -> None:
        self._path = path.absolute()
        self._platform = platform or host_platform()

    def find(self, name: str) -> LayoutImage | None:
        """Return the image of a tag or of ``<path>@<digest>``; the empty name means the only image."""
        return find_in(DirectoryFiles(self._path), name, self._platform)

    def names(self) -> tuple[str, ...]:
        """Return the names of the images that lie there, in the order of the index."""
        listed = (each.annotations.get(REF_NAME) for each in read_layout_index(DirectoryFiles(self._path)) or ())
        return tuple(dict.fromkeys(name for name in listed if name))

    def readable(self, name: str) -> bool:
        """Say whether the layout has such an image."""
        return self.find(name) is not None

    def check_write(self, names: Sequence[str]) -> None:  # noqa: ARG002  # all names lie in one directory
        """Raise ``ImageError`` unless the layout could be written."""
        check_writable(self._path)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write ``image``; all names appear at once."""
        files = DirectoryFiles(self._path)
        with locked_layout(self._path):
            started = time.time()
            manifest = write_blobs(self._path, image)
            kept = [each for each in read_layout_index(files) or () if each.annotations.get(REF_NAME) not in names]
            descriptors = [*kept, *(manifest_descriptor(manifest, ref_name=name) for name in names)]
            write_index(self._path, descriptors)
            with contextlib.suppress(LifecycleError, OSError):
                _prune(self._path, _needed(files, descriptors), before=started)
        return written_image(self._path, manifest, tuple(names), {})


def find_in(files: LayoutFiles, name: str, platform: ImagePlatform) -> LayoutImage | None:
    """Return the image that a layout holds under a tag, a digest or, for the empty name, alone."""
    descriptors = read_layout_index(files)
    if descriptors is None:
        return None
    digest = name.rpartition("@")[2]
    if is_digest(digest):
        found = with_digest(files, descriptors, digest)
        return None if found is None else open_image(files, found, name=name)
    named = with_name(descriptors, name) if name else descriptors
    return open_image(files, for_platform(files, named, platform), name=name or files.where) if named else None


def written_image(path: Path, manifest: Manifest, names: tuple[str, ...], failures: dict[str, str]) -> WrittenImage:
    """Return the result of writing a layout; it reports no digest, its reference is its path with one."""
    data = manifest.dumps()
    return WrittenImage(
        names=names,
        reference=f"{path}@{digest_of(data)}",
        image_id=manifest.config.digest,
        manifest_size=len(data),
        failures=failures,
    )


def check_writable(path: Path) -> None:
    """Raise ``ImageError`` unless ``path`` is, or could be made, a directory to write into."""
    nearest = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
    if not nearest.is_dir():
        raise ImageError("is not a directory", where=nearest, remedy="remove it or choose another path")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ImageError("may not be written", where=nearest, remedy="give this user write access to it")


@contextlib.contextmanager
def locked_layout(path: Path) -> Iterator[None]:
    """Let one lifecycle at a time write to a layout; the lock is on the directory and leaves no file."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"can't be written: {error.strerror}", where=path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _needed(files: LayoutFiles, descriptors: Sequence[Descriptor]) -> set[str]:
    """Return the names of all blobs that the images of an index consist of."""
    needed: set[str] = set()
    for descriptor in descriptors:
        needed.add(blob_name(descriptor.digest))
        if descriptor.media_type in INDEX_TYPES:
            needed |= _needed(files, nested(files, descriptor))
            continue
        image = open_image(files, descriptor, name=files.where)
        parts = (image.manifest.config, *image.manifest.layers)
        needed.update(blob_name(part.digest) for part in parts)
    return needed


def _prune(path: Path, needed: set[str], *, before: float) -> None:
    """Remove blobs that no image needs, unless another program may just be writing them."""
    for blob in (path / "blobs").glob("*/*"):
        if str(blob.relative_to(path)) not in needed and blob.stat().st_mtime < before:
            blob.unlink()
