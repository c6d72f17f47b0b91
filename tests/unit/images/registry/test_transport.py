"""Connections: what oras-py would do otherwise, errors in words, TLS, and where oras may be imported."""

import socket
import subprocess
import sys
import warnings

import pytest

from lifecycle.errors import RegistryConnectionError, RegistryError, RegistryTlsError
from lifecycle.images.registry.certs_d import remedy_for
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.images.registry.transport import proxy_of, without_query
from lifecycle.oci.reference import parse_reference
from parts.http_server import LoopbackServer
from parts.memory import MIB, memory_of_call
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository
from parts.synthetic_registry import SyntheticLayer, SyntheticRegistry


def there_and_back(host, size):
    """Upload and download a layer of `size` bytes."""
    from lifecycle.oci.manifest import read_descriptor
    from lifecycle.oci.reference import parse_reference
    from parts.registry_clients import client_of
    from parts.synthetic_registry import SyntheticLayer

    layer = SyntheticLayer(size)
    descriptor = read_descriptor(layer.descriptor, where="")
    ref = parse_reference(f"{host}/memory/test")
    with client_of() as client:
        client.upload_blob(ref, descriptor, layer.chunks)
        return sum(map(len, client.blob(ref, descriptor)))


def test_memory_does_not_grow_with_the_size_of_a_layer():
    peaks = []
    with SyntheticRegistry() as server:
        for size in (4 * MIB, 160 * MIB):
            server.add_image("memory/test", [SyntheticLayer(size)])
            used = memory_of_call(there_and_back, server.host, size)
            assert used.result > size
            peaks.append(used.peak)
    assert peaks[1] < peaks[0] + 12 * MIB


