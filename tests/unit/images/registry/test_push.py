"""Pushing to a real registry: what is sent, what is not, and what is left when something fails."""

import http.client
import itertools
import logging
import threading
import time
from dataclasses import replace

import pytest

from lifecycle.errors import InvalidInputError
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.registry.client import RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.registries_conf import Location, RegistryRule
from lifecycle.images.registry.store import RegistryStore
from lifecycle.images.store import ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from lifecycle.oci.reference import parse_reference
from parts.fault_proxy import Delay, Status
from parts.memory import MIB, memory_of_call
from parts.skopeo import push_image
from parts.synthetic_registry import SyntheticLayer, SyntheticRegistry

_NUMBERS = itertools.count()
DENIED = Status(403, message="not today")


@pytest.fixture
def repository():
    return f"images/push-{next(_NUMBERS)}"


@pytest.fixture
def proxy(registry, fault_proxy):
    """Stands before the registry and has the log of this test's requests."""
    return fault_proxy(registry.host)


@pytest.fixture
def app(proxy, repository):
    """Return a name of the app image."""
    return lambda tag="1", suffix="": f"{proxy.host}/{repository}{suffix}:{tag}"


def uploads(proxy, repository=""):
    """Return the sizes of the blobs that were sent."""
    sent = {}
    for request in [
        *proxy.requests("PATCH", f"{repository}/blobs/uploads"),
        *proxy.requests("PUT", f"{repository}/blobs/uploads"),
    ]:
        upload = request.path.partition("?")[0]
        sent[upload] = sent.get(upload, 0) + request.body_bytes
    return sorted(size for size in sent.values())


def tags(proxy):
    return [request.path.rpartition("/")[2] for request in proxy.requests("PUT", "/manifests/")]


def random_tar(tar, size, seed):
    import random

    return tar(data="".join(random.Random(seed).choices("0123456789abcdef", k=size)))


def test_blobs_go_once_for_all_tags_and_each_tag_is_one_manifest(proxy, app, registry_store, tar, new_image):
    layer = tar(a="1")
    new = new_image(layer, tar(b="2"), layer)
    written = registry_store.write(new, [app("1"), app("2"), app("latest")])
    assert written.names == (app("1"), app("2"), app("latest"))
    assert written.failures == {}
    assert uploads(proxy) == sorted([new.layers[0].size, new.layers[1].size, len(new.config.dumps())])
    assert tags(proxy) == ["1", "2", "latest"]
    first_tag = proxy.log.index(proxy.requests("PUT", "/manifests/")[0])
    assert all("/manifests/" in request.path for request in proxy.log[first_tag:])


def test_an_image_that_is_there_is_not_pushed_again(proxy, app, registry_store, tar, new_image):
    new = new_image(tar(a="1"))
    written = registry_store.write(new, [app("1")])
    proxy.log.clear()
    assert registry_store.write(new, [app("1")]) == written
    assert {request.method for request in proxy.log} == {"HEAD"}


def test_a_further_tag_sends_no_blob(proxy, app, registry_store, tar, new_image):
    registry_store.write(new_image(tar(a="1")), [app("1")])
    proxy.log.clear()
    written = registry_store.write(new_image(tar(a="1")), [app("1"), app("2")])
    assert written.names == (app("1"), app("2"))
    assert uploads(proxy) == []
    assert tags(proxy) == ["2"]


def test_only_what_the_repository_lacks_is_sent(proxy, app, registry_store, tar, new_image, content):
    kept, old, new = tar(k="k"), tar(a="old"), tar(a="new")
    registry_store.write(new_image(kept, old), [app()])
    previous = registry_store.find(app())
    proxy.log.clear()
    image = new_image(new, reused=[ReusedLayer(previous, kept.diff_id)])
    registry_store.write(image, [app()])
    assert uploads(proxy) == sorted([image.layers[0].size, len(image.config.dumps())])
    assert not proxy.requests("GET", "/blobs/sha256")
    found = registry_store.find(app())
    assert found.manifest.layers[1] == previous.manifest.layers[0]
    assert content(found) == [new.data, kept.data]


