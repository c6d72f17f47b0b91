"""All that a client of registries reads of this host: addresses, credentials, certificates."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError
from lifecycle.images.registry.credentials import Keychain, default_keychain, resolved
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.trust import TlsContexts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifecycle.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """How registries are reached and who we are to them."""

    hosts: Hosts
    keychain: Keychain
    contexts: TlsContexts = field(default_factory=TlsContexts)

    @classmethod
    def read(cls, environment: Mapping[str, str], *, insecure: Sequence[str] = ()) -> RegistryAccess:
        """Read what this user has; raises as ``Hosts.read`` and ``default_keychain``."""
        return cls(Hosts.read(environment, insecure=insecure), default_keychain(environment))

    def resolved(self, references: Iterable[Reference]) -> RegistryAccess:
        """Return access that needs no file any more to reach ``references`` and their mirrors.

        For phases that give up privileges afterwards.  What can't be read, is as missing as it will be then.
        Raises ``InvalidInputError`` if ``CNB_REGISTRY_AUTH`` has a malformed value for one of the registries.
        """
        registries: set[str] = set()
        hosts = self.hosts
        endpoints = []
        for reference in references:
            with contextlib.suppress(LifecycleError):
                registries |= (found := hosts.registries([reference]))
                hosts = hosts.resolved(found)
                endpoints += [*hosts.for_pull(reference), hosts.for_push(reference)]
        trusted = {(each.bundles, each.verify, each.client_cert) for each in endpoints}
        for bundles, verify, client_cert in {(hosts.bundles, True, None), *trusted}:
            with contextlib.suppress(LifecycleError):
                self.contexts.of(bundles, verify=verify, client_cert=client_cert)
        return replace(self, hosts=hosts, keychain=resolved(self.keychain, sorted(registries)))
