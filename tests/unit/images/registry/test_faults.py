"""A real registry behind a proxy that fails: what is repaired, what is refused in words, and what stays as it was."""

import time as real
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from lifecycle.errors import (
    AccessDeniedError,
    LifecycleError,
    RegistryBusyError,
    RegistryConnectionError,
    RegistryError,
    VerificationError,
)
from lifecycle.images.registry.downloads import SMALL
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.registries_conf import Location, RegistryRule
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.images.registry.transport import Timeouts
from lifecycle.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from lifecycle.oci.reference import parse_reference
from parts.fault_proxy import CutRequest, CutResponse, Delay, FlipByte, LoseAnswer, Shorten, Stall, Status, Truncate
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository, pieces

LARGE = bytes(range(256)) * 16_000
TINY = b"a small layer"
CONFIG = b"{}"
TRIES = RetryPolicy().tries


def manifest_of(*layers):
    listed = ",".join(
        f'{{"mediaType":"{each.media_type}","size":{each.size},"digest":"{each.digest}"}}' for each in layers
    )
    config = blob_of(CONFIG)
    return (
        f'{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"{OCI_CONFIG}","size":2,'
        f'"digest":"{config.digest}"}},"layers":[{listed}]}}'
    ).encode()


def push(client, ref, *blobs):
    """Push as an image is pushed: what is missing of the blobs, then the manifest."""
    for blob in (CONFIG, *blobs):
        if not client.has_blob(ref, blob_of(blob)):
            client.upload_blob(ref, blob_of(blob), lambda blob=blob: pieces(blob))
    manifest = manifest_of(*map(blob_of, blobs))
    client.put_manifest(ref, manifest, OCI_MANIFEST)
    return manifest


@pytest.fixture
def image(registry, fault_proxy):
    """A proxy in front of a registry, and an image in it."""
    proxy = fault_proxy(registry.host)
    ref = new_repository(proxy)
    with client_of(proxy) as client:
        manifest = push(client, ref, LARGE, TINY)
    proxy.clear()
    return proxy, ref, manifest


@pytest.mark.parametrize("action", [CutResponse(1_500_000), Truncate(1_500_000), CutResponse(0)])
def test_a_download_goes_on_where_it_broke(image, action):
    proxy, ref, _ = image
    proxy.fault(action, method="GET", path="/blobs/")
    time = FakeTime()
    with client_of(proxy, time=time) as client:
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert len(time.waits) == 1
    requests = proxy.requests("GET", "/blobs/")
    assert sum(request.response_bytes for request in requests) <= len(LARGE) + 300_000
    if action.__class__ is not CutResponse or action.after:
        assert requests[1].headers["Range"].startswith("bytes=")


def test_a_download_may_break_more_often_than_a_request_is_tried_while_it_gets_further(image):
    proxy, ref, _ = image
    proxy.fault(CutResponse(400_000), method="GET", path="/blobs/", times=TRIES + 2)
    with client_of(proxy, time=FakeTime()) as client:
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert len(proxy.requests("GET", "/blobs/")) == TRIES + 3


