"""Real registries for all tests, and a proxy that fails on demand; each skips where its program isn't installed."""

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from parts.fault_proxy import FaultProxies
from parts.registry import RegistryServer
from parts.tls import CertificateAuthority, KeyPair, write_htpasswd
from parts.token_server import TokenRegistry, TokenServer

if TYPE_CHECKING:
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.registry.store import RegistryStore
    from parts.dockerd import Daemon

# How fast examples come depends on what else the machine does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

USER = ("writer", "pass:word of the writer")
READER = ("reader", "password of the reader")


_SHOWN_LINES = 60


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Let two workers more than there are cores do the work: tests wait much, for servers and for disks."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the servers it used have seen last."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, used in item.funcargs.items():
            if isinstance(used, RegistryServer):
                report.sections.append((f"log of {name}", "\n".join(used.log.splitlines()[-_SHOWN_LINES:])))
            elif isinstance(used, FaultProxies):
                report.sections += [
                    (f"requests to {proxy.url}", "\n".join(map(repr, proxy.log[-_SHOWN_LINES:])))
                    for proxy in used.started
                ]
    return report


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Plain HTTP, no authentication, shared by the tests of a worker: use a repository name of your own."""
    with RegistryServer(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """As `registry`, of this test alone: to kill, restart or damage."""
    with RegistryServer(tmp_path_factory.mktemp("own-registry")) as started:
        yield started


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Signs the certificates of the registries below."""
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_certificate(authority: CertificateAuthority) -> KeyPair:
    """For 127.0.0.1 and localhost."""
    return authority.server()


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, server_certificate: KeyPair
) -> Iterator[RegistryServer]:
    """TLS with a certificate of `authority`, Basic authentication for `.username` and `.password`."""
    directory = tmp_path_factory.mktemp("tls-registry")
    htpasswd = write_htpasswd(directory / "htpasswd", dict([USER]))
    with RegistryServer(
        directory,
        http={"tls": {"certificate": str(server_certificate.certificate), "key": str(server_certificate.key)}},
        auth={"htpasswd": {"realm": "basic-realm", "path": str(htpasswd)}},
        ca_file=authority.ca_file,
        username=USER[0],
        password=USER[1],
    ) as started:
        yield started


@pytest.fixture(scope="session")
def client_cert_registry(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, server_certificate: KeyPair
) -> Iterator[RegistryServer]:
    """TLS that demands a client certificate; `.client_cert` has one and its key."""
    tls = {
        "certificate": str(server_certificate.certificate),
        "key": str(server_certificate.key),
        "clientcas": [str(authority.ca_file)],
    }
    with RegistryServer(
        tmp_path_factory.mktemp("client-cert-registry"),
        http={"tls": tls},
        ca_file=authority.ca_file,
        client_cert=authority.client().paths,
    ) as started:
        yield started


@pytest.fixture(scope="session")
def _token_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenRegistry]:
    directory = tmp_path_factory.mktemp("token-registry")
    with (
        TokenServer(directory, dict([USER, READER]), readers=frozenset({READER[0]})) as server,
        TokenRegistry(
            directory,
            auth=server.registry_configuration,
            username=USER[0],
            password=USER[1],
            token_server=server,
        ) as started,
    ):
        yield started


@pytest.fixture
def token_registry(_token_registry: TokenRegistry) -> Iterator[TokenRegistry]:
    """Plain HTTP with bearer tokens of `.token_server`, whose logs and behaviour are new for each test.

    `.username` may do all, "reader" (password "password of the reader") may pull, everybody may pull below `public/`.
    """
    _token_registry.token_server.reset()
    yield _token_registry
    _token_registry.token_server.reset()


@pytest.fixture
def fault_proxy() -> Iterator[FaultProxies]:
    """`fault_proxy("127.0.0.1:PORT", **as for FaultProxy)` starts one in front of that server for this test."""
    with FaultProxies() as proxies:
        yield proxies


@pytest.fixture
def registry_client(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[RegistryClient]":
    """A client without credentials, mirrors and certificates."""
    from lifecycle.images.registry.client import RegistryClient
    from lifecycle.images.registry.credentials import default_keychain
    from lifecycle.images.registry.hosts import Hosts

    keychain = default_keychain({"HOME": str(tmp_path_factory.mktemp("home-without-keys"))})
    with RegistryClient(Hosts(), keychain) as client:
        yield client


@pytest.fixture
def registry_store(registry_client: "RegistryClient") -> "RegistryStore":
    """The registries that `registry_client` reaches as a store of images for linux/amd64."""
    from lifecycle.images.image_platform import ImagePlatform
    from lifecycle.images.registry.store import RegistryStore

    return RegistryStore(registry_client, platform=ImagePlatform())


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Daemon]":
    """Debian's dockerd, which all workers share: use a repository name of your own."""
    from parts.dockerd import running_dockerd

    with running_dockerd(tmp_path_factory) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Daemon]":
    """A dockerd that keeps images in containerd's store, where it is new enough."""
    from parts.dockerd import running_dockerd

    with running_dockerd(tmp_path_factory, containerd=True) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Daemon]":
    """Podman's service in the place of dockerd, shared as that is."""
    from parts.podman import running_podman

    with running_podman(tmp_path_factory) as daemon:
        yield daemon
