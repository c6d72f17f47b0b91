"""An image store over registries: every name is a reference, tags are written to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError
from lifecycle.files.work_dir import work_directory
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.images.registry.image import RegistryImage, for_platform, open_image, stored_manifest
from lifecycle.images.registry.push import Holders, push
from lifecycle.oci.reference import parse_reference, parse_tag
from lifecycle.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.store import NewImage, WrittenImage
    from lifecycle.oci.digest import Digest
    from lifecycle.oci.reference import Reference

_LOG = logging.getLogger(__name__)


class RegistryStore:
    """The registries that ``client`` reaches."""

    def __init__(
        self,
        client: RegistryClient,
        *,
        platform: ImagePlatform | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self._client = client
        self._platform = platform or host_platform()
        self._progress = progress
        self._holders = Holders()

    def find(self, name: str) -> RegistryImage | None:
        """Return the image of a tag or digest, of an index the one for this store's platform.

        ``None`` if there is no such image; raises ``CorruptImageError`` if it can't be understood,
        ``AccessDeniedError`` if it may not be read and ``RegistryError`` if the registry fails.
        """
        reference = parse_reference(name)
        found = stored_manifest(self._client, reference)
        if found is None:
            return None
        chosen = for_platform(self._client, reference, found, self._platform)
        if chosen is None:
            _LOG.warning('Image "%s" has no variant for %s', name, self._platform)
            return None
        return open_image(self._client, reference, chosen, name=name, progress=self._progress)

    def readable(self, name: str) -> bool:
        """Say whether ``name`` is there and may be read; a registry out of reach is as good as none."""
        try:
            return self._client.head_manifest(parse_reference(name)) is not None
        except ImageError as error:
            _LOG.debug("%s can't be read: %s", name, error)
            return False

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``RegistryError`` unless every repository could be pushed to."""
        repositories = {reference.context: reference for reference in map(parse_tag, names)}
        for reference in repositories.values():
            self._client.check_write(reference)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Push ``image`` and tag it with every name; only what is missing is sent."""
        with work_directory("registry") as work_dir:
            return push(
                self._client,
                image,
                names,
                work_dir=work_dir,
                holders=self._holders,
                progress=self._progress,
            )

    def lend(self, blobs: Iterable[Digest], repository: Reference) -> None:
        """Let other repositories of the registry take these blobs of ``repository``, should an image have them."""
        for digest in blobs:
            self._holders.add(digest, repository)

    def delete(self, reference: str) -> None:
        """Delete the manifest of a digest reference, and with it its tags; raise ``RegistryError`` if it stays."""
        self._client.delete_manifest(parse_reference(reference))