def test_a_download_that_gets_nowhere_ends(image):
    proxy, ref, _ = image
    proxy.fault(CutResponse(0), method="GET", path="/blobs/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(RegistryConnectionError) as raised:
        list(client.blob(ref, blob_of(LARGE)))
    assert len(time.waits) == TRIES - 1
    assert raised.value.where == f"{ref.context}@{blob_of(LARGE).digest}"
    assert proxy.host in raised.value.message


def test_a_manifest_that_never_comes_whole_is_named(image):
    proxy, ref, _ = image
    proxy.fault(Truncate(10), method="GET", path="/manifests/", times=None)
    with client_of(proxy, time=FakeTime()) as client, pytest.raises(RegistryConnectionError) as raised:
        client.manifest(ref)
    assert raised.value.where == ref.name
    assert raised.value.remedy == "try again later"


def test_a_registry_without_ranges_sends_all_again_and_nothing_twice_is_handed_on(image, monkeypatch):
    proxy, ref, _ = image
    pass_on = proxy._pass_on

    def without_range(exchange, action):
        del exchange.headers["Range"]
        pass_on(exchange, action)

    monkeypatch.setattr(proxy, "_pass_on", without_range)
    proxy.fault(CutResponse(1_500_000), method="GET", path="/blobs/")
    with client_of(proxy, time=FakeTime()) as client:
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE


def test_a_small_blob_that_was_damaged_is_fetched_once_more(image):
    proxy, ref, _ = image
    proxy.fault(FlipByte(3), method="GET", path="/blobs/")
    with client_of(proxy) as client:
        assert b"".join(client.blob(ref, blob_of(TINY))) == TINY
    proxy.fault(FlipByte(3), method="GET", path="/blobs/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(VerificationError, match="has the digest"):
        list(client.blob(ref, blob_of(TINY)))
    assert time.waits == []


@pytest.mark.parametrize("at", [0, 2_000_000, len(LARGE) - 1])
def test_a_large_blob_that_was_damaged_is_noticed_at_its_end(image, at):
    proxy, ref, _ = image
    assert len(LARGE) > SMALL
    proxy.fault(FlipByte(at), method="GET", path="/blobs/")
    with client_of(proxy) as client, pytest.raises(VerificationError, match="has the digest"):
        list(client.blob(ref, blob_of(LARGE)))


def test_a_blob_cut_short_with_a_length_to_match_is_noticed(image):
    proxy, ref, _ = image
    proxy.fault(Shorten(1_000_000), method="GET", path="/blobs/")
    with client_of(proxy) as client, pytest.raises(VerificationError, match=f"expected {len(LARGE)}"):
        list(client.blob(ref, blob_of(LARGE)))


def test_a_damaged_manifest_is_fetched_once_more(image):
    proxy, ref, manifest = image
    proxy.fault(FlipByte(30), method="GET", path="/manifests/")
    with client_of(proxy) as client:
        assert client.manifest(ref).data == manifest
    proxy.fault(FlipByte(30), method="GET", path="/manifests/", times=None)
    with client_of(proxy) as client, pytest.raises(VerificationError, match="has the digest"):
        client.manifest(ref)


@pytest.mark.parametrize("action", [CutResponse(10), Truncate(10), CutResponse(0), LoseAnswer(), Stall(10, 3)])
def test_a_broken_manifest_is_fetched_again(image, action):
    proxy, ref, manifest = image
    proxy.fault(action, method="GET", path="/manifests/")
    time = FakeTime()
    with client_of(proxy, time=time, timeouts=Timeouts(5, 0.5, 5)) as client:
        assert client.manifest(ref).data == manifest
    assert time.waits


@pytest.mark.parametrize("action", [Delay(3), Stall(1_000_000, 3)])
def test_a_registry_that_falls_silent_is_asked_again(image, action):
    proxy, ref, _ = image
    proxy.fault(action, method="GET", path="/blobs/")
    time = FakeTime()
    with client_of(proxy, time=time, timeouts=Timeouts(5, 0.5, 5)) as client:
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert time.waits


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_registry_is_asked_again(image, status):
    proxy, ref, manifest = image
    proxy.fault(Status(status), times=3)
    time = FakeTime()
    with client_of(proxy, time=time) as client:
        assert client.manifest(ref).data == manifest
    assert time.waits == sorted(time.waits)
    assert len(time.waits) >= 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_registry_that_stays_busy_is_given_up_with_its_words(image, status):
    proxy, ref, _ = image
    proxy.fault(Status(status, message="come back on Monday"), path="/manifests/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(RegistryBusyError, match="come back on Monday") as raised:
        client.manifest(ref)
    assert raised.value.status == status
    assert ref.name in str(raised.value)
    assert len(proxy.requests("GET", "/manifests/")) == TRIES


def test_a_wait_that_the_registry_asks_for_is_kept(image):
    proxy, ref, manifest = image
    proxy.fault(Status(429, retry_after=17), path="/manifests/")
    time = FakeTime(now=real.time())
    proxy.fault(Status(503, retry_after=formatdate(time.now + 17 + 30, usegmt=True)), path="/manifests/")
    with client_of(proxy, time=time) as client:
        assert client.manifest(ref).data == manifest
    assert time.waits[0] == 17
    assert 29 <= time.waits[1] <= 30


def test_a_quota_is_not_waited_for(image):
    proxy, ref, _ = image
    proxy.fault(Status(429, retry_after=21_600), path="/manifests/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(RegistryBusyError, match="21600 s") as raised:
        client.manifest(ref)
    assert "quota" in str(raised.value)
    assert time.waits == []
    assert len(proxy.requests("GET", "/manifests/")) == 1


ASKED = {
    "manifest": lambda client, ref: client.manifest(ref),
    "head_manifest": lambda client, ref: client.head_manifest(ref),
    "blob": lambda client, ref: list(client.blob(ref, blob_of(LARGE))),
    "has_blob": lambda client, ref: client.has_blob(ref, blob_of(b"x")),
    "upload_blob": lambda client, ref: client.upload_blob(ref, blob_of(b"x"), lambda: iter([b"x"])),
    "check_write": lambda client, ref: client.check_write(ref),
    "put_manifest": lambda client, ref: client.put_manifest(ref, b"{}", OCI_MANIFEST),
}


@pytest.mark.parametrize("status", [400, 401, 403, 405])
@pytest.mark.parametrize("asked", ASKED)
def test_a_refusal_is_final(registry, fault_proxy, status, asked):
    proxy = fault_proxy(registry.host)
    proxy.fault(Status(status), path="/(manifests|blobs)/", times=None)
    time = FakeTime()
    with client_of(proxy, time=time) as client, pytest.raises(RegistryError) as raised:
        ASKED[asked](client, new_repository(proxy))
    assert isinstance(raised.value, AccessDeniedError) == (status in {401, 403})
    assert raised.value.status == status
    assert time.waits == []
    assert len(proxy.requests(path="/(manifests|blobs)/")) == 1


@pytest.mark.parametrize("asked", ["manifest", "head_manifest", "has_blob"])
def test_what_is_not_there_is_asked_for_once(registry, fault_proxy, asked):
    proxy = fault_proxy(registry.host)
    with client_of(proxy, time=FakeTime()) as client:
        assert not ASKED[asked](client, new_repository(proxy))
    assert len(proxy.requests(path="/(manifests|blobs)/")) == 1


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        (Status(500), "PUT", "/manifests/"),
        (Status(403), "PUT", "/manifests/"),
        (CutRequest(10), "PUT", "/manifests/"),
        (Status(503), "PATCH", "/blobs/"),
        (CutRequest(500_000), "PATCH", "/blobs/"),
        (Status(429, retry_after=86_400), "POST", "/blobs/"),
        (Status(500), "PUT", "/blobs/"),
    ],
)
def test_a_push_that_fails_leaves_no_tag_and_the_old_one_as_it_was(image, action, method, path):
    proxy, ref, manifest = image
    new = b"new" * 700_000
    other = parse_reference(f"{ref.context}:other")
    proxy.fault(action, method=method, path=path, times=None)
    with client_of(proxy, time=FakeTime()) as client:
        for tag in (ref, other):
            with pytest.raises(RegistryError):
                push(client, tag, new)
        assert client.manifest(ref).data == manifest
        assert client.manifest(other) is None
        proxy.clear()
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
        sent = push(client, other, new, LARGE)
        assert client.manifest(other).data == sent


def test_after_a_failure_only_what_is_missing_is_sent(image):
    proxy, ref, _ = image
    new = b"new" * 700_000
    proxy.fault(Status(500), method="PUT", path="/manifests/", times=TRIES)
    with client_of(proxy, time=FakeTime()) as client:
        with pytest.raises(RegistryError):
            push(client, ref, LARGE, new)
        proxy.clear()
        push(client, ref, LARGE, new)
    assert proxy.requests("POST|PATCH") == []


class Restarting(FakeTime):
    """Time that brings a killed registry back at the first wait."""

    def __init__(self, registry):
        super().__init__()
        self._registry = registry

    def sleep(self, seconds):
        super().sleep(seconds)
        if len(self.waits) == 1:
            self._registry.start()


def test_an_upload_outlives_a_restart_of_the_registry(own_registry):
    ref = new_repository(own_registry)
    time = Restarting(own_registry)
    killed = []

    def open_chunks():
        for number, piece in enumerate(pieces(LARGE, 200_000)):
            if number == 10 and not killed:
                own_registry.kill()
                killed.append(True)
            yield piece

    with client_of(own_registry, time=time) as client:
        client.upload_blob(ref, blob_of(LARGE), open_chunks)
        assert client.has_blob(ref, blob_of(LARGE))
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert killed
    assert time.waits


def test_a_download_outlives_a_restart_of_the_registry(own_registry):
    ref = new_repository(own_registry)
    large = LARGE * 8
    time = Restarting(own_registry)
    with client_of(own_registry, time=time) as client:
        client.upload_blob(ref, blob_of(large), lambda: pieces(large))
        chunks = client.blob(ref, blob_of(large))
        got = [next(chunks)]
        own_registry.kill()
        got += chunks
    assert b"".join(got) == large


def test_a_registry_that_is_gone_for_good_ends_in_words(own_registry):
    ref = new_repository(own_registry)
    time = FakeTime()
    with client_of(own_registry, time=time) as client:
        client.check_write(ref)
        own_registry.kill()
        with pytest.raises(RegistryConnectionError, match=own_registry.host):
            client.upload_blob(ref, blob_of(LARGE), lambda: pieces(LARGE))
    assert len(time.waits) == TRIES - 1
    assert sum(time.waits) < RetryPolicy().total


def test_threads_outlive_faults_side_by_side(image):
    proxy, ref, _ = image
    proxy.fault(Status(503), path="/blobs/", times=4)
    proxy.fault(CutResponse(1_000_000), method="GET", path="/blobs/", times=4)
    with client_of(proxy, time=FakeTime()) as client, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: b"".join(client.blob(ref, blob_of(LARGE))), range(8)))
    assert results == [LARGE] * 8


