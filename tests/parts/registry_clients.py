"""Registry clients for tests: their credentials are given, and their time passes only while they wait."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lifecycle.images.registry.client import Limits, RegistryClient
from lifecycle.images.registry.credential import ANONYMOUS, Credential
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.retry import Clock, RetryPolicy
from lifecycle.images.registry.transport import Timeouts
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_LAYER_GZIP, Descriptor
from lifecycle.oci.reference import Reference, parse_reference

_NAMES = itertools.count()


class Server(Protocol):
    """What registries and proxies of `parts` have in common."""

    host: str
    username: str
    password: str


@dataclass
class FakeTime:
    """Seconds that pass only by sleeping; `waits` has every sleep."""

    now: float = 1_700_000_000.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, wall=lambda: self.now, sleep=self.sleep, spread=lambda: 0.0)


@dataclass
class Keys:
    """A keychain of fixed credentials by registry; `asked` has the registries it was asked for."""

    credentials: Mapping[str, Credential] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def credential(self, registry: str) -> Credential:
        self.asked.append(registry)
        return self.credentials.get(registry, ANONYMOUS)


def client_of(
    server: Server | None = None,
    *,
    time: FakeTime | None = None,
    credential: Credential | None = None,
    hosts: Hosts | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
) -> RegistryClient:
    """A client that trusts `server` and knows its user, unless told otherwise. Without `time` its waits are real."""
    known = {}
    if server is not None:
        own = Credential(server.username, server.password, source="the test") if server.username else ANONYMOUS
        known[server.host] = credential or own
    ca_file = getattr(server, "ca_file", None)
    return RegistryClient(
        hosts or Hosts(bundles=(ca_file,) if ca_file else ()),
        Keys(known),
        limits=Limits(timeouts or Timeouts(connect=10, read=20, commit=30), retry or RetryPolicy()),
        clock=(time or FakeTime()).clock if time is not None else Clock(),
    )


def new_repository(server: Server, prefix: str = "test") -> Reference:
    """A reference to a repository of `server` that no other test of this process uses."""
    return parse_reference(f"{server.host}/{prefix}/r{next(_NAMES)}:latest")


def blob_of(data: bytes) -> Descriptor:
    """The descriptor of a layer with these bytes."""
    return Descriptor(OCI_LAYER_GZIP, len(data), digest_of(data))


def pieces(data: bytes, size: int = 100_000) -> "itertools.chain[bytes]":
    """`data` as an iterator of chunks."""
    return itertools.chain(data[at : at + size] for at in range(0, len(data), size))
