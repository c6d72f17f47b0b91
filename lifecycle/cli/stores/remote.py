"""Stores of images that other programs keep: registries, and the Docker daemon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from lifecycle.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.images.registry.access import RegistryAccess
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.registry.store import RegistryStore
    from lifecycle.images.store import ImageStore
    from lifecycle.oci.reference import Reference


@dataclass(frozen=True)
class RemoteStores:
    """Both kinds of store; each is opened when it is first asked for.

    ``insecure`` are beginnings of image names that may be reached without TLS.  ``access`` was read already.
    """

    environment: Mapping[str, str]
    insecure: tuple[str, ...] = ()
    progress: Progress = NO_PROGRESS
    access: RegistryAccess | None = None

    def before_drop(self, references: Iterable[Reference], *, daemon: bool) -> RemoteStores:
        """Return stores that need nothing any more which only this user may read or open.

        Of registries they know those of ``references`` and their mirrors.  With ``daemon`` it is opened now.
        """
        from lifecycle.images.registry.access import RegistryAccess

        access = self.access or RegistryAccess.read(self.environment, insecure=self.insecure)
        stores = replace(self, access=access.resolved(references))
        return stores.with_open_daemon() if daemon else stores

    def with_open_daemon(self) -> RemoteStores:
        """Return these stores, whose daemon has answered; raise ``DaemonError`` if it can't be reached."""
        _ = self.daemon
        return self

    def cache_client(self, seconds: float) -> RegistryClient:
        """Return a client for reading caches, which gives up after so many seconds without a sign of a registry."""
        from lifecycle.images.registry.access import RegistryAccess
        from lifecycle.images.registry.client import Limits, RegistryClient
        from lifecycle.images.registry.retry import RetryPolicy
        from lifecycle.images.registry.transport import Timeouts

        access = self.access or RegistryAccess.read(self.environment, insecure=self.insecure)
        timeouts = Timeouts(connect=min(seconds, 10.0), read=seconds)
        retry = RetryPolicy(tries=3, tries_unreached=2, longest_retry_after=seconds, total=2 * seconds)
        limits = Limits(timeouts=timeouts, retry=retry)
        return RegistryClient(access.hosts, access.keychain, limits=limits, contexts=access.contexts)

    @cached_property
    def client(self) -> RegistryClient:
        """A client of registries, with this user's credentials and configuration."""
        from lifecycle.images.registry.access import RegistryAccess
        from lifecycle.images.registry.client import RegistryClient

        access = self.access or RegistryAccess.read(self.environment, insecure=self.insecure)
        return RegistryClient(access.hosts, access.keychain, contexts=access.contexts)

    @cached_property
    def registry(self) -> RegistryStore:
        """Registries as a store of images."""
        from lifecycle.images.registry.store import RegistryStore

        return RegistryStore(self.client, progress=self.progress)

    @cached_property
    def daemon(self) -> ImageStore:
        """The Docker daemon of ``DOCKER_HOST``, or podman in its place."""
        from lifecycle.images.daemon.store import open_daemon

        return open_daemon(self.environment, progress=self.progress, before_drop=self.access is not None)
