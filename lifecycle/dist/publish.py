"""A lifecycle image for several platforms, in a registry: an index of one tag, and a tag for each platform's image.

Platforms of pack's kind take the image of their own platform from the index.  Tags are named as the reference's are.
kpack puts the layer of the lifecycle on a stack's image under the media type that it has here, and its own layers under
Docker's: CRI-O pulls no image of both kinds, so it is Docker's here, as the reference's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError
from lifecycle.images.scratch import scratch_image
from lifecycle.oci.gojson import Struct, dumps
from lifecycle.oci.manifest import DOCKER_INDEX
from lifecycle.oci.reference import parse_reference, parse_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.dist.target import Target
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.store import ImageStore, NewImage
    from lifecycle.oci.digest import Digest

NAMES = {"amd64": "x86-64", "arm64": "arm64"}
"""Architectures as the names of releases have them."""


def push_images(name: str, images: Mapping[Target, NewImage], *, store: ImageStore, client: RegistryClient) -> Digest:
    """Push the image of each target as ``<name>-linux-<architecture>``, then their index as ``name``.

    Returns the digest of the index.  Raises ``InvalidInputError`` for a name that is no tag, and ``ImageError``.
    """
    tag = parse_tag(name)
    listed = []
    for target, image in images.items():
        based = replace(image, base=scratch_image(architecture=target.arch, docker=True))
        written = store.write(based, [f"{tag.name}-linux-{NAMES[target.arch]}"])
        if written.failures:
            raise ImageError("; ".join(written.failures.values()), where=tag.name)
        described = client.head_written(parse_reference(f"{tag.context}@{written.digest}"))
        if described is None:
            raise ImageError("is not there after it was pushed", where=written.reference, remedy="push it again")
        listed.append(replace(described, platform=Struct(architecture=target.arch, os="linux")))
    index = Struct(schemaVersion=2, mediaType=DOCKER_INDEX, manifests=[each.struct() for each in listed])
    return client.put_manifest(tag, dumps(index).encode(), DOCKER_INDEX)
