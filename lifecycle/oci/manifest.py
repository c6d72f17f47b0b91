"""Image manifests and descriptors, written as the reference writes them.

Spec: OCI image-spec manifest.md, descriptor.md; Docker Image Manifest Version 2, Schema 2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError
from lifecycle.oci.digest import Digest, is_digest
from lifecycle.oci.gojson import Struct, dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
NON_DISTRIBUTABLE_TYPES = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
"""Layers that stay where their publisher keeps them."""

LARGEST_MANIFEST = 4 * 1024 * 1024
"""Bytes; registries refuse larger ones as well.  Spec: OCI distribution-spec "Pushing Manifests"."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed pointer to bytes: ``size`` in bytes, ``digest`` of them as stored."""

    media_type: str
    size: int
    digest: Digest
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, Any] | None = None

    def struct(self) -> Struct:
        """Return the JSON object in the reference's order of keys."""
        fields = Struct(mediaType=self.media_type, size=self.size, digest=self.digest)
        if self.urls:
            fields["urls"] = list(self.urls)
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        if self.platform is not None:
            fields["platform"] = dict(self.platform)
        return fields


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def dumps(self) -> bytes:
        """Return the bytes that a registry or a layout stores."""
        fields = Struct(schemaVersion=2)
        if self.media_type:
            fields["mediaType"] = self.media_type
        fields["config"] = self.config.struct()
        fields["layers"] = [layer.struct() for layer in self.layers]
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return dumps(fields).encode()


def read_object(data: bytes, *, where: str) -> dict[str, Any]:
    """Parse a JSON object; raise ``CorruptImageError`` for anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptImageError(f"is not JSON: {error}", where=where) from error
    if not isinstance(value, dict):
        raise CorruptImageError("is not a JSON object", where=where)
    return value


def _annotations(value: Mapping[str, Any], *, where: str) -> dict[str, str]:
    found = value.get("annotations") or {}
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise CorruptImageError("has annotations that are not strings by name", where=where)
    return found


def _urls(value: Mapping[str, Any], *, where: str) -> tuple[str, ...]:
    found = value.get("urls") or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise CorruptImageError("has urls that are not a list of strings", where=where)
    return tuple(found)


def read_descriptor(value: object, *, where: str) -> Descriptor:
    """Read a descriptor of a manifest or index."""
    if not isinstance(value, dict):
        raise CorruptImageError("has a descriptor that is not an object", where=where)
    digest, size = value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise CorruptImageError(f"has a descriptor with the digest {digest!r}, expected sha256:<hex>", where=where)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise CorruptImageError(f"has a descriptor with the size {size!r}, expected bytes", where=where)
    return Descriptor(
        media_type=str(value.get("mediaType") or ""),
        size=size,
        digest=Digest(digest),
        urls=_urls(value, where=where),
        annotations=_annotations(value, where=where),
        platform=value.get("platform") if isinstance(value.get("platform"), dict) else None,
    )


def read_manifest(data: bytes, *, where: str) -> Manifest:
    """Read an image manifest; raise ``CorruptImageError`` where it is none."""
    value = read_object(data, where=where)
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise CorruptImageError("is not an image manifest: it has no layers", where=where)
    return Manifest(
        media_type=str(value.get("mediaType") or ""),
        config=read_descriptor(value.get("config"), where=where),
        layers=tuple(read_descriptor(layer, where=where) for layer in layers),
        annotations=_annotations(value, where=where),
    )


def read_index(data: bytes, *, where: str) -> tuple[Descriptor, ...]:
    """Read the manifests of an image index."""
    manifests = read_object(data, where=where).get("manifests")
    if not isinstance(manifests, list):
        raise CorruptImageError("is not an image index: it has no manifests", where=where)
    return tuple(read_descriptor(entry, where=where) for entry in manifests)
