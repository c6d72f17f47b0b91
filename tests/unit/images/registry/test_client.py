"""The client against a real registry, and against answers that registries should not give."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import (
    AccessDeniedError,
    BlobUnknownError,
    CorruptImageError,
    LifecycleError,
    RegistryError,
    VerificationError,
)
from lifecycle.images.registry.client import manifest_type
from lifecycle.images.registry.credential import Credential
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import (
    DOCKER_MANIFEST,
    LARGEST_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from lifecycle.oci.reference import parse_reference
from parts.fault_proxy import Status
from parts.http_server import Exchange, LoopbackServer
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository, pieces

CONFIG = b"{}"


def manifest_bytes(layers=(), *, spaces=""):
    """A manifest whose keys are in no usual order."""
    layer_texts = ",".join(
        json.dumps({"size": each.size, "mediaType": each.media_type, "digest": each.digest}) for each in layers
    )
    config = blob_of(CONFIG)
    return (
        f'{{ "layers" :[{layer_texts}],{spaces}\n\t"schemaVersion":2 ,"config":{{"size":2,'
        f'"digest":"{config.digest}","mediaType":"{OCI_CONFIG}"}},"mediaType":"{OCI_MANIFEST}"}}\r\n '
    ).encode()


def push_image(client, ref, data=b"a layer", *, spaces=""):
    for blob in (CONFIG, data):
        client.upload_blob(ref, blob_of(blob), lambda blob=blob: iter([blob]))
    manifest = manifest_bytes([blob_of(data)], spaces=spaces)
    return manifest, client.put_manifest(ref, manifest, OCI_MANIFEST)


class Scripted(LoopbackServer):
    """Answers by a function of the request."""

    username = password = ""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/v2/":
            exchange.answer(200)
        else:
            self._answer(exchange)


@pytest.mark.parametrize("spaces", ["", " \t \n", "\r\n" * 40])
def test_a_manifest_comes_back_byte_for_byte(registry, spaces):
    ref = new_repository(registry)
    with client_of(registry) as client:
        manifest, digest = push_image(client, ref, spaces=spaces)
        found = client.manifest(ref)
        assert (found.data, found.digest, found.media_type) == (manifest, digest, OCI_MANIFEST)
        assert digest == digest_of(manifest)
        assert client.head_manifest(ref) == Descriptor(OCI_MANIFEST, len(manifest), digest)
        by_digest = client.manifest(parse_reference(f"{ref.context}@{digest}"))
        assert by_digest == found


def test_what_is_not_there_is_none(registry):
    ref = new_repository(registry)
    with client_of(registry) as client:
        assert client.manifest(ref) is None
        assert client.head_manifest(ref) is None
        assert not client.has_blob(ref, blob_of(b"nothing"))
        client.delete_manifest(ref)


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_576, 1_048_577, 5_000_000])
def test_blobs_of_all_sizes_go_there_and_back(registry, size):
    ref = new_repository(registry)
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    with client_of(registry) as client:
        assert not client.has_blob(ref, blob_of(data + b"x"))
        client.upload_blob(ref, blob_of(data), lambda: pieces(data))
        assert client.has_blob(ref, blob_of(data))
        assert b"".join(client.blob(ref, blob_of(data))) == data


def test_a_missing_blob_is_a_corrupt_image(registry):
    with client_of(registry) as client, pytest.raises(CorruptImageError, match="lacks the blob sha256:"):
        list(client.blob(new_repository(registry), blob_of(b"nothing")))


@pytest.mark.parametrize("size", [20_000, 3_000_000])
def test_wrong_bytes_are_noticed(own_registry, size):
    ref = new_repository(own_registry)
    data = bytes(size)
    with client_of(own_registry) as client:
        client.upload_blob(ref, blob_of(data), lambda: pieces(data))
        path = own_registry.blob_path(blob_of(data).digest)
        path.write_bytes(data[:-1] + b"x")
        with pytest.raises(VerificationError, match="has the digest"):
            list(client.blob(ref, blob_of(data)))
        path.write_bytes(data + b"x")
        own_registry.restart()
        with pytest.raises(VerificationError, match="expected"):
            list(client.blob(ref, blob_of(data)))


def test_wrong_bytes_of_an_upload_are_refused(registry):
    ref = new_repository(registry)
    opened = []

    def open_chunks():
        opened.append(True)
        return iter([b"other"])

    with client_of(registry) as client:
        with pytest.raises(VerificationError, match="received other bytes"):
            client.upload_blob(ref, blob_of(b"bytes"), open_chunks)
        assert not client.has_blob(ref, blob_of(b"bytes"))
    assert len(opened) == 2


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("excess", [-1, 1])
def test_a_source_of_another_length_is_noticed(registry, size, excess):
    ref = new_repository(registry)
    data = bytes(size)
    with client_of(registry) as client, pytest.raises(VerificationError, match=f"{size} bytes"):
        client.upload_blob(ref, blob_of(data), lambda: pieces(bytes(size + excess)))


@pytest.mark.parametrize("error", [LifecycleError("the layer is gone"), OSError(5, "Input/output error")])
def test_what_the_source_raises_comes_through_and_ends_the_upload(registry, fault_proxy, error):
    proxy = fault_proxy(registry.host)
    ref = new_repository(proxy)
    data = bytes(3_000_000)

    def open_chunks():
        yield data[:2_000_000]
        raise error

    time = FakeTime()
    with client_of(proxy, time=time) as client:
        with pytest.raises(type(error)) as raised:
            client.upload_blob(ref, blob_of(data), open_chunks)
        assert raised.value is error
        assert not client.has_blob(ref, blob_of(data))
    assert time.waits == []
    assert len(proxy.requests("DELETE", "blobs/uploads/")) == 1


def test_a_blob_of_another_repository_is_mounted(registry):
    source, ref = new_repository(registry), new_repository(registry)
    with client_of(registry) as client:
        client.upload_blob(source, blob_of(b"shared"), lambda: iter([b"shared"]))
        assert client.mount_blob(ref, blob_of(b"shared"), source=source)
        assert client.has_blob(ref, blob_of(b"shared"))


def test_a_mount_that_is_not_possible_leaves_no_upload(registry):
    source, ref = new_repository(registry), new_repository(registry)
    with client_of(registry) as client:
        assert not client.mount_blob(ref, blob_of(b"missing"), source=source)
        assert not client.mount_blob(ref, blob_of(b"missing"), source=parse_reference("other.example/x/y"))
    assert not list(registry.storage.glob(f"docker/registry/v2/repositories/{ref.repository}/_uploads/*/data"))


@pytest.mark.parametrize("status", [409, 422, 501])
def test_a_registry_that_refuses_a_mount_has_the_blob_uploaded(registry, fault_proxy, status):
    proxy = fault_proxy(registry.host)
    source, ref = new_repository(proxy), new_repository(proxy)
    proxy.fault(Status(status), method="POST", path="mount=", times=None)
    with client_of(proxy) as client:
        client.upload_blob(source, blob_of(b"shared"), lambda: iter([b"shared"]))
        assert not client.mount_blob(ref, blob_of(b"shared"), source=source)


def test_a_manifest_without_its_blobs_is_refused(registry):
    ref = new_repository(registry)
    with client_of(registry) as client:
        with pytest.raises(BlobUnknownError, match="MANIFEST_BLOB_UNKNOWN"):
            client.put_manifest(ref, manifest_bytes(), OCI_MANIFEST)
        assert client.manifest(ref) is None


def test_a_manifest_is_deleted_by_tag_and_by_digest(registry):
    ref = new_repository(registry)
    with client_of(registry) as client:
        for by_digest in (False, True):
            _, digest = push_image(client, ref)
            client.delete_manifest(parse_reference(f"{ref.context}@{digest}") if by_digest else ref)
            assert client.manifest(ref) is None


def test_reading_and_writing_can_be_checked_without_a_trace(registry):
    ref = new_repository(registry)
    with client_of(registry) as client:
        client.check_read(ref)
        client.check_write(ref)
    assert not list(registry.storage.glob(f"docker/registry/v2/repositories/{ref.repository}/_uploads/*/data"))


def test_many_threads_share_a_client(registry):
    ref = new_repository(registry)
    blobs = [bytes([number]) * 300_000 for number in range(12)]

    def there_and_back(data):
        client.upload_blob(ref, blob_of(data), lambda: pieces(data))
        return b"".join(client.blob(ref, blob_of(data)))

    with client_of(registry) as client, ThreadPoolExecutor(6) as pool:
        assert list(pool.map(there_and_back, blobs)) == blobs


@pytest.mark.parametrize("path", ["manifests/", "blobs/"])
def test_an_upload_has_a_length_and_says_who_we_are(registry, fault_proxy, path):
    proxy = fault_proxy(registry.host)
    ref = new_repository(proxy)
    with client_of(proxy) as client:
        push_image(client, ref, bytes(2_000_000))
    sent = proxy.requests("PUT|PATCH|POST", path)
    assert sent
    for request in sent:
        assert request.headers["User-Agent"].startswith("cnb-lifecycle/")
        assert request.headers["Content-Length"] is not None
        assert "Transfer-Encoding" not in request.headers


def answer_with(status, body, **headers):
    return lambda exchange: exchange.answer(
        status, body, [(name.replace("_", "-"), value) for name, value in headers.items()]
    )


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b'{"schemaVersion":1,"name":"x"}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b'{"schemaVersion":1}', "application/json", "schema 1"),
        (b'{"schemaVersion":2}', "text/html", "neither an image nor an index"),
        (b"<html>", "text/html", "is not JSON"),
        (b"[1]", "application/json", "is not a JSON object"),
        (b" " * (LARGEST_MANIFEST + 1), OCI_MANIFEST, f"more than {LARGEST_MANIFEST} bytes"),
    ],
)
def test_what_is_no_manifest_is_refused_in_words(body, content_type, message):
    with Scripted(answer_with(200, body, Content_Type=content_type)) as server, client_of(server) as client:
        with pytest.raises(CorruptImageError, match=message) as raised:
            client.manifest(new_repository(server))
        assert server.host in str(raised.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST),
        ({"layers": []}, OCI_MANIFEST),
        ({"manifests": []}, OCI_INDEX),
    ],
)
def test_the_type_inside_counts_where_the_registry_names_none(body, expected):
    data = json.dumps({"schemaVersion": 2, **body}).encode()
    with Scripted(answer_with(200, data, Content_Type="application/json")) as server, client_of(server) as client:
        ref = new_repository(server)
        assert client.manifest(ref).media_type == expected
        assert client.head_manifest(ref) == Descriptor(expected, len(data), digest_of(data))


@given(st.binary(max_size=60) | st.dictionaries(st.text(), st.text() | st.integers()).map(json.dumps).map(str.encode))
def test_any_body_has_a_type_or_an_error_in_words(data):
    with contextlib.suppress(CorruptImageError):
        assert manifest_type("", data, where="here") in {OCI_MANIFEST, OCI_INDEX}


@pytest.mark.parametrize("by_digest", [False, True])
def test_a_manifest_that_is_not_what_its_digest_says_is_refused(by_digest):
    data = manifest_bytes()
    wrong = digest_of(b"other")
    answer = answer_with(
        200, data, Content_Type=OCI_MANIFEST, **({} if by_digest else {"Docker_Content_Digest": wrong})
    )
    with Scripted(answer) as server, client_of(server) as client:
        ref = new_repository(server)
        if by_digest:
            ref = parse_reference(f"{ref.context}@{wrong}")
        with pytest.raises(VerificationError, match=f"expected {wrong}"):
            client.manifest(ref)


def test_a_registry_that_changes_manifests_is_found_out():
    answer = answer_with(201, b"", Docker_Content_Digest=digest_of(b"other"))
    with (
        Scripted(answer) as server,
        client_of(server) as client,
        pytest.raises(RegistryError, match="instead of"),
    ):
        client.put_manifest(new_repository(server), manifest_bytes(), OCI_MANIFEST)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 418])
def test_other_refusals_are_not_tried_again_and_told_with_the_registrys_words(status):
    body = b'{"errors":[{"code":"ODD","message":"because\\u001b[31m of \\n that"}]}'
    time = FakeTime()
    with Scripted(answer_with(status, body)) as server, client_of(server, time=time) as client:
        with pytest.raises(RegistryError, match=rf"{status} .*ODD: because \[31m of   that") as raised:
            client.put_manifest(new_repository(server), b"{}", OCI_MANIFEST)
        assert raised.value.status == status
        assert len(server.requests("PUT")) == 1
    assert time.waits == []


def test_basic_authentication_over_tls(tls_registry):
    ref = new_repository(tls_registry)
    with client_of(tls_registry) as client:
        manifest, _ = push_image(client, ref)
        assert client.manifest(ref).data == manifest


def test_a_wrong_password_is_refused_at_once(tls_registry):
    ref = new_repository(tls_registry)
    time = FakeTime()
    credential = Credential(tls_registry.username, "wrong-password", source="the test")
    with (
        client_of(tls_registry, credential=credential, time=time) as client,
        pytest.raises(AccessDeniedError) as raised,
    ):
        client.put_manifest(ref, b"{}", OCI_MANIFEST)
    assert "UNAUTHORIZED" in str(raised.value)
    assert "wrong-password" not in str(raised.value)
    assert time.waits == []
