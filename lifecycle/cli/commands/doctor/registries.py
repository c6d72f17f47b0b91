"""The checks of registries: from the name to reading and writing, each place of an image by itself."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from lifecycle.cli.commands.doctor.check import Check, Mark, Section, failed
from lifecycle.errors import LifecycleError, RegistryConnectionError
from lifecycle.images.registry.certs_d import remedy_for
from lifecycle.images.registry.client import Limits, RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.reach import addresses, look_at_tls
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.images.registry.transport import proxy_of
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lifecycle.images.registry.certificate import Certificate
    from lifecycle.images.registry.credentials import Keychain
    from lifecycle.images.registry.hosts import Endpoint
    from lifecycle.images.registry.reach import TlsView
    from lifecycle.oci.reference import Reference

_SOON = timedelta(days=14)
_MOST_ADDRESSES = 4
_ONCE = Limits(retry=RetryPolicy(tries=1, tries_unreached=1))


def registries(
    references: Sequence[str], environment: Mapping[str, str], *, insecure: Sequence[str], read_only: bool
) -> Iterator[Section]:
    """Yield a section for each place that an image may be read from or, unless ``read_only``, written to."""
    with _Warnings() as warnings:
        try:
            hosts = Hosts.read(environment, insecure=insecure)
            keychain = default_keychain(environment)
        except LifecycleError as error:
            yield Section("configuration of registries", [failed("files", error)])
            return
        if warnings.texts:
            yield Section("configuration of registries", list(warnings.taken()))
        for text in references:
            yield from _places(text, hosts, keychain, warnings, read_only=read_only)


def _places(text: str, hosts: Hosts, keychain: Keychain, warnings: _Warnings, *, read_only: bool) -> Iterator[Section]:
    try:
        reference = parse_reference(text)
        sources = hosts.for_pull(reference)
        target = hosts.for_push(reference)
    except LifecycleError as error:
        yield Section(text, [failed("reference", error)])
        return
    for endpoint in sources:
        is_target = not endpoint.is_mirror and _place(endpoint) == _place(target)
        title = f"{reference.name}, mirror {_place(endpoint)}" if endpoint.is_mirror else reference.name
        if not (endpoint.is_mirror or is_target):
            title += f", read from {_place(endpoint)}"
        checks = _Place(reference, endpoint, hosts, keychain, warnings)
        yield Section(title, checks.run(read=True, write=is_target and not read_only))
    if not read_only and _place(target) not in {_place(each) for each in sources if not each.is_mirror}:
        checks = _Place(reference, target, hosts, keychain, warnings)
        yield Section(f"{reference.name}, written to {_place(target)}", checks.run(read=False, write=True))


def _place(endpoint: Endpoint) -> str:
    return f"{endpoint.registry}/{endpoint.repository}"


class _Place:
    """The checks of one endpoint."""

    def __init__(
        self, reference: Reference, endpoint: Endpoint, hosts: Hosts, keychain: Keychain, warnings: _Warnings
    ) -> None:
        self._reference = replace(
            reference, registry=endpoint.registry, repository=endpoint.repository, text=_place(endpoint)
        )
        self._endpoint = endpoint
        self._hosts = hosts.reaching(endpoint)
        self._keychain = keychain
        self._warnings = warnings

    def run(self, *, read: bool, write: bool) -> Iterator[Check]:
        """Yield the checks in the order in which a connection needs them; without one, those of access are left out."""
        proxy = proxy_of(f"https://{self._endpoint.authority}/v2/") if self._endpoint.use_proxy else None
        reached = True
        for look in (self._name, self._proxy, self._tls):
            check = look(proxy)
            reached = reached and check.mark is not Mark.FAILED
            yield check
            if not reached:
                break
        yield self._auth()
        yield from self._warnings.taken()
        if not reached:
            return
        with RegistryClient(self._hosts, self._keychain, limits=_ONCE) as client:
            if read:
                yield _tried("read", lambda: client.check_read(self._reference), "allowed")
            if write:
                yield _tried("write", lambda: client.check_write(self._reference), "allowed: an upload can begin")
        yield from self._warnings.taken()

    def _name(self, proxy: str | None) -> Check:
        authority = self._endpoint.authority
        try:
            found = addresses(authority)
        except LifecycleError as error:
            if proxy is None:
                return failed("name", error)
            return Check(Mark.NOTE, "name", f"{authority} can't be resolved here; the proxy does that")
        more = f" and {len(found) - _MOST_ADDRESSES} more" if len(found) > _MOST_ADDRESSES else ""
        return Check(Mark.OK, "name", f"{authority}: {', '.join(found[:_MOST_ADDRESSES])}{more}")

    def _proxy(self, proxy: str | None) -> Check:
        if proxy is not None:
            return Check(Mark.OK, "proxy", proxy.rpartition("@")[2])
        return Check(Mark.OK, "proxy", "none" if self._endpoint.use_proxy else "none, whatever the environment names")

    def _tls(self, proxy: str | None) -> Check:
        endpoint = self._endpoint
        kind, separator, _ = (proxy or "").partition("://")
        if separator and kind.lower() != "http":
            return Check(Mark.NOTE, "TLS", f"not looked at: the proxy is reached by {kind}")
        try:
            view = look_at_tls(endpoint, proxy=proxy)
        except RegistryConnectionError as error:
            if "http" in endpoint.schemes and ":" not in endpoint.authority:
                return Check(Mark.NOTE, "TLS", f"{error.message}; plain http, on its own port, is allowed too")
            return failed("TLS", error)
        except LifecycleError as error:
            return failed("TLS", error)
        if view is not None:
            return _seen(view, endpoint)
        if "http" in endpoint.schemes:
            return Check(Mark.OK, "TLS", "none: plain http, which is allowed for this registry")
        return Check(
            Mark.FAILED,
            "TLS",
            f"{endpoint.authority} does not speak TLS",
            f"if that is intended, name it in CNB_INSECURE_REGISTRIES={endpoint.registry}",
        )

    def _auth(self) -> Check:
        try:
            found = self._keychain.credential(self._endpoint.registry)
        except LifecycleError as error:
            return failed("auth", error)
        return Check(Mark.OK, "auth", "anonymous: no credentials found" if found.anonymous else found.source)


def _tried(name: str, attempt: Callable[[], None], success: str) -> Check:
    try:
        attempt()
    except LifecycleError as error:
        return failed(name, error)
    return Check(Mark.OK, name, success)


def _seen(view: TlsView, endpoint: Endpoint) -> Check:
    text = f"{view.version}, {'; '.join(_described(each) for each in view.certificates) or 'unreadable certificate'}"
    if view.problem:
        return Check(
            Mark.FAILED,
            "TLS",
            f"not trusted: {view.problem}; {text}",
            remedy_for(view.problem, endpoint.registry),
        )
    expiry = min((each.expires for each in view.certificates), default=None)
    if not endpoint.verify:
        return Check(Mark.NOTE, "TLS", f"not verified, as for all insecure registries; {text}")
    text += f"; trusted by {view.trusted_by or 'the default authorities'}"
    if expiry is not None and expiry < datetime.now(UTC) + _SOON:
        return Check(Mark.NOTE, "TLS", f"{text}; it expires soon")
    return Check(Mark.OK, "TLS", text)


def _described(certificate: Certificate) -> str:
    return f"{certificate.subject} by {certificate.issuer} until {certificate.expires:%Y-%m-%d}"


class _Warnings(logging.Handler):
    """Collects what the modules below warn of, instead of letting it appear between the lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._logger = logging.getLogger("lifecycle")

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def taken(self) -> Iterator[Check]:
        """Yield what has been collected, once."""
        texts, self.texts = self.texts, []
        return (Check(Mark.NOTE, "warning", text) for text in texts)

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