@pytest.mark.parametrize(
    ("form", "types"),
    [
        ("oci", (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP)),
        ("v2s2", (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP)),
    ],
)
def test_the_types_are_those_of_the_bases_kind(registry, repository, registry_store, tar, new_image, form, types):
    pushed = push_image(registry, f"{repository}-run", form=form)
    base = registry_store.find(pushed.reference)
    name = f"{registry.host}/{repository}:1"
    registry_store.write(new_image(tar(a="1"), base=base), [name])
    manifest = registry_store.find(name).manifest
    assert (manifest.media_type, manifest.config.media_type, manifest.layers[-1].media_type) == types
    assert manifest.layers[:-1] == base.manifest.layers


def test_layers_of_a_base_in_the_same_registry_are_mounted(
    registry, proxy, repository, app, registry_store, tar, new_image, caplog
):
    push_image(registry, f"{repository}-run")
    base = registry_store.find(f"{proxy.host}/{repository}-run")
    proxy.log.clear()
    image = new_image(tar(a="1"), base=base)
    with caplog.at_level(logging.INFO):
        written = registry_store.write(image, [app()])
    assert "Copying" not in caplog.text
    assert written.failures == {}
    assert uploads(proxy) == sorted([image.layers[0].size, len(image.config.dumps())])
    mounts = [
        request
        for request in proxy.requests("POST", "mount=")
        if f"{repository}-run".replace("/", "%2F") in request.path
    ]
    assert len(mounts) == len(base.manifest.layers)
    assert {request.status for request in mounts} == {201}
    assert not proxy.requests("GET", "/blobs/sha256")


@pytest.mark.requirement("BP-EXP-001")
def test_layers_of_a_base_in_another_registry_are_copied_as_they_are_stored_and_the_user_is_told(
    registry, own_registry, repository, registry_store, tar, new_image, content, caplog
):
    pushed = push_image(own_registry, "run")
    base = registry_store.find(pushed.reference)
    name = f"{registry.host}/{repository}:1"
    with caplog.at_level(logging.INFO):
        registry_store.write(new_image(tar(a="1"), base=base), [name])
    told = f"Copying layers of '{pushed.reference}' to {registry.host}/{repository}: that image is elsewhere, so this takes longer"
    assert [each.message for each in caplog.records if each.levelno == logging.INFO] == [told]
    found = registry_store.find(name)
    assert found.manifest.layers[:-1] == base.manifest.layers
    assert content(found)[:-1] == content(base)
    assert found.has_blob(found.manifest.layers[0])


def test_names_in_several_repositories_share_the_blobs(proxy, app, registry_store, tar, new_image, content):
    layer = tar(a="1")
    image = new_image(layer)
    names = [app("1"), app("1", "-other"), app("2")]
    written = registry_store.write(image, names)
    assert (written.names, written.failures) == (tuple(names), {})
    assert uploads(proxy).count(image.layers[0].size) == 1
    assert content(registry_store.find(names[1])) == [layer.data]


def test_what_was_pushed_to_one_repository_is_mounted_into_the_next(proxy, app, registry_store, tar, new_image):
    image = new_image(tar(a="1"))
    registry_store.write(image, [app()])
    proxy.log.clear()
    registry_store.write(new_image(tar(a="1"), run={"Labels": {"k": "v"}}), [app("cache", "-cache")])
    assert image.layers[0].size not in uploads(proxy)
    assert [request.status for request in proxy.requests("POST", "mount=")] == [201]


def test_the_biggest_blobs_go_first_and_no_more_than_four_at_once(proxy, app, registry_store, tar, new_image):
    sizes = [2000, 90_000, 300, 40_000, 7000, 500]
    image = new_image(*(random_tar(tar, size, seed) for seed, size in enumerate(sizes)))
    proxy.fault(Delay(0.05), method="HEAD", path="blobs", times=None)
    registry_store.write(image, [app()])
    order = [request.path.rpartition("/")[2] for request in proxy.requests("HEAD", "/blobs/")]
    by_size = [layer.digest for layer in sorted(image.layers, key=lambda layer: -layer.size)]
    assert set(order[:4]) == set(by_size[:4])
    assert order[-1] == digest_of(image.config.dumps())
    assert proxy.most_at_once == 4


