"""Uploads that break: resumed where a registry allows it, started anew where not, and never half a blob."""

from time import monotonic
from time import sleep as real_sleep

import pytest

from lifecycle.errors import RegistryError
from lifecycle.images.registry.uploads import PIECE, SMALL
from lifecycle.oci.manifest import read_descriptor
from parts.fault_proxy import CutRequest, LoseAnswer, Status
from parts.http_server import LoopbackServer
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository, pieces
from parts.synthetic_registry import SyntheticLayer, SyntheticRegistry

SIZE = 3 * PIECE + 12_345


@pytest.fixture(scope="module")
def layer():
    return SyntheticLayer(SIZE, seed=3)


@pytest.fixture
def resumable(fault_proxy):
    """A registry that keeps what came of a broken request, behind a fault proxy."""
    with SyntheticRegistry() as server:
        proxy = fault_proxy(server.host)
        proxy.registry = server
        yield proxy


def descriptor_of(layer):
    return read_descriptor(layer.descriptor, where="")


class Patient(FakeTime):
    """Time in which the registry behind a proxy takes in what the proxy passed on before it cut the connection."""

    def __init__(self, proxy):
        super().__init__()
        self._proxy = proxy

    def sleep(self, seconds):
        super().sleep(seconds)
        until = monotonic() + 30
        registry = self._proxy.registry
        passed_on = [request for request in self._proxy.requests("PATCH") if request.status != 503]
        while len(registry.requests("PATCH")) < len(passed_on) or registry._at_once:
            assert monotonic() < until
            real_sleep(0.005)


def sent_bytes(proxy):
    return sum(request.body_bytes for request in proxy.requests("PATCH|PUT"))


def test_a_whole_blob_goes_in_one_stream(resumable, layer):
    with client_of(resumable) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert [request.method for request in resumable.requests("P.*|HEAD")] == ["POST", "PATCH", "PUT"]
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size


def test_a_small_blob_takes_two_requests(resumable):
    data = b"small"
    with client_of(resumable) as client:
        client.upload_blob(new_repository(resumable), blob_of(data), lambda: iter([data]))
    assert [request.method for request in resumable.requests("P.*|HEAD")] == ["POST", "PUT"]


def test_a_broken_upload_goes_on_where_it_broke(resumable, layer):
    cut_at = 2 * PIECE
    resumable.fault(CutRequest(cut_at), method="PATCH")
    time = Patient(resumable)
    with client_of(resumable, time=time) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size
    assert len(time.waits) == 1
    first, *others = resumable.requests("PATCH")
    assert sum(request.body_bytes for request in others) == layer.blob_size - cut_at  # fewer than the whole
    assert others[0].headers["Content-Range"].startswith(f"{cut_at}-")
    assert len(resumable.requests("POST")) == 1
    assert "Content-Range" not in first.headers


def test_an_upload_may_break_more_often_than_a_request_is_tried_while_it_gets_further(resumable, layer):
    resumable.fault(CutRequest(PIECE // 4), method="PATCH", times=8)
    time = Patient(resumable)
    with client_of(resumable, time=time) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size
    assert sum(request.body_bytes for request in resumable.registry.requests("PATCH")) == layer.blob_size


def test_the_time_that_a_layer_takes_is_not_held_against_it(resumable, layer):
    resumable.fault(CutRequest(PIECE), method="PATCH")
    time = Patient(resumable)

    def slowly():
        for chunk in layer.chunks():
            time.now += 60
            yield chunk

    with client_of(resumable, time=time) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), slowly)
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size


def test_an_upload_that_gets_nowhere_ends(resumable, layer):
    resumable.fault(CutRequest(0), method="PATCH", times=None)
    time = FakeTime()
    with client_of(resumable, time=time) as client, pytest.raises(RegistryError):
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert len(time.waits) == 5
    assert layer.digest not in resumable.registry.uploaded


def test_a_busy_registry_is_sent_only_what_it_has_not(resumable, layer):
    resumable.fault(CutRequest(PIECE), method="PATCH")
    resumable.fault(Status(503), method="PATCH", after=1)
    time = Patient(resumable)
    with client_of(resumable, time=time) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size
    assert len(time.waits) == 2
    assert sum(request.body_bytes for request in resumable.registry.requests("PATCH")) == layer.blob_size


def test_a_lost_answer_to_a_part_costs_nothing(resumable, layer):
    resumable.fault(LoseAnswer(), method="PATCH")
    with client_of(resumable, time=Patient(resumable)) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert sent_bytes(resumable) == layer.blob_size