@pytest.fixture
def closed_port():
    """An address on which nothing listens, and on which nothing else will while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_a_refused_connection_is_given_up_after_a_few_tries(closed_port):
    time = FakeTime()
    with client_of(time=time) as client, pytest.raises(RegistryConnectionError, match="Connection refused") as raised:
        client.manifest(parse_reference(f"{closed_port}/a/b"))
    assert len(time.waits) == RetryPolicy().tries_unreached - 1
    assert sum(time.waits) < 2
    assert closed_port in str(raised.value)
    assert "a/b:latest" in str(raised.value)


def test_an_unknown_host_is_named(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    time = FakeTime()
    with client_of(time=time) as client, pytest.raises(RegistryConnectionError, match=r"registry\.invalid") as raised:
        client.manifest(parse_reference("registry.invalid/a/b"))
    assert raised.value.remedy
    assert len(time.waits) == RetryPolicy().tries_unreached - 1


def test_the_certificate_of_an_unknown_authority_is_not_tried_again(tls_registry):
    time = FakeTime()
    with client_of(time=time) as client, pytest.raises(RegistryTlsError, match="is not trusted") as raised:
        client.manifest(new_repository(tls_registry))
    assert "SSL_CERT_FILE" in raised.value.remedy
    assert f"certs.d/{tls_registry.host}" in raised.value.remedy
    assert time.waits == []


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("certificate has expired", "renew the certificate of host:1, or correct the clock of this host"),
        ("IP address mismatch, certificate is not valid for '::1'.", "name host:1 as its certificate does, or"),
        ("self-signed certificate", "store the certificate of its authority as /etc/containers/certs.d/host:1/ca.crt"),
    ],
)
def test_what_to_do_about_a_certificate_depends_on_what_is_wrong_with_it(problem, remedy):
    assert remedy_for(problem, "host:1").startswith(remedy)


def test_a_host_of_its_own_authority_is_trusted_by_certs_d(tls_registry, tmp_path):
    directory = tmp_path / tls_registry.host
    directory.mkdir()
    (directory / "ca.crt").write_bytes(tls_registry.ca_file.read_bytes())
    with client_of(tls_registry, hosts=Hosts(certs_dirs=(tmp_path,))) as client:
        assert client.manifest(new_repository(tls_registry)) is None


def test_an_insecure_registry_is_not_verified(tls_registry):
    ref = new_repository(tls_registry)
    with warnings.catch_warnings(), client_of(tls_registry, hosts=Hosts(insecure=(ref.registry,))) as client:
        assert client.manifest(ref) is None


def test_a_client_certificate_is_shown(client_cert_registry, tmp_path):
    directory = tmp_path / client_cert_registry.host
    directory.mkdir()
    certificate, key = client_cert_registry.client_cert
    (directory / "ca.crt").write_bytes(client_cert_registry.ca_file.read_bytes())
    (directory / "client.cert").write_bytes(certificate.read_bytes())
    (directory / "client.key").write_bytes(key.read_bytes())
    ref = new_repository(client_cert_registry)
    with client_of(hosts=Hosts(certs_dirs=(tmp_path,))) as client:
        client.upload_blob(ref, blob_of(b"x"), lambda: iter([b"x"]))
        assert client.has_blob(ref, blob_of(b"x"))
    with client_of(client_cert_registry) as client, pytest.raises(RegistryTlsError, match="certificate"):
        client.manifest(ref)


def test_a_registry_without_tls_that_should_have_it_is_told_apart(registry):
    class OnlyTls(Hosts):
        def for_pull(self, reference):
            from dataclasses import replace

            return tuple(replace(each, schemes=("https",)) for each in Hosts.for_pull(self, reference))

    with client_of(time=FakeTime(), hosts=OnlyTls()) as client:
        with pytest.raises(RegistryError, match="does not speak TLS") as raised:
            client.manifest(new_repository(registry))
        assert "-insecure-registry" in str(raised.value)


def test_the_scheme_that_works_is_found_once(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    ref = new_repository(proxy)
    with client_of(proxy) as client:
        for _ in range(3):
            client.manifest(ref)
    assert len(proxy.requests("GET", "^/v2/$")) == 1


def test_a_server_of_tls_that_refuses_http_is_not_taken_for_a_registry_without_tls():
    class Refusing(LoopbackServer):
        username = password = ""

        def answer(self, exchange):
            exchange.answer(400, b"Client sent an HTTP request to an HTTPS server.")

    with Refusing() as server, client_of(server, time=FakeTime()) as client:
        with pytest.raises(RegistryConnectionError, match="TLS"):
            client.manifest(new_repository(server))
        assert {request.path for request in server.log} == {"/v2/"}


def test_connections_are_used_again():
    class Counting(LoopbackServer):
        username = password = ""
        ports: set[int] = set()  # noqa: RUF012

        def answer(self, exchange):
            self.ports.add(exchange._handler.client_address[1])
            exchange.answer(200 if exchange.path == "/v2/" else 404, b"{}")

    with Counting() as server, client_of(server) as client:
        for _ in range(5):
            assert client.manifest(new_repository(server)) is None
            assert client.head_manifest(new_repository(server)) is None
        # One connection, and one that was spoilt by the question whether the server speaks TLS.
        assert len(server.ports) <= 2


def test_a_registry_at_an_ipv6_address():
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with listening:
        port = listening.getsockname()[1]
        ref = parse_reference(f"[::1]:{port}/a/b")
        code = (
            "import socket, sys\n"
            "listening = socket.socket(fileno=int(sys.argv[1]))\n"
            "hosts = []\n"
            "for _ in range(3):\n"
            "    connection = listening.accept()[0]\n"
            "    data = connection.recv(65536)\n"
            "    if data.startswith(b'GET'):\n"
            "        hosts.append(data.partition(b'Host: ')[2].partition(b'\\r')[0].decode())\n"
            "        status = b'200 OK' if b'GET /v2/ ' in data else b'404 Not Found'\n"
            "        connection.sendall(b'HTTP/1.1 ' + status + b'\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')\n"
            "    else:\n"
            "        connection.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n')\n"
            "    connection.close()\n"
            "print(*hosts)\n"
        )
        server = subprocess.Popen(
            [sys.executable, "-c", code, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        with server, client_of() as client:
            assert client.manifest(ref) is None
            assert server.communicate(timeout=120)[0].split() == [f"[::1]:{port}"] * 2


def test_netrc_is_not_asked_and_the_proxy_of_the_environment_is(registry, fault_proxy, tmp_path, monkeypatch):
    class Proxy(LoopbackServer):
        def answer(self, exchange):
            exchange.answer(404, b"{}")

    netrc = tmp_path / "netrc"
    netrc.write_text("machine registry.invalid login someone password secret\nmachine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = fault_proxy(registry.host)
    with client_of(server) as client:
        client.manifest(new_repository(server))
    assert all("Authorization" not in request.headers for request in server.log)

    class Plain(Hosts):
        def for_pull(self, reference):
            from dataclasses import replace

            return tuple(replace(each, schemes=("http",)) for each in Hosts.for_pull(self, reference))

    with Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with client_of(hosts=Plain()) as client:
            assert client.manifest(parse_reference("registry.invalid/a/b")) is None
        assert [request.path for request in proxy.log] == ["http://registry.invalid/v2/a/b/manifests/latest"]
        assert "Authorization" not in proxy.log[0].headers


@pytest.mark.parametrize("proxy", ["socks5://me:s3cret@127.0.0.1:1", "http://", "http://me:s3cret@proxy:port"])
def test_a_proxy_that_can_not_be_asked_is_told_and_not_taken_for_a_wrong_registry(monkeypatch, proxy):
    monkeypatch.setenv("https_proxy", proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    time = FakeTime()
    with client_of(time=time) as client, pytest.raises(RegistryError, match="its proxy has no address") as caught:
        client.manifest(parse_reference("registry.invalid/a/b"))
    assert "s3cret" not in str(caught.value)
    assert "write HTTPS_PROXY as http://HOST:PORT" in str(caught.value)
    assert time.waits == []


def test_a_proxy_for_all_protocols_is_for_other_programs_as_with_those_of_go(monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_of("https://registry.invalid/v2/") is None
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:2")
    assert proxy_of("https://registry.invalid/v2/") == "http://127.0.0.1:2"


def test_no_cookie_is_kept():
    class Cookies(LoopbackServer):
        username = password = ""

        def answer(self, exchange):
            exchange.answer(200 if exchange.path == "/v2/" else 404, b"{}", [("Set-Cookie", "session=1; Path=/")])

    with Cookies() as server, client_of(server) as client:
        client.manifest(new_repository(server))
        client.manifest(new_repository(server))
        assert all("Cookie" not in request.headers for request in server.log)


def test_a_url_is_shown_without_signature_and_user():
    assert without_query("https://me:secret@host:1/path?X-Amz-Signature=abc#part") == "https://host:1/path"


def test_oras_is_loaded_with_the_client_and_not_with_its_parts():
    code = (
        "import sys\n"
        "import lifecycle.images.registry.hosts, lifecycle.images.registry.credentials\n"
        "import lifecycle.images.registry.challenge, lifecycle.images.registry.retry\n"
        "print(sorted({'oras', 'requests', 'urllib3'} & set(sys.modules)))\n"
        "import lifecycle.images.registry.client\n"
        "print(sorted({'oras', 'requests', 'urllib3', 'docker', 'boto3'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['oras', 'requests', 'urllib3']"]