def test_a_reader_that_stops_early_leaves_the_client_usable(image):
    proxy, ref, manifest = image
    with client_of(proxy) as client:
        chunks = client.blob(ref, blob_of(LARGE))
        next(chunks)
        chunks.close()
        assert client.manifest(ref).data == manifest


def mirrored(proxy, mirror):
    """Hosts that look for images of `proxy` at `mirror` first."""
    rule = RegistryRule(proxy.host, Location(""), (Location(mirror, insecure=True),), blocked=False, where="the test")
    return Hosts(rules=(rule,))


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_mirror_that_fails_is_passed_over(image, registry, fault_proxy, status):
    proxy, ref, manifest = image
    mirror = fault_proxy(registry.host)
    mirror.fault(Status(status), path="/(manifests|blobs)/", times=None)
    time = FakeTime()
    with client_of(proxy, hosts=mirrored(proxy, mirror.host), time=time) as client:
        assert client.manifest(ref).data == manifest
        assert client.head_manifest(ref) is not None
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert len(mirror.requests(path="/(manifests|blobs)/")) == 3
    assert time.waits == []


def test_a_mirror_spares_the_registry_and_is_never_written_to(image, registry, fault_proxy):
    proxy, ref, manifest = image
    mirror = fault_proxy(registry.host)
    with client_of(proxy, hosts=mirrored(proxy, mirror.host)) as client:
        assert client.manifest(ref).data == manifest
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
        assert proxy.log == []
        push(client, ref, TINY)
    assert {request.method for request in mirror.log} == {"GET"}
    assert proxy.requests("PUT", "/manifests/")