def test_a_lost_answer_to_the_last_request_is_found_to_be_done(registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    proxy.fault(LoseAnswer(), method="PUT")
    ref = new_repository(proxy)
    data = bytes(SMALL + 5)
    with client_of(proxy, time=FakeTime()) as client:
        client.upload_blob(ref, blob_of(data), lambda: pieces(data))
        assert client.has_blob(ref, blob_of(data))
    assert len(proxy.requests("PUT")) == 1
    assert len(proxy.requests("PATCH")) == 1


def test_docker_registry_starts_anew_in_pieces(registry, fault_proxy, layer):
    proxy = fault_proxy(registry.host)
    proxy.fault(CutRequest(PIECE), method="PATCH")
    ref = new_repository(proxy)
    time = FakeTime()
    with client_of(proxy, time=time) as client:
        client.upload_blob(ref, descriptor_of(layer), layer.chunks)
        assert client.has_blob(ref, descriptor_of(layer))
    assert len(time.waits) == 1
    assert max(request.body_bytes for request in proxy.requests("PATCH")[1:]) == PIECE
    assert len(proxy.requests("POST")) == 2


def test_docker_registry_goes_on_after_a_part_that_never_arrived(registry, fault_proxy, layer):
    proxy = fault_proxy(registry.host)
    proxy.fault(CutRequest(PIECE), method="PATCH")
    proxy.fault(Status(502), method="PATCH", after=1)
    ref = new_repository(proxy)
    with client_of(proxy, time=FakeTime()) as client:
        client.upload_blob(ref, descriptor_of(layer), layer.chunks)
        assert client.has_blob(ref, descriptor_of(layer))
    assert len(proxy.requests("POST")) == 2
    assert sum(request.body_bytes for request in proxy.requests("PATCH") if request.status == 202) == layer.blob_size


def test_a_proxy_that_limits_bodies_gets_pieces(registry, fault_proxy, layer):
    proxy = fault_proxy(registry.host)
    proxy.fault(Status(413), method="PATCH")
    ref = new_repository(proxy)
    time = FakeTime()
    with client_of(proxy, time=time) as client:
        client.upload_blob(ref, descriptor_of(layer), layer.chunks)
        assert client.has_blob(ref, descriptor_of(layer))
    assert time.waits == []
    assert len(proxy.requests("DELETE")) == 1


def test_an_upload_that_was_forgotten_starts_anew(resumable, layer):
    resumable.fault(Status(404), method="PUT")
    with client_of(resumable, time=FakeTime()) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size


def test_bytes_damaged_on_their_way_are_sent_once_more(resumable, layer):
    class Damaging:
        def __init__(self):
            self.opened = 0

        def __call__(self):
            self.opened += 1
            chunks = layer.chunks()
            if self.opened == 1:
                first = next(chunks)
                yield bytes(len(first))
            yield from chunks

    with client_of(resumable, time=FakeTime()) as client:
        client.upload_blob(new_repository(resumable), descriptor_of(layer), Damaging())
    assert resumable.registry.uploaded[layer.digest] == layer.blob_size


def test_a_failed_upload_is_cancelled(resumable, layer):
    resumable.fault(Status(400), method="PATCH")
    with client_of(resumable) as client, pytest.raises(RegistryError, match="400"):
        client.upload_blob(new_repository(resumable), descriptor_of(layer), layer.chunks)
    assert len(resumable.requests("DELETE", "blobs/uploads/")) == 1
    assert resumable.registry._uploads == {}


def test_a_registry_that_names_no_place_to_upload_to_is_refused():
    class Silent(LoopbackServer):
        username = password = ""

        def answer(self, exchange):
            exchange.answer(200 if exchange.path == "/v2/" else 202)

    with Silent() as server, client_of(server) as client, pytest.raises(RegistryError, match="where to upload to"):
        client.upload_blob(new_repository(server), blob_of(b"x"), lambda: iter([b"x"]))


def test_the_least_size_of_a_piece_is_honoured(fault_proxy, layer):
    least = 2 * PIECE

    class Demanding(SyntheticRegistry):
        def answer(self, exchange):
            if exchange.method == "POST":
                start = exchange.start
                exchange.start = lambda status, headers=(): start(
                    status, [*headers, ("OCI-Chunk-Min-Length", str(least))]
                )
            super().answer(exchange)

    with Demanding() as server:
        proxy = fault_proxy(server.host)
        proxy.fault(CutRequest(1_000_000), method="PATCH")
        with client_of(proxy, time=FakeTime()) as client:
            client.upload_blob(new_repository(proxy), descriptor_of(layer), layer.chunks)
        _, *pieces_sent = proxy.requests("PATCH")
        assert all(request.body_bytes == least for request in pieces_sent[:-1])
        assert server.uploaded[layer.digest] == layer.blob_size
