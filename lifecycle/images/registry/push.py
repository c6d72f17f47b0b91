"""Pushes an image: its blobs once to each repository, then one manifest for each tag.

A blob is sent only if the repository lacks it and no other repository of the registry can lend it.  A tag
is written last, so it appears whole or not at all.  Spec: OCI distribution-spec "Push".
Reference: what is sent in which order; layers that may not be distributed are left out.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import AccessDeniedError, BlobUnknownError, CorruptImageError, ImageError, LifecycleError
from lifecycle.images.assembly import blob_descriptor, config_descriptor, layers_of, manifest_of, media_types
from lifecycle.images.registry.image import RegistryImage, at_digest, blob_task
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer, WrittenImage
from lifecycle.images.stored_image import StoredImage, layer_descriptor
from lifecycle.layers.blob import write_blob
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import NON_DISTRIBUTABLE_TYPES, Descriptor
from lifecycle.oci.reference import parse_tag
from lifecycle.progress import Progress, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lifecycle.images.assembly import MediaTypes
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.store import Image
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.digest import DiffId, Digest
    from lifecycle.oci.reference import Reference

_LOG = logging.getLogger(__name__)
_AT_ONCE = 4
"""Blobs that are sent at the same time."""


@dataclass(slots=True)
class Holders:
    """Which repositories are known to have a blob, for others of the same registry to take it from there."""

    _known: defaultdict[Digest, dict[str, Reference]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, digest: Digest, repository: Reference) -> None:
        """Note that ``repository`` has the blob."""
        self._known[digest].setdefault(repository.context, repository)

    def others(self, digest: Digest, target: Reference) -> tuple[Reference, ...]:
        """Return the repositories beside ``target``, in its registry, that have the blob."""
        return tuple(
            each
            for context, each in tuple(self._known[digest].items())
            if each.registry == target.registry and context != target.context
        )


def push(
    client: RegistryClient,
    image: NewImage,
    names: Sequence[str],
    *,
    work_dir: Path,
    holders: Holders,
    progress: Progress,
) -> WrittenImage:
    """Write ``image`` under all ``names``; what fails is told for each of them.

    Layers of images that have no blobs are compressed into ``work_dir``, which the caller removes.
    """
    targets = {name: parse_tag(name) for name in names}
    config = image.config.dumps()
    try:
        parts, layers = _parts(image, work_dir, where=names[0])
    except LifecycleError as error:
        return WrittenImage((), "", digest_of(config), failures=dict.fromkeys(targets, str(error)))
    for part in parts:
        for source in part.images:
            if isinstance(source, RegistryImage):
                holders.add(part.descriptor.digest, source.location)
    types = media_types(image)
    manifest = manifest_of(image, config, layers, types=types).dumps()
    pushing = _Push(client, parts, config, config_descriptor(config, types), holders, progress)
    failures: dict[str, str] = {}
    repositories: dict[str, dict[str, Reference]] = {}
    for name, target in targets.items():
        repositories.setdefault(target.context, {})[name] = target
    for tags in repositories.values():
        failures |= pushing.to_repository(tags, manifest, types.manifest)
    written = tuple(name for name in targets if name not in failures)
    digest = digest_of(manifest)
    return WrittenImage(
        names=written,
        reference=at_digest(targets[written[0]], digest).name if written else "",
        image_id=digest_of(config),
        digest=digest,
        manifest_size=len(manifest),
        failures={name: failures[name] for name in targets if name in failures},
    )


@dataclass(frozen=True, slots=True)
class BlobPush:
    """Blobs on their way into the repository of ``target``, for a manifest that is no image's.

    ``blobs`` are descriptors, each with what has those bytes; ``config`` is a document that is sent too.
    """

    client: RegistryClient
    target: Reference
    blobs: Sequence[tuple[Descriptor, LayerBlob | ReusedLayer]]
    config: tuple[Descriptor, bytes]
    progress: Progress

    def run(self, *, again: bool = False) -> None:
        """Send what the repository lacks, or with ``again`` all of it; raise ``LifecycleError``."""
        holders = Holders()
        parts: dict[Digest, _Part] = {}
        for descriptor, source in self.blobs:
            if not isinstance(source, ReusedLayer):
                part = _Part(descriptor, files=(source,))
            elif isinstance(source.image, BlobSource):
                part = _Part(descriptor, images=(source.image,), origin=source.image.name)
            else:
                raise ImageError(f"keeps no blob of {source.diff_id}", where=source.image.name)
            if isinstance(source, ReusedLayer) and isinstance(source.image, RegistryImage):
                holders.add(descriptor.digest, source.image.location)
            known = parts.get(descriptor.digest)
            parts[descriptor.digest] = part if known is None else known.joined(part)
        descriptor, config = self.config
        ordered = sorted(parts.values(), key=lambda part: -part.descriptor.size)
        pushing = _Push(self.client, ordered, config, descriptor, holders, self.progress)
        pushing.send_blobs(self.target, again=again)


@dataclass(frozen=True, slots=True)
class _Part:
    """A layer's blob and all that have it: files and images.

    ``origin`` is the name of an image that it comes from, ``""`` if this build made it.
    """

    descriptor: Descriptor
    files: tuple[LayerBlob, ...] = ()
    images: tuple[StoredImage, ...] = ()
    origin: str = ""

    def joined(self, other: _Part) -> _Part:
        """Return the same blob with what ``other`` knows of it."""
        origin = self.origin and other.origin
        return _Part(self.descriptor, (*self.files, *other.files), (*self.images, *other.images), origin)

    def chunks(self, target: Reference) -> Iterator[bytes]:
        """Yield its bytes for the repository ``target``, which lacks them, though a mirror of it may not."""
        if self.files:
            return self.files[0].chunks()
        for image in sorted(self.images, key=lambda image: _in_repository(image, target)):
            if image.has_blob(self.descriptor):
                return image.blob(self.descriptor)
        raise CorruptImageError(
            f"lacks the layer {self.descriptor.digest}",
            where=self.images[0].name,
            remedy="push that image again, or use one that has all of its layers",
        )

    def comes_from_elsewhere(self, target: Reference) -> bool:
        """Say whether anything but the repository ``target`` may have it."""
        return bool(self.files) or not all(_in_repository(image, target) for image in self.images)


def _in_repository(image: Image, repository: Reference) -> bool:
    return isinstance(image, RegistryImage) and image.location.context == repository.context


@dataclass(frozen=True, slots=True)
class _ImageLayer:
    """A layer of an image that keeps no blobs."""

    image: Image
    diff_id: DiffId

    def chunks(self) -> Iterator[bytes]:
        return self.image.layer(self.diff_id)


def _parts(image: NewImage, work_dir: Path, *, where: str) -> tuple[list[_Part], list[Descriptor]]:
    """Return the blobs to push, the biggest first, and the descriptors of all layers in their order."""
    types = media_types(image)
    found = [_part(layer, types, work_dir) for layer in layers_of(image, where=where)]
    parts: dict[Digest, _Part] = {}
    for part in found:
        descriptor = part.descriptor
        if descriptor.media_type not in NON_DISTRIBUTABLE_TYPES:
            known = parts.get(descriptor.digest)
            parts[descriptor.digest] = part if known is None else known.joined(part)
    return sorted(parts.values(), key=lambda part: -part.descriptor.size), [part.descriptor for part in found]


def _part(layer: LayerBlob | ReusedLayer, types: MediaTypes, work_dir: Path) -> _Part:
    if not isinstance(layer, ReusedLayer):
        return _Part(blob_descriptor(layer, types), files=(layer,))
    image = layer.image
    if isinstance(image, BlobSource):
        return _Part(layer_descriptor(image, layer.diff_id), images=(image,), origin=image.name)
    blob = write_blob(_ImageLayer(image, layer.diff_id), work_dir)
    return _Part(blob_descriptor(blob, types), files=(blob,), origin=image.name)


@dataclass(frozen=True, slots=True)
class _Push:
    """The way of one image into the repositories of its names."""

    client: RegistryClient
    parts: Sequence[_Part]
    config: bytes
    config_descriptor: Descriptor
    holders: Holders
    progress: Progress
    copied_from: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def to_repository(self, tags: dict[str, Reference], manifest: bytes, media_type: str) -> dict[str, str]:
        """Push to the repository of ``tags`` and return why some of them could not be written."""
        failures: dict[str, str] = {}
        missing: dict[str, Reference] = {}
        for name, tag in tags.items():
            try:
                if not self._has(tag, digest_of(manifest)):
                    missing[name] = tag
            except LifecycleError as error:
                failures[name] = str(error)
        if not missing:
            return failures
        repository = next(iter(missing.values()))
        try:
            self.send_blobs(repository)
        except LifecycleError as error:
            return failures | dict.fromkeys(missing, str(error))
        sent_again = False
        for name, tag in missing.items():
            try:
                try:
                    self.client.put_manifest(tag, manifest, media_type)
                except BlobUnknownError:
                    if sent_again:
                        raise
                    # What the registry had a moment ago it may have removed as garbage, and still claim to have.
                    sent_again = True
                    self.send_blobs(repository, again=True)
                    self.client.put_manifest(tag, manifest, media_type)
            except LifecycleError as error:
                failures[name] = str(error)
        return failures

    def _has(self, tag: Reference, digest: Digest) -> bool:
        """Say whether the tag is there already; a token to push may not allow to ask."""
        try:
            found = self.client.head_written(tag)
        except AccessDeniedError:
            return False
        return found is not None and found.digest == digest

    def send_blobs(self, target: Reference, *, again: bool = False) -> None:
        """Send all that the repository lacks; at the first failure the others stop.

        With ``again``, all that can be had elsewhere is sent, whatever the registry says that it has.
        """
        stopped = threading.Event()
        errors: list[BaseException] = []

        def send(part: _Part) -> None:
            try:
                self._send(target, part, stopped, again=again)
            except BaseException as error:
                errors.append(error)
                stopped.set()
                raise

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="push") as workers:
            try:
                wait([workers.submit(send, part) for part in self.parts])
            finally:
                # Where this thread was interrupted, the others stop too.
                stopped.set()
        if errors:
            raise errors[0]
        if again or not self.client.has_blob(target, self.config_descriptor):
            self.client.upload_blob(target, self.config_descriptor, lambda: iter((self.config,)))

    def _announce_copy(self, source: str, target: Reference) -> None:
        """Tell once of each image.  Spec: buildpack.md "Phase #6: Export" (image stores)."""
        if source not in self.copied_from:
            self.copied_from.add(source)
            _LOG.info(
                "Copying layers of '%s' to %s: that image is elsewhere, so this takes longer", source, target.context
            )

    def _send(self, target: Reference, part: _Part, stopped: threading.Event, *, again: bool) -> None:
        descriptor = part.descriptor
        _go_on(stopped)
        if not (again and part.comes_from_elsewhere(target)):
            if self.client.has_blob(target, descriptor):
                self.holders.add(descriptor.digest, target)
                return
            for source in self.holders.others(descriptor.digest, target):
                if self.client.mount_blob(target, descriptor, source=source):
                    self.holders.add(descriptor.digest, target)
                    return
        if part.origin:
            self._announce_copy(part.origin, target)
        self.client.upload_blob(
            target,
            descriptor,
            lambda: watched(
                _until(stopped, part.chunks(target)),
                self.progress,
                task=blob_task("Pushing", target, descriptor),
                total=descriptor.size,
            ),
        )
        self.holders.add(descriptor.digest, target)


def _until(stopped: threading.Event, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        _go_on(stopped)
        yield chunk


def _go_on(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise ImageError("stopped, for another layer could not be pushed")
