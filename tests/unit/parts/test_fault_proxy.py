"""The parts that other tests stand on do what those tests believe: faults on the way to a registry."""

import hashlib
import http.client
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from parts.fault_proxy import (
    CutRequest,
    CutResponse,
    Delay,
    FaultProxy,
    FileServer,
    FlipByte,
    LoseAnswer,
    Redirect,
    Shorten,
    Stall,
    Status,
    Truncate,
)
from parts.skopeo import access, pull_files, push_image, skopeo, write_layout

DATA = os.urandom(300_000)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture(scope="module")
def blob_url(registry):
    """Path of a blob of random bytes in the registry."""
    connection = http.client.HTTPConnection(registry.host)
    connection.request("POST", "/v2/parts/blob/blobs/uploads/", headers={"Content-Length": "0"})
    with connection.getresponse() as answer:
        location = answer.headers["Location"]
        answer.read()
    connection.request("PUT", f"{location}&digest={DIGEST}", DATA)
    with connection.getresponse() as answer:
        assert answer.status == 201
    connection.close()
    return f"/v2/parts/blob/blobs/{DIGEST}"


def read(url):
    """What arrives of a body, and the error that ends it."""
    got = b""
    try:
        with urllib.request.urlopen(url) as answer:
            while data := answer.read1(10_000):
                got += data
            if answer.length:
                return got, http.client.IncompleteRead(got, answer.length)
    except (OSError, http.client.HTTPException) as error:
        return got, error
    return got, None