@pytest.mark.parametrize("failing", ["1", "2"])
def test_a_tag_that_is_refused_does_not_stop_the_others(proxy, app, registry_store, tar, new_image, failing):
    proxy.fault(DENIED, method="PUT", path=f"/manifests/{failing}$", times=None)
    names = [app("1"), app("2")]
    written = registry_store.write(new_image(tar(a="1")), names)
    (refused,) = written.failures
    assert (written.names, refused) == (tuple(name for name in names if name != app(failing)), app(failing))
    assert "not today" in written.failures[refused]
    assert registry_store.find(app(failing)) is None
    assert registry_store.find(written.names[0]).reference == written.reference


@pytest.mark.parametrize("part", ["layer", "config"])
def test_nothing_is_tagged_when_a_blob_fails_and_the_next_try_sends_only_what_is_missing(
    proxy, app, registry_client, tar, new_image, part
):
    image = new_image(tar(a="old"))
    store = RegistryStore(registry_client, platform=ImagePlatform())
    old = store.write(image, [app()])
    new = new_image(random_tar(tar, 5000, 1), random_tar(tar, 4000, 2), random_tar(tar, 3000, 3))
    config = new.config.dumps()
    digest = new.layers[1].digest if part == "layer" else digest_of(config)
    fault = proxy.fault(DENIED, method="PUT", path=f"digest={digest.replace(':', '(:|%3A)')}", times=None)
    proxy.log.clear()
    written = store.write(new, [app(), app("2")])
    assert fault.happened
    assert written.names == ()
    assert list(written.failures) == [app(), app("2")]
    assert all("not today" in cause for cause in written.failures.values())
    assert tags(proxy) == []
    assert store.find(app()).reference == old.reference
    assert store.find(app("2")) is None
    there = [request.path for request in proxy.requests("PUT", "/blobs/uploads") if request.status == 201]
    missing = [layer.size for layer in new.layers if not any(layer.digest[7:] in path for path in there)]
    assert missing == [] if part == "config" else new.layers[1].size in missing

    proxy.clear()
    written = RegistryStore(registry_client, platform=ImagePlatform()).write(new, [app(), app("2")])
    assert written.failures == {}
    assert uploads(proxy) == sorted([*missing, len(config)])


def test_a_layer_whose_file_changed_stops_the_others_and_is_the_reason(proxy, app, registry_store, tar, new_image):
    new = new_image(*(random_tar(tar, 3000 + seed, seed) for seed in range(12)))
    broken = new.layers[-1]
    data = broken.path.read_bytes()
    broken.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    written = registry_store.write(new, [app()])
    assert written.names == ()
    assert str(broken.path) in written.failures[app()]
    assert tags(proxy) == []


def test_a_repository_that_refuses_does_not_stop_another(proxy, app, registry_store, tar, new_image):
    proxy.fault(DENIED, method="POST", path="-denied/blobs/uploads", times=None)
    written = registry_store.write(new_image(tar(a="1")), [app("1", "-denied"), app("1")])
    assert written.names == (app("1"),)
    assert list(written.failures) == [app("1", "-denied")]
    assert written.reference == registry_store.find(app("1")).reference


def test_a_blob_that_the_registry_removed_meanwhile_is_sent_again(
    proxy, app, registry, registry_client, repository, tar, new_image, content
):
    kept, new = random_tar(tar, 50_000, 1), random_tar(tar, 5000, 2)
    image = new_image(kept, new)
    RegistryStore(registry_client).write(new_image(kept), [app("old")])
    removed = threading.Event()

    def collect_garbage(task, done, total):
        if image.layers[1].digest[7:19] in task and not removed.is_set():
            removed.set()
            while not proxy.requests("HEAD", f"/blobs/{image.layers[0].digest}"):
                time.sleep(0.01)
            connection = http.client.HTTPConnection(registry.host)
            connection.request("DELETE", f"/v2/{repository}/blobs/{image.layers[0].digest}")
            with connection.getresponse() as answer:
                assert answer.status == 202
            connection.close()

    store = RegistryStore(registry_client, platform=ImagePlatform(), progress=collect_garbage)
    proxy.log.clear()
    written = store.write(image, [app("1"), app("2")])
    assert removed.is_set()
    assert written.failures == {}
    assert [request.status for request in proxy.requests("PUT", "/manifests/")] == [400, 201, 201]
    assert content(store.find(app("2"))) == [kept.data, new.data]