def test_a_download_goes_on_at_the_registry_where_the_mirror_broke(image, registry, fault_proxy):
    proxy, ref, _ = image
    mirror = fault_proxy(registry.host)
    mirror.fault(CutResponse(1_500_000), method="GET", path="/blobs/", times=None)
    with client_of(proxy, hosts=mirrored(proxy, mirror.host), time=FakeTime()) as client:
        assert b"".join(client.blob(ref, blob_of(LARGE))) == LARGE
    assert proxy.requests("GET", "/blobs/")[0].headers["Range"].startswith("bytes=")


def test_a_mirror_with_other_bytes_does_no_harm_to_small_blobs(image, registry, fault_proxy):
    proxy, ref, _ = image
    mirror = fault_proxy(registry.host)
    mirror.fault(FlipByte(1), method="GET", path="/blobs/", times=None)
    with client_of(proxy, hosts=mirrored(proxy, mirror.host)) as client:
        assert b"".join(client.blob(ref, blob_of(TINY))) == TINY


def test_a_mirror_out_of_reach_is_asked_once(image, fault_proxy, registry):
    proxy, ref, manifest = image
    mirror = fault_proxy(registry.host)
    time = FakeTime()
    with mirror.refusing_connections(), client_of(proxy, hosts=mirrored(proxy, mirror.host), time=time) as client:
        for _ in range(2):
            assert client.manifest(ref).data == manifest
    with client_of(proxy, hosts=mirrored(proxy, mirror.host), time=time) as client:
        assert client.manifest(ref).data == manifest
    assert time.waits == []


def test_the_registry_has_the_last_word_after_its_mirrors(image, registry, fault_proxy):
    proxy, ref, _ = image
    mirror = fault_proxy(registry.host)
    with client_of(proxy, hosts=mirrored(proxy, mirror.host)) as client:
        nothing = parse_reference(f"{ref.context}:nothing")
        assert client.manifest(nothing) is None
        with pytest.raises(LifecycleError, match=proxy.host):
            list(client.blob(nothing, blob_of(b"nothing")))
    assert mirror.requests("GET", "/manifests/")
