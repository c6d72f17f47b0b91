"""The two images of ``lifecycle diff``: found wherever they are, read no further than they differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, assert_never

from lifecycle.cli.commands.build.workspace import state_dir
from lifecycle.cli.stores.locations import Location, Place, read_source
from lifecycle.differences.causes import UNKNOWN, causes_of_content, causes_of_presence
from lifecycle.differences.contents import compare_contents
from lifecycle.differences.documents import read_document
from lifecycle.differences.fields import config_differences, manifest_differences
from lifecycle.differences.image import ImageDifference, LayerDifference, Side
from lifecycle.differences.layers import layer_order, origins, pair_layers
from lifecycle.differences.members import LayerComparison, compare_members
from lifecycle.errors import ImageNotFoundError, UnsafeArchiveError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.daemon.image import DaemonImage
from lifecycle.images.documents import config_data, manifest_data
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.layout_image import LayoutImage
from lifecycle.images.scratch import scratch_image
from lifecycle.images.stored_image import layer_descriptor
from lifecycle.layers.facts import Heads, read_facts
from lifecycle.oci.config import read_config
from lifecycle.oci.digest import Digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.differences.causes import Circumstances
    from lifecycle.differences.fields import FieldDifference
    from lifecycle.differences.layers import LayerPair, Origin
    from lifecycle.differences.members import MemberDifference
    from lifecycle.images.store import Image
    from lifecycle.layers.facts import MemberFacts

_TEXTS: Final = 100
"""Files of one layer whose contents are compared line by line; of the others it is told that they differ."""


@dataclass(frozen=True)
class Compared:
    """One image, and the name by which a person asked for it."""

    name: str
    image: Image

    @property
    def known_id(self) -> Digest:
        """The id that tells whether images are the same: the daemon's own, or the configuration's digest."""
        if isinstance(self.image, DaemonImage):
            return Digest(f"sha256:{self.image.reference}")
        return self.image.manifest.config.digest

    @cached_property
    def config(self) -> bytes:
        """The configuration, byte for byte; a daemon has to save the whole image for it."""
        return config_data(self.image)

    @cached_property
    def manifest(self) -> bytes | None:
        """The manifest, byte for byte, ``None`` where there is none."""
        return manifest_data(self.image)

    def side(self, image_id: Digest) -> Side:
        """Return what is told of the image."""
        found = self.image.config
        platform = "/".join(filter(None, (found.os, found.architecture, found.variant)))
        digest = None if self.manifest is None else digest_of(self.manifest)
        return Side(self.name, image_id, digest, platform, len(found.diff_ids))


def open_compared(
    text: str, remote: RemoteStores, environment: Mapping[str, str], *, platform: ImagePlatform | None
) -> Compared:
    """Find an image by what a person wrote; a bare name may be of this user's images.

    ``platform`` chooses among several, by default that of this machine.  Raises ``ImageError`` if there is no such
    image or it can't be read.
    """
    location = read_source(text)
    wanted = platform or host_platform()
    image = _find(location, text, remote, environment, wanted)
    if image is None:
        asked = f" for {platform}" if platform else ""
        raise ImageNotFoundError(
            f"is not there{asked}",
            where=text,
            remedy="name an image in a registry, docker-daemon:NAME, an OCI layout or an archive",
        )
    return Compared(text, image)


def _find(
    location: Location, text: str, remote: RemoteStores, environment: Mapping[str, str], platform: ImagePlatform
) -> Image | None:
    match location.place:
        case Place.SCRATCH:
            return scratch_image(os=platform.os, architecture=platform.architecture, variant=platform.variant)
        case Place.REGISTRY:
            local = LayoutStore(state_dir(environment) / "images", platform=platform)
            if location == Location(Place.REGISTRY, text) and local.readable(text):
                return local.find(text)
            from lifecycle.images.registry.store import RegistryStore

            return RegistryStore(remote.client, platform=platform, progress=remote.progress).find(location.name)
        case Place.DAEMON:
            return remote.daemon.find(location.name)
        case Place.LAYOUT:
            return DirectoryStore(location.path, platform=platform).find(location.image)
        case Place.ARCHIVE:
            return ArchiveStore(location.path, platform=platform).find(location.image)
        case Place.DOCKER_ARCHIVE:
            from lifecycle.images.docker_archive import DockerArchiveStore

            return DockerArchiveStore(location.path).find(location.image)
    assert_never(location.place)


def compare(first: Compared, second: Compared, *, circumstances: Circumstances = UNKNOWN) -> ImageDifference:
    """Compare two images.  Layers with the same diffID are never read, the others once, as streams.

    Raises ``ImageError`` or ``VerificationError`` where a layer can't be read.
    """
    same = first.known_id == second.known_id
    ids = [side.known_id if same else digest_of(side.config) for side in (first, second)]
    configs = [side.image.config if same else read_config(side.config, where=side.name) for side in (first, second)]
    pairs = pair_layers(*map(origins, configs))
    layers = []
    with Heads() as heads:
        for pair in pairs:
            if pair.change is not None:
                layers.append(_compare_layers(pair, first.image, second.image, heads, circumstances))
                heads.clear()
    return ImageDifference(
        first.side(ids[0]),
        second.side(ids[1]),
        layers=tuple(layers),
        identical_layers=len(pairs) - len(layers),
        order=layer_order(pairs),
        fields=((() if same else _of_configs(first, second, pairs)) + _of_manifests(first, second, pairs)),
    )


def _of_configs(first: Compared, second: Compared, pairs: Sequence[LayerPair]) -> tuple[FieldDifference, ...]:
    return config_differences(
        read_document(first.config, where=first.name),
        read_document(second.config, where=second.name),
        same_bytes=first.config == second.config,
        pairs=pairs,
    )


def _of_manifests(first: Compared, second: Compared, pairs: Sequence[LayerPair]) -> tuple[FieldDifference, ...]:
    if first.manifest is None or second.manifest is None:
        return ()
    return manifest_differences(
        read_document(first.manifest, where=first.name),
        read_document(second.manifest, where=second.name),
        same_bytes=first.manifest == second.manifest,
        pairs=pairs,
    )


def _compare_layers(
    pair: LayerPair, first: Image, second: Image, heads: Heads, circumstances: Circumstances
) -> LayerDifference:
    for image, origin in ((first, pair.first), (second, pair.second)):
        if origin is not None and isinstance(image, LayoutImage):
            descriptor = image.manifest.layers[origin.position - 1]
            if not image.has_blob(descriptor):
                return LayerDifference(pair, LayerComparison(), f"{image.files.where} lacks its blob")
    try:
        one = _facts(first, pair.first, heads)
        known = {(each.path, each.content) for each in one}
        other = _facts(second, pair.second, heads, wanted=lambda facts: (facts.path, facts.content) not in known)
    except UnsafeArchiveError as error:
        return LayerDifference(pair, LayerComparison(), str(error))
    found = compare_members(one, other)
    rows, texts = [], 0
    for row in found.members:
        texts += row.content_differs
        rows.append(_explained(row, heads, circumstances, with_content=texts <= _TEXTS, pair=pair))
    return LayerDifference(pair, replace(found, members=tuple(rows)))


def _facts(
    image: Image, origin: Origin | None, heads: Heads, wanted: Callable[[MemberFacts], bool] = lambda _: True
) -> list[MemberFacts]:
    if origin is None:
        return []
    where = f"{image.name} {layer_descriptor(image, origin.diff_id).digest}"
    return list(read_facts(image.layer(origin.diff_id), heads, where=where, wanted=wanted))


def _explained(
    row: MemberDifference, heads: Heads, circumstances: Circumstances, *, with_content: bool, pair: LayerPair
) -> MemberDifference:
    """Return a difference with what is to be said of the contents."""
    one, other = row.first, row.second
    if one is None or other is None:
        facts = one or other
        of_both = pair.first is not None and pair.second is not None
        return replace(row, causes=causes_of_presence(facts.path)) if facts is not None and of_both else row
    if not row.content_differs or not with_content:
        return row
    first, second = heads.read(one.head), heads.read(other.head)
    if first is None or second is None:
        return row
    content = compare_contents(first, second, first_size=one.size, second_size=other.size)
    return replace(row, content=content, causes=causes_of_content(one.path, first, second, circumstances))
