"""Stores of images that other programs keep: registries, and the Docker daemon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lifecycle.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.images.store import ImageStore


@dataclass(frozen=True)
class RemoteStores:
    """Both kinds of store; each is opened when it is first asked for.

    ``insecure`` are beginnings of image names that may be reached without TLS.
    """

    environment: Mapping[str, str]
    insecure: tuple[str, ...] = ()
    progress: Progress = NO_PROGRESS

    @cached_property
    def registry(self) -> ImageStore:
        """Registries, with this user's credentials and configuration."""
        from lifecycle.images.registry.client import RegistryClient
        from lifecycle.images.registry.credentials import default_keychain
        from lifecycle.images.registry.hosts import Hosts
        from lifecycle.images.registry.store import RegistryStore

        hosts = Hosts.read(self.environment, insecure=self.insecure)
        return RegistryStore(RegistryClient(hosts, default_keychain(self.environment)), progress=self.progress)

    @cached_property
    def daemon(self) -> ImageStore:
        """The Docker daemon of ``DOCKER_HOST``, or podman in its place."""
        from lifecycle.images.daemon.store import open_daemon

        return open_daemon(self.environment, progress=self.progress)
