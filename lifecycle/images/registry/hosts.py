"""How to reach registries: addresses, mirrors, schemes, certificates, proxies.

Mirrors and moved registries come from ``registries.conf`` (``registries_conf``), certificates of hosts from
``certs.d`` (``certs_d``), trusted authorities from the environment (``trust``).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import ImageError
from lifecycle.images.registry.certs_d import HostCertificates, certs_dirs, host_certificates
from lifecycle.images.registry.registries_conf import (
    Location,
    PullFrom,
    RegistryRule,
    read_registries_conf,
    registries_conf_files,
    rule_for,
)
from lifecycle.images.registry.trust import trusted_bundles
from lifecycle.oci.reference import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.oci.reference import Reference

_HUB_AUTHORITY = "registry-1.docker.io"
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that answers for an image.

    ``registry`` is the name by which credentials are kept, ``authority`` the ``host[:port]`` to connect to,
    ``repository`` the image's there.  ``schemes`` are to be tried in their order.  ``ca_file``, a file or
    directory, replaces the library's certificates where it is not ``None``; ``extra_ca_files`` are trusted as well
    (``trust.tls_context`` takes both).  ``client_cert`` is a certificate and its key.  ``use_proxy`` false means
    that proxies named by the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``) are not for this endpoint:
    it is called insecure by the user, or is on this host, to which Go's programs don't use proxies either.
    """

    registry: str
    authority: str
    repository: str
    schemes: tuple[str, ...] = ("https",)
    verify: bool = True
    ca_file: Path | None = None
    extra_ca_files: tuple[Path, ...] = ()
    client_cert: tuple[Path, Path] | None = None
    use_proxy: bool = True
    is_mirror: bool = False

    @property
    def bundles(self) -> tuple[Path, ...]:
        """All files and directories of trusted certificates; empty means the library's own."""
        return (*(() if self.ca_file is None else (self.ca_file,)), *self.extra_ca_files)


@dataclass(frozen=True, slots=True)
class Hosts:
    """What a user's files and environment say of registries.

    ``certificates`` are those of hosts for which they were read already.
    """

    rules: tuple[RegistryRule, ...] = ()
    insecure: tuple[str, ...] = ()
    bundles: tuple[Path, ...] = ()
    certs_dirs: tuple[Path, ...] = ()
    certificates: Mapping[str, HostCertificates] = field(default_factory=dict)

    @classmethod
    def read(cls, environment: Mapping[str, str], *, insecure: Sequence[str] = ()) -> Hosts:
        """Read the configuration of this user and system.

        ``insecure`` are the values of ``-insecure-registry``.  Raises ``InvalidFileError`` or
        ``InvalidInputError`` for files and variables that can't be used.
        """
        return cls(
            rules=read_registries_conf(registries_conf_files(environment)),
            insecure=tuple(text for text in insecure if text),
            bundles=trusted_bundles(environment),
            certs_dirs=certs_dirs(environment),
        )

    def for_pull(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return where to look for an image, in order: its mirrors, then the registry at its location.

        Raises ``ImageError`` for a blocked registry, ``InvalidFileError`` where its files can't be used.
        """
        rule = self._rule(reference)
        if rule is None:
            return (self._endpoint(reference, reference.registry, reference.repository),)
        found = [
            self._endpoint(reference, *rule.rewritten(reference, mirror), insecure=mirror.insecure, is_mirror=True)
            for mirror in rule.mirrors
            if _asked(mirror, reference)
        ]
        own = self._endpoint(reference, *rule.rewritten(reference, rule.location), insecure=rule.location.insecure)
        return (*found, own)

    def for_push(self, reference: Reference) -> Endpoint:
        """Return where an image is written: the registry that it names, whatever its mirrors and location.

        So does podman.  Raises as ``for_pull``.
        """
        rule = self._rule(reference)
        insecure = rule is not None and rule.location.insecure
        return self._endpoint(reference, reference.registry, reference.repository, insecure=insecure)

    def registries(self, references: Iterable[Reference]) -> frozenset[str]:
        """Return the names of all registries that reading and writing ``references`` may lead to.

        They are what ``credentials.resolved`` has to look up.
        """
        return frozenset(
            endpoint.registry
            for reference in references
            for endpoint in (*self.for_pull(reference), self.for_push(reference))
        )

    def resolved(self, registries: Iterable[str]) -> Hosts:
        """Return hosts that need not look for the certificates of ``registries`` any more.

        For phases that give up privileges afterwards.  Raises ``InvalidFileError``.
        """
        found = {registry: host_certificates(registry, self.certs_dirs) for registry in registries}
        return replace(self, certificates=found)

    def reaching(self, endpoint: Endpoint) -> Hosts:
        """Return hosts in which the image of ``endpoint``, by its name there, is looked for there alone."""
        rule = RegistryRule(
            prefix=f"{endpoint.registry}/{endpoint.repository}",
            location=Location("", insecure=not endpoint.verify),
            mirrors=(),
            blocked=False,
            where="",
        )
        return replace(self, rules=(rule,))

    def _rule(self, reference: Reference) -> RegistryRule | None:
        rule = rule_for(self.rules, reference)
        if rule is not None and rule.blocked:
            raise ImageError(
                f'registry "{rule.prefix}" is blocked by {rule.where}',
                where=reference.name,
                remedy="use an image of another registry, or remove blocked = true",
            )
        return rule

    def _endpoint(
        self, reference: Reference, registry: str, repository: str, *, insecure: bool = False, is_mirror: bool = False
    ) -> Endpoint:
        flagged = any(
            name.startswith(prefix) for prefix in self.insecure for name in _names(reference, registry, repository)
        )
        certificates = self.certificates.get(registry) or host_certificates(registry, self.certs_dirs)
        return Endpoint(
            registry=registry,
            authority=_HUB_AUTHORITY if registry == DEFAULT_REGISTRY else registry,
            repository=repository,
            schemes=("https", "http") if flagged or insecure or may_speak_http(registry) else ("https",),
            verify=not (flagged or insecure),
            ca_file=self.bundles[0] if self.bundles else None,
            extra_ca_files=(*self.bundles[1:], *certificates.ca_files),
            client_cert=certificates.client_cert,
            use_proxy=not flagged and not on_this_host(registry),
            is_mirror=is_mirror,
        )


def _names(reference: Reference, registry: str, repository: str) -> Iterator[str]:
    """Yield the names by which a user may call an image insecure: as written, and as found."""
    yield f"{registry}/{repository}"
    if (registry, repository) == (reference.registry, reference.repository):
        yield reference.text


def _asked(mirror: Location, reference: Reference) -> bool:
    match mirror.pull_from:
        case PullFrom.ALL:
            return True
        case PullFrom.DIGEST_ONLY:
            return reference.digest is not None
        case PullFrom.TAG_ONLY:
            return reference.digest is None


def may_speak_http(registry: str) -> bool:
    """Say whether plain http is acceptable: on this host and in private IPv4 networks, as in the reference."""
    return on_this_host(registry) or _in_networks(_host(registry), _PRIVATE)


def on_this_host(registry: str) -> bool:
    """Say whether a registry is named as one on this host."""
    host = _host(registry)
    return host == "localhost" or host.endswith(".localhost") or _in_networks(host, _LOOPBACK)


def _host(registry: str) -> str:
    return registry[1:].partition("]")[0] if registry.startswith("[") else registry.partition(":")[0]


def _in_networks(host: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