def test_a_registry_that_goes_on_lacking_a_blob_fails(proxy, app, registry_store, tar, new_image):
    proxy.fault(
        Status(404, message='gone"},{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry'),
        method="PUT",
        path="/manifests/",
        times=None,
    )
    new = new_image(tar(a="1"))
    written = registry_store.write(new, [app("1"), app("2")])
    assert written.names == ()
    assert uploads(proxy).count(new.layers[0].size) == 2
    assert tags(proxy) == ["1", "1", "2"]


def test_layers_that_may_not_be_distributed_are_not_pushed(
    fault_proxy, own_registry, registry_client, tar, new_image, tmp_path
):
    # The base lists a layer that nobody can send, so that trying to would fail.
    elsewhere = DirectoryStore(tmp_path / "layout", platform=ImagePlatform())
    elsewhere.write(new_image(tar(windows="w")), ["run"])
    base = elsewhere.find("run")
    foreign = replace(
        base.manifest.layers[0],
        media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        urls=("https://example.com/layer",),
    )
    base = replace(base, manifest=replace(base.manifest, layers=(foreign,)))
    (tmp_path / "layout/blobs" / foreign.digest.replace(":", "/")).unlink()
    proxy = fault_proxy(own_registry.host)
    proxy.fault(Status(201), method="PUT", path="/manifests/", times=None)  # Debian's registry allows no such urls
    new = new_image(tar(a="1"), base=base)
    written = RegistryStore(registry_client).write(new, [f"{proxy.host}/app:1"])
    assert written.failures == {}
    assert uploads(proxy) == sorted([new.layers[0].size, len(new.config.dumps())])


def test_a_layer_that_may_be_distributed_is_pushed_though_it_is_elsewhere_too(
    fault_proxy, own_registry, registry_client, tar, new_image, tmp_path
):
    elsewhere = DirectoryStore(tmp_path / "layout", platform=ImagePlatform())
    elsewhere.write(new_image(tar(base="b")), ["run"])
    base = elsewhere.find("run")
    layer = replace(base.manifest.layers[0], urls=("https://example.com/layer",))
    base = replace(base, manifest=replace(base.manifest, layers=(layer,)))
    proxy = fault_proxy(own_registry.host)
    proxy.fault(Status(201), method="PUT", path="/manifests/", times=None)  # Debian's registry allows no such urls
    written = RegistryStore(registry_client).write(new_image(tar(a="1"), base=base), [f"{proxy.host}/app:1"])
    assert written.failures == {}
    assert layer.size in uploads(proxy)


def test_a_sparse_base_can_not_be_pushed_where_its_layers_are_not(app, proxy, registry_store, tar, new_image, tmp_path):
    elsewhere = DirectoryStore(tmp_path / "layout", platform=ImagePlatform())
    elsewhere.write(new_image(tar(base="b")), ["run"])
    base = elsewhere.find("run")
    digest = base.manifest.layers[0].digest
    (tmp_path / "layout/blobs" / digest.replace(":", "/")).unlink()
    written = registry_store.write(new_image(tar(a="1"), base=base), [app()])
    assert f"lacks the layer {digest}" in written.failures[app()]
    assert tags(proxy) == []


def test_a_reused_layer_that_its_own_repository_lost_fails_and_leaves_the_old_tag(
    own_registry, registry_store, tar, new_image
):
    kept, name = tar(k="k"), f"{own_registry.host}/app:1"
    old = registry_store.write(new_image(kept), [name])
    previous = registry_store.find(name)
    own_registry.blob_path(previous.manifest.layers[0].digest).unlink()
    own_registry.restart()
    written = registry_store.write(new_image(tar(a="1"), reused=[ReusedLayer(previous, kept.diff_id)]), [name])
    assert previous.manifest.layers[0].digest in written.failures[name]
    assert registry_store.find(name).reference == old.reference


