"""Redirects, and places that registries give out: credentials stay with the host that they belong to."""

import contextlib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import RegistryError
from lifecycle.images.registry.credential import Credential
from lifecycle.images.registry.uploads import SMALL
from lifecycle.oci.manifest import OCI_MANIFEST
from parts.fault_proxy import CutResponse, FileServer, Redirect
from parts.http_server import LoopbackServer
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository, pieces
from parts.synthetic_registry import SyntheticRegistry

DATA = bytes(range(256)) * 8_000
SECRET = Credential("someone", "their-password", source="the test")


class Scripted(LoopbackServer):
    """Answers by a function of the request."""

    username = password = ""

    def __init__(self, answer, *, tls=None, ca_file=None):
        super().__init__(tls=tls)
        self.ca_file = ca_file
        self._answer = answer

    def answer(self, exchange):
        if exchange.path == "/v2/":
            exchange.answer(200)
        else:
            self._answer(exchange)


@pytest.fixture
def protected(token_registry, fault_proxy):
    """A registry that wants tokens, behind a fault proxy, with a blob in it."""
    proxy = fault_proxy(token_registry.host, username=token_registry.username, password=token_registry.password)
    ref = new_repository(proxy)
    with client_of(proxy) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: pieces(DATA))
    proxy.clear()
    return proxy, ref


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_is_fetched_from_where_it_lies_without_credentials(protected, token_registry, status):
    proxy, ref = protected
    with FileServer(token_registry.blob_path) as store, client_of(proxy) as client:
        proxy.fault(Redirect(store.url, status), method="GET", path="/blobs/", after=1)
        assert b"".join(client.blob(ref, blob_of(DATA))) == DATA
        assert [request.method for request in store.log] == ["GET"]
        assert "Authorization" not in store.log[0].headers
    assert any("Authorization" in request.headers for request in proxy.log)


def test_a_broken_redirected_download_goes_on_through_the_registry(protected, token_registry, fault_proxy):
    proxy, ref = protected
    with FileServer(token_registry.blob_path) as store, client_of(proxy, time=FakeTime()) as client:
        front = fault_proxy(store.host)
        front.fault(CutResponse(1_000_000), method="GET")
        proxy.fault(Redirect(front.url), method="GET", path="/blobs/", after=1, times=None)
        assert b"".join(client.blob(ref, blob_of(DATA))) == DATA
        assert sum(request.response_bytes for request in front.log) <= len(DATA) + 1_000_000
        assert front.log[1].headers["Range"].startswith("bytes=")
        assert all("Authorization" not in request.headers for request in [*front.log, *store.log])


def test_a_redirect_within_the_host_keeps_its_credentials(protected):
    proxy, ref = protected
    with client_of(proxy) as client:
        assert client.has_blob(ref, blob_of(DATA))
        proxy.fault(Redirect(proxy.url), method="HEAD")
        assert client.has_blob(ref, blob_of(DATA))


