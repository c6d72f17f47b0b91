"""What can be seen of a registry from here, shown with real servers on loopback."""

import contextlib
import socket
import threading

import pytest

from lifecycle.errors import InvalidFileError, RegistryConnectionError
from lifecycle.images.registry.hosts import Endpoint
from lifecycle.images.registry.reach import addresses, look_at_tls
from parts.tls import CertificateAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def listening(serve):
    """A socket on loopback; each connection is given to `serve` in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=[server.accept()[0]], daemon=True).start()

        def one(connection):
            with connection, contextlib.suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def tls(context):
    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    return serve


@pytest.fixture
def server(authority):
    with listening(tls(authority.server().server_context())) as host:
        yield host


def endpoint(host, **keywords):
    return Endpoint(registry=host, authority=host, repository="team/app", **keywords)


def test_a_trusted_server_shows_its_certificate_and_what_suffices_to_trust_it(authority, server, tmp_path):
    other = CertificateAuthority.create(tmp_path, "another authority")
    view = look_at_tls(
        endpoint(server, ca_file=other.ca_file, extra_ca_files=(authority.ca_file, other.ca_file)), proxy=None
    )
    assert view.problem == ""
    assert view.version.startswith("TLSv1.")
    assert view.certificates[0].subject == "CN=server of the tests"
    assert view.trusted_by == authority.ca_file


def test_an_untrusted_server_shows_its_certificate_and_the_reason(server, tmp_path):
    other = CertificateAuthority.create(tmp_path, "another authority")
    view = look_at_tls(endpoint(server, ca_file=other.ca_file), proxy=None)
    assert "unable to get local issuer" in view.problem
    assert view.certificates[0].issuer == "CN=authority of the tests"
    assert view.trusted_by is None


def test_a_server_with_another_name_is_not_trusted(authority):
    with listening(tls(authority.server("named", alternatives=("DNS:example.com",)).server_context())) as host:
        view = look_at_tls(endpoint(host, ca_file=authority.ca_file), proxy=None)
    assert "mismatch" in view.problem


def test_without_verification_there_is_a_certificate_and_no_problem(server):
    view = look_at_tls(endpoint(server, verify=False), proxy=None)
    assert (view.problem, view.trusted_by, len(view.certificates)) == ("", None, 1)


def test_a_server_without_tls_has_no_view():
    def serve(connection):
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with listening(serve) as host:
        assert look_at_tls(endpoint(host), proxy=None) is None


def test_a_closed_port_and_a_silent_server_can_not_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RegistryConnectionError, match="can't be reached: Connection refused"):
        look_at_tls(endpoint(closed), proxy=None)
    with pytest.raises(RegistryConnectionError, match="can't be reached"):
        look_at_tls(endpoint("127.0.0.1:99999"), proxy=None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegistryConnectionError, match="timed out"):
            look_at_tls(endpoint(host), proxy=None, timeout=0.2)


def test_a_server_that_hangs_up_can_not_be_reached():
    with listening(lambda connection: connection.recv(1)) as host, pytest.raises(RegistryConnectionError):
        look_at_tls(endpoint(host), proxy=None)


def test_unusable_files_of_certificates_are_named(server, tmp_path):
    (tmp_path / "ca.crt").write_text("text")
    with pytest.raises(InvalidFileError, match=r"ca\.crt"):
        look_at_tls(endpoint(server, ca_file=tmp_path / "ca.crt"), proxy=None)


@pytest.fixture
def proxy(server):
    """A proxy that lets through to `server` whatever is asked for, and what it was told."""
    told = []

    def serve(connection):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += connection.recv(1)
        told.append(request.decode())
        if "closed.test" in told[-1]:
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        host, _, port = server.partition(":")
        with socket.create_connection((host, int(port))) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=[onward, connection])
            back.start()
            pump(connection, onward)
            back.join()

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    with listening(serve) as host:
        yield host, told


def test_a_server_is_reached_through_a_proxy_that_alone_knows_its_name(authority, proxy):
    host, told = proxy
    view = look_at_tls(endpoint("localhost:443", ca_file=authority.ca_file), proxy=f"http://me:p%40ss@{host}")
    assert view.problem == ""
    assert told[0].startswith("CONNECT localhost:443 HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in told[0]


def test_what_a_proxy_refuses_is_said_without_its_password(proxy):
    host, _ = proxy
    with pytest.raises(RegistryConnectionError, match=r"through the proxy: .*403 Forbidden") as caught:
        look_at_tls(endpoint("closed.test"), proxy=f"http://me:s3cret@{host}")
    assert "NO_PROXY" in caught.value.remedy
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://[::1", "://", "http://"])
def test_a_proxy_that_is_no_url_is_an_error(url):
    with pytest.raises(RegistryConnectionError, match="through the proxy"):
        look_at_tls(endpoint("example.com"), proxy=url)


@pytest.mark.parametrize("answer", [b"", b"no proxy", b"x" * 100_000])
def test_a_server_that_is_no_proxy_is_an_error(answer):
    def serve(connection):
        connection.recv(1000)
        connection.sendall(answer)

    with listening(serve) as host, pytest.raises(RegistryConnectionError, match=r"as a proxy does|reset"):
        look_at_tls(endpoint("example.com"), proxy=f"http://{host}")


def test_addresses_of_a_name():
    assert addresses("127.0.0.1:5000") == ("127.0.0.1",)
    assert addresses("[::1]:5000") == ("::1",)
    assert addresses("[::1]") == ("::1",)


@pytest.mark.parametrize("host", ["not.a.name.invalid", "not.a.name.invalid:5000", f"{'x' * 64}.invalid", "a..b"])
def test_a_name_without_addresses_is_an_error_with_the_name(host):
    with pytest.raises(RegistryConnectionError, match="can't be resolved") as caught:
        addresses(host)
    assert caught.value.where == host.partition(":")[0]