def test_progress_is_told_of_what_is_pushed_and_nothing_else(proxy, app, registry_client, tar, new_image, repository):
    seen = []
    store = RegistryStore(registry_client, platform=ImagePlatform(), progress=lambda *each: seen.append(each))
    kept = tar(k="k")
    store.write(new_image(kept), [app()])
    seen.clear()
    new = new_image(random_tar(tar, 900_000, 1), reused=[ReusedLayer(store.find(app()), kept.diff_id)])
    store.write(new, [app()])
    (layer, _) = new.layers
    assert {(task, total) for task, done, total in seen if done < layer.size} == {
        (f"Pushing {proxy.host}/{repository} {layer.digest[7:19]}", layer.size)
    }
    done = [done for _, done, _ in seen]
    assert done == sorted(done)
    assert seen[-1][1:] == (layer.size, layer.size)


def test_a_layer_is_not_compressed_again_to_be_pushed(app, registry_store, tar, new_image, tmp_path):
    blob = write_blob(tar(a="1"), tmp_path, level=9)
    new = new_image(tar(b="2"))
    new = replace(
        new, layers=(blob, *new.layers), config=replace(new.config, diff_ids=(blob.diff_id, *new.config.diff_ids))
    )
    registry_store.write(new, [app()])
    assert registry_store.find(app()).manifest.layers[0].digest == blob.digest


def test_a_name_that_is_no_tag_is_refused(registry_store, tar, new_image):
    with pytest.raises(InvalidInputError, match="an image is written to a tag"):
        registry_store.write(new_image(tar(a="1")), [parse_reference("a/b@sha256:" + "0" * 64).name])


@pytest.fixture
def mirrored(registry, own_registry):
    """Let ``own_registry`` be asked before ``registry``."""
    location = Location("", insecure=True)
    mirror = Location(own_registry.host, insecure=True)
    rule = RegistryRule(registry.host, location, (mirror,), blocked=False, where="registries.conf")
    with RegistryClient(Hosts(rules=(rule,)), default_keychain({})) as client:
        yield RegistryStore(client, platform=ImagePlatform())


def test_what_only_a_mirror_has_is_pushed_all_the_same(
    registry, own_registry, repository, mirrored, registry_store, tar, new_image, content
):
    layer = tar(a="1")
    new, name = new_image(layer), f"{registry.host}/{repository}:1"
    there = registry_store.write(new, [f"{own_registry.host}/{repository}:1"])
    assert mirrored.find(name).reference == f"{registry.host}/{repository}@{there.digest}"
    assert registry_store.find(name) is None
    assert mirrored.write(new, [name]).failures == {}
    assert content(registry_store.find(name)) == [layer.data]


def test_a_reused_layer_that_only_a_mirror_has_is_copied_from_there(
    registry, own_registry, repository, mirrored, registry_store, tar, new_image, content
):
    kept, layer = tar(k="k"), tar(a="1")
    name = f"{registry.host}/{repository}:1"
    registry_store.write(new_image(kept), [f"{own_registry.host}/{repository}:1"])
    previous = mirrored.find(name)
    assert previous.has_blob(previous.manifest.layers[0])
    written = mirrored.write(new_image(layer, reused=[ReusedLayer(previous, kept.diff_id)]), [name])
    assert written.failures == {}
    assert content(registry_store.find(name)) == [layer.data, kept.data]


def copy_between_registries(source, target):
    """Write an image whose layers all are the base's, from another registry; say how many names were written."""
    from lifecycle.images.image_platform import ImagePlatform
    from lifecycle.images.registry.store import RegistryStore
    from lifecycle.images.store import NewImage
    from parts.registry_clients import client_of

    with client_of() as client:
        store = RegistryStore(client, platform=ImagePlatform())
        base = store.find(source)
        return len(store.write(NewImage(base, (), base.config), [target]).names)


def test_memory_does_not_grow_with_the_size_of_the_layers():
    peaks = []
    with SyntheticRegistry() as source, SyntheticRegistry() as target:
        for size in (4 * MIB, 100 * MIB):
            source.add_image("run", [SyntheticLayer(size, seed=seed) for seed in range(2)])
            used = memory_of_call(copy_between_registries, f"{source.host}/run", f"{target.host}/app:{size}")
            assert used.result == 1
            peaks.append(used.peak)
        assert sum(target.uploaded.values()) > 2 * 104 * MIB
    assert peaks[1] < peaks[0] + 16 * MIB