def test_a_manifest_may_lie_elsewhere_too(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    ref = new_repository(proxy)
    config = blob_of(b"{}")
    manifest = (
        b'{"schemaVersion":2,"layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
        b'"size":2,"digest":"%b"}}' % config.digest.encode()
    )
    with client_of(proxy) as client:
        client.upload_blob(ref, config, lambda: iter([b"{}"]))
        client.put_manifest(ref, manifest, OCI_MANIFEST)
        proxy.fault(Redirect(registry.url), method="GET", path="/manifests/")
        assert client.manifest(ref).data == manifest


def test_an_endless_redirect_ends(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    proxy.fault(Redirect(proxy.url), path="/blobs/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(RegistryError, match="redirects more than"):
        client.has_blob(new_repository(proxy), blob_of(DATA))
    assert time.waits == []


def test_nobody_is_asked_without_tls_on_behalf_of_a_registry_with_it(tls_registry, server_certificate, authority):
    with Scripted(lambda exchange: exchange.answer(200, DATA)) as plain:
        answer = lambda exchange: exchange.answer(307, headers=[("Location", f"http://localhost:{plain._port}/x")])  # noqa: E731
        with (
            Scripted(answer, tls=server_certificate.server_context(), ca_file=authority.ca_file) as server,
            client_of(server) as client,
            pytest.raises(RegistryError, match="from https to http"),
        ):
            list(client.blob(new_repository(server), blob_of(DATA)))
        assert plain.log == []


@pytest.mark.parametrize(
    "location", ["ftp://example.com/x", "file:///etc/passwd", "javascript:alert(1)", "http://[", "http://x:port/"]
)
def test_a_place_that_is_no_web_address_is_refused(location):
    with (
        Scripted(lambda exchange: exchange.answer(307, headers=[("Location", location)])) as server,
        client_of(server) as client,
        pytest.raises(RegistryError, match="is no web address"),
    ):
        list(client.blob(new_repository(server), blob_of(DATA)))


@pytest.mark.parametrize("size", [SMALL, SMALL + 1])
def test_an_upload_goes_to_another_host_without_credentials(size):
    data = bytes(size)
    uploads = "/v2/x/y/blobs/uploads/"

    with SyntheticRegistry() as store:

        def answer(exchange):
            if "Authorization" not in exchange.headers:
                exchange.answer(401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
            elif exchange.method == "POST":
                exchange.answer(202, headers=[("Location", f"{store.url}{uploads}{name}?signature=abc")])
            else:
                exchange.answer(404)

        import http.client

        connection = http.client.HTTPConnection(store.host)
        connection.request("POST", uploads, headers={"Content-Length": "0"})
        name = connection.getresponse().headers["Location"].rpartition("/")[2]
        connection.close()
        with Scripted(answer) as server, client_of(server, credential=SECRET) as client:
            client.upload_blob(new_repository(server), blob_of(data), lambda: pieces(data))
        assert store.uploaded == {blob_of(data).digest: size}
        assert all("Authorization" not in request.headers for request in store.log)


def test_the_same_host_is_asked_with_tls_though_it_calls_itself_http(server_certificate, authority):
    """As a registry behind a proxy does that ends TLS without saying so."""

    def answer(exchange):
        exchange.drain()
        if exchange.method == "POST":
            exchange.answer(202, headers=[("Location", f"http://{server.host}/upload?state=1")])
        else:
            exchange.answer(201)

    with Scripted(answer, tls=server_certificate.server_context(), ca_file=authority.ca_file) as server:
        with client_of(server) as client:
            client.upload_blob(new_repository(server), blob_of(b"x"), lambda: iter([b"x"]))
        assert [request.path for request in server.requests("PUT")] == [
            f"/upload?state=1&digest={blob_of(b'x').digest}"
        ]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("size", [100, SMALL + 1])
def test_a_body_is_sent_again_to_where_its_request_is_redirected(registry, fault_proxy, status, size):
    proxy = fault_proxy(registry.host)
    proxy.fault(Redirect(proxy.url, status), method="PATCH|PUT")
    ref = new_repository(proxy)
    data = bytes(size)
    with client_of(proxy) as client:
        client.upload_blob(ref, blob_of(data), lambda: pieces(data))
        assert client.has_blob(ref, blob_of(data))


def test_credentials_do_not_go_to_a_token_server_without_tls(server_certificate, authority):
    with Scripted(lambda exchange: exchange.answer(200, b'{"token":"x"}')) as token_server:

        def answer(exchange):
            challenge = f'Bearer realm="{token_server.url}/token",service="s"'
            exchange.answer(401, headers=[("WWW-Authenticate", challenge)])

        with (
            Scripted(answer, tls=server_certificate.server_context(), ca_file=authority.ca_file) as server,
            client_of(server, credential=SECRET) as client,
            pytest.raises(RegistryError, match="without TLS"),
        ):
            client.manifest(new_repository(server))
        assert token_server.log == []


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "ftp://x/y", "http://[x"])
def test_a_realm_that_is_no_web_address_is_refused(realm):
    def answer(exchange):
        exchange.answer(401, headers=[("WWW-Authenticate", f'Bearer realm="{realm}"')])

    with (
        Scripted(answer) as server,
        client_of(server, credential=SECRET) as client,
        pytest.raises(RegistryError, match="token server"),
    ):
        client.manifest(new_repository(server))


def test_a_host_that_we_are_sent_to_can_not_ask_for_credentials(protected):
    proxy, ref = protected

    def answer(exchange):
        exchange.answer(401, b"", [("WWW-Authenticate", 'Basic realm="give me your password"')])

    with Scripted(answer) as other, client_of(proxy) as client:
        proxy.fault(Redirect(other.url), method="GET", path="/blobs/", times=None, after=1)
        with pytest.raises(RegistryError, match="401"):
            list(client.blob(ref, blob_of(DATA)))
        assert all("Authorization" not in request.headers for request in other.log)
        assert len(other.log) == 1


@given(st.text(max_size=40) | st.from_regex(r"https?://[a-z\[\]:@0-9.]{0,20}/?.{0,10}"))
def test_no_location_leads_from_https_to_http(location):
    with client_of() as client, contextlib.suppress(RegistryError):
        target = client._exchange.follow("https://registry.example/v2/x", location, where="")
        assert urlsplit(target).scheme == "https"
        assert urlsplit(target).hostname


def test_no_message_shows_the_password_in_an_address_that_a_registry_gave_out():
    def answer(exchange):
        if "/elsewhere" in exchange.path:
            exchange.answer(403)
        elif "/token" in exchange.path:
            exchange.answer(401)
        elif "/blobs/" in exchange.path:
            place = f"http://user:s3cret@127.0.0.1:{server._port}/elsewhere?signature=s3cret"
            exchange.answer(307, headers=[("Location", place)])
        elif "/tags/" in exchange.path:
            exchange.answer(307, headers=[("Location", "ftp://user:s3cret@example.com/?signature=s3cret")])
        else:
            realm = f"http://user:s3cret@localhost:{server._port}/token"
            exchange.answer(401, headers=[("WWW-Authenticate", f'Bearer realm="{realm}"')])

    with Scripted(answer) as server, client_of(server) as client:
        ref = new_repository(server)
        for ask in (
            lambda: list(client.blob(ref, blob_of(DATA))),
            lambda: client.tags(ref),
            lambda: client.manifest(ref),
        ):
            with pytest.raises(RegistryError) as caught:
                ask()
            assert "s3cret" not in str(caught.value)