def test_a_proxy_without_faults_passes_an_image_both_ways(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    push_image(proxy, "parts/through", layers=[{"etc/big": DATA}])
    assert pull_files(proxy, "parts/through:latest")[0] == {"etc/big": DATA}
    sent = sum(seen.body_bytes for seen in proxy.requests("PATCH|PUT", "blobs/uploads"))
    assert sent > len(DATA)
    assert proxy.requests("PUT", "manifests/latest")[0].status == 201
    received = sum(seen.response_bytes for seen in proxy.requests("GET", "/blobs/"))
    assert received > len(DATA)


def test_uploads_go_on_through_the_proxy(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    push_image(proxy, "parts/location")
    started = len(proxy.requests("POST", "/blobs/uploads/"))
    assert started
    assert len(proxy.requests("PUT", "/blobs/uploads/.*digest=")) == started


def test_a_tls_registry_can_stand_behind_a_proxy_that_speaks_tls(
    tls_registry, fault_proxy, authority, server_certificate
):
    proxy = fault_proxy(
        tls_registry.host,
        tls=server_certificate.server_context(),
        target_tls=ssl.create_default_context(cafile=authority.ca_file),
        ca_file=authority.ca_file,
        username=tls_registry.username,
        password=tls_registry.password,
    )
    push_image(proxy, "parts/tls-through")
    assert pull_files(proxy, "parts/tls-through:latest")[0] == {"etc/base": b"base\n"}
    assert proxy.requests("PUT", "/blobs/uploads/.*digest=")


def test_a_status_comes_as_often_as_told_and_the_registry_sees_none_of_it(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    fault = proxy.fault(Status(429, retry_after=7), path="/blobs/", times=2)
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(proxy.url + blob_url)
        with error.value:
            assert error.value.code == 429
            assert error.value.headers["Retry-After"] == "7"
            assert b"TOOMANYREQUESTS" in error.value.read()
    assert read(proxy.url + blob_url) == (DATA, None)
    assert fault.happened == 2
    assert [seen.status for seen in proxy.log] == [429, 429, 200]


def test_a_fault_takes_only_its_method_and_path_and_lets_the_first_pass(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    proxy.fault(Status(500), method="PUT", path="/blobs/")
    proxy.fault(Status(500), path="/manifests/")
    proxy.fault(Status(503), method="GET", path="/blobs/", after=1)
    assert read(proxy.url + blob_url) == (DATA, None)
    assert read(proxy.url + blob_url)[1].code == 503


def test_skopeo_fails_with_the_status_of_the_proxy(registry, fault_proxy, tmp_path):
    proxy = fault_proxy(registry.host)
    proxy.fault(Status(403, message="not on Thursdays"), method="PUT", path="/manifests/", times=None)
    with access(proxy, "--dest-") as flags, pytest.raises(RuntimeError, match="not on Thursdays"):
        skopeo("copy", *flags, f"oci:{write_layout(tmp_path)}:image", f"docker://{proxy.host}/parts/refused:latest")


@pytest.mark.parametrize("after", [0, 1, 100_000, 299_999])
def test_a_response_is_cut_after_so_many_bytes(registry, fault_proxy, blob_url, after):
    proxy = fault_proxy(registry.host)
    proxy.fault(CutResponse(after))
    got, error = read(proxy.url + blob_url)
    assert isinstance(error, ConnectionResetError)
    assert got == DATA[:after]
    assert proxy.log[0].response_bytes == after


def test_a_truncated_response_ends_in_order_and_too_early(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    proxy.fault(Truncate(123_456))
    got, error = read(proxy.url + blob_url)
    assert isinstance(error, http.client.IncompleteRead)
    assert got == DATA[:123_456]
    assert error.expected == len(DATA) - 123_456


def test_a_shortened_response_looks_whole(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    proxy.fault(Shorten(123_456))
    assert read(proxy.url + blob_url) == (DATA[:123_456], None)


@pytest.mark.parametrize("at", [0, 65_535, 65_536, 299_999])
def test_one_byte_of_a_response_is_flipped(registry, fault_proxy, blob_url, at):
    proxy = fault_proxy(registry.host)
    proxy.fault(FlipByte(at))
    got, error = read(proxy.url + blob_url)
    assert error is None
    assert [n for n, (theirs, ours) in enumerate(zip(got, DATA, strict=True)) if theirs != ours] == [at]


def test_a_response_comes_late_or_stalls_within(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    for action in (Delay(0.3), Stall(1000, 0.3)):
        proxy.fault(action)
        started = time.monotonic()
        assert read(proxy.url + blob_url) == (DATA, None)
        assert time.monotonic() - started >= 0.3


def test_a_client_may_give_up_on_a_delayed_answer_and_the_proxy_still_ends_at_once(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    proxy.fault(Delay(3600))
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(proxy.url + blob_url, timeout=0.2)


def upload(proxy, body, **headers):
    """Send `body` as one PATCH; the answer's status."""
    connection = http.client.HTTPConnection(proxy.host, timeout=10)
    try:
        connection.request("POST", "/v2/parts/upload/blobs/uploads/", headers={"Content-Length": "0"})
        with connection.getresponse() as answer:
            location = answer.headers["Location"]
            answer.read()
        assert proxy.host in location
        connection.request("PATCH", location, body, headers)
        with connection.getresponse() as answer:
            return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_cut_after_so_many_bytes(registry, fault_proxy, chunked):
    proxy = fault_proxy(registry.host)
    proxy.fault(CutRequest(100_000), method="PATCH")
    body = iter([DATA[:150_000], DATA[150_000:]]) if chunked else DATA
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        upload(proxy, body)
    seen = proxy.requests("PATCH")[0]
    assert seen.status is None
    assert 100_000 <= seen.body_bytes < len(DATA)
    assert upload(proxy, DATA) == 202


def test_chunked_uploads_arrive_whole(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    assert upload(proxy, iter([DATA[:7], DATA[7:]])) == 202
    assert proxy.requests("PATCH")[0].body_bytes == len(DATA)


def test_an_answer_can_get_lost_after_the_registry_has_done_its_work(registry, fault_proxy, tmp_path):
    proxy = fault_proxy(registry.host)
    lost = proxy.fault(LoseAnswer(), method="PUT", path="/manifests/", times=None)
    with access(proxy, "--dest-") as flags:
        done = skopeo(
            *("copy", *flags, f"oci:{write_layout(tmp_path)}:image", f"docker://{proxy.host}/parts/lost:latest"),
            check=False,
        )
    assert done.returncode
    assert lost.happened
    assert pull_files(registry, "parts/lost:latest")[0] == {"etc/base": b"base\n"}


def test_a_proxy_can_refuse_connections_for_a_while(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    before = proxy.host
    with proxy.refusing_connections(), pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(proxy.url + blob_url)
    assert proxy.host == before
    assert read(proxy.url + blob_url) == (DATA, None)


def test_a_proxy_before_a_dead_registry_resets_connections(own_registry, fault_proxy):
    proxy = fault_proxy(own_registry.host)
    own_registry.kill()
    with pytest.raises((ConnectionError, urllib.error.URLError)):
        urllib.request.urlopen(f"{proxy.url}/v2/")


def test_a_blob_can_be_fetched_from_another_server_which_takes_no_credentials(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    with FileServer(registry.blob_path) as cdn:
        proxy.fault(Redirect(cdn.url), method="GET", path="/blobs/", times=None)
        assert read(proxy.url + blob_url) == (DATA, None)
        assert [seen.path for seen in cdn.log] == [blob_url]
        for asked, got in {"bytes=299990-": DATA[299_990:], "bytes=5-9": DATA[5:10]}.items():
            request = urllib.request.Request(cdn.url + blob_url, headers={"Range": asked})
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 206
                assert answer.read() == got
        signed = urllib.request.Request(cdn.url + blob_url, headers={"Authorization": "Bearer x"})
        with pytest.raises(urllib.error.HTTPError, match="400") as error:
            urllib.request.urlopen(signed)
        error.value.close()


def test_skopeo_follows_the_redirect(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    push_image(registry, "parts/redirected")
    with FileServer(registry.blob_path) as cdn:
        proxy.fault(Redirect(cdn.url), method="GET", path="/blobs/", times=None)
        assert pull_files(proxy, "parts/redirected:latest")[0] == {"etc/base": b"base\n"}
        assert len(cdn.requests("GET", "/blobs/sha256:")) == 4


def test_the_proxy_counts_how_many_requests_run_at_once(registry, fault_proxy, blob_url):
    proxy = fault_proxy(registry.host)
    proxy.fault(Delay(0.5), times=3)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(read, [proxy.url + blob_url] * 3))
    assert proxy.most_at_once == 3


def test_a_closed_proxy_leaves_no_threads(registry):
    before = threading.active_count()
    with FaultProxy(registry.host) as proxy:
        connection = http.client.HTTPConnection(proxy.host)
        connection.request("GET", "/v2/")
        connection.getresponse().read()
        assert threading.active_count() > before
    connection.close()
    assert threading.active_count() == before
