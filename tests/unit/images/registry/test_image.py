"""Images in a real registry as other programs pushed them: found by name, platform and digest, read when asked for."""

import itertools
import json
import logging

import pytest

from lifecycle.errors import CorruptImageError, LifecycleError, VerificationError
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.registry.store import RegistryStore
from lifecycle.images.store import BlobSource
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST
from lifecycle.oci.reference import parse_reference
from parts.fault_proxy import FlipByte
from parts.skopeo import LAYERS, push_image, raw_manifest, tar_of

_NUMBERS = itertools.count()
PLATFORMS = ("linux/arm64", "linux/amd64", "linux/arm/v6", "linux/arm/v7")


@pytest.fixture
def repository():
    return f"images/read-{next(_NUMBERS)}"


@pytest.fixture
def store_for(registry_client):
    return lambda *platform: RegistryStore(registry_client, platform=ImagePlatform(*platform))


@pytest.mark.parametrize(("form", "media_type"), [("oci", OCI_MANIFEST), ("v2s2", DOCKER_MANIFEST)])
@pytest.mark.requirement("PLAT-FILE-005", "PLAT-FILE-006")
def test_an_image_of_another_program_is_found_by_tag_and_by_digest(
    registry, registry_store, repository, content, form, media_type
):
    pushed = push_image(registry, repository, "1", form=form, config={"Labels": {"k": "v"}})
    for name in (pushed.reference, pushed.by_digest, f"{registry.host}/{repository}:other@{pushed.digest}"):
        image = registry_store.find(name)
        assert image.name == name
        assert image.reference == f"{registry.host}/{repository}@{pushed.digest}"
        assert image.manifest.media_type == media_type
        assert image.config.labels == {"k": "v"}
        assert content(image)[:2] == [tar_of(files) for files in LAYERS]
        assert isinstance(image, BlobSource)


def test_the_manifest_is_kept_as_it_came(registry, registry_store, registry_client, repository):
    pushed = push_image(registry, repository)
    # Other spaces and an unknown key: not as this program writes it.
    data = json.dumps({**pushed.manifest, "artifactType": "x/y"}, indent=7).encode()
    registry_client.put_manifest(parse_reference(f"{registry.host}/{repository}:odd"), data, OCI_MANIFEST)
    image = registry_store.find(f"{registry.host}/{repository}:odd")
    assert image.stored.data == data
    assert image.reference == f"{registry.host}/{repository}@{digest_of(data)}"
    assert registry_store.find(image.reference).stored == image.stored


def test_what_is_not_there_is_not_found(registry, registry_store, repository):
    pushed = push_image(registry, repository)
    for name in (f"{repository}:none", f"{repository}-none:1", f"{repository}@sha256:{'0' * 64}"):
        assert registry_store.find(f"{registry.host}/{name}") is None
    assert registry_store.find(pushed.reference) is not None


@pytest.mark.parametrize("form", ["oci", "v2s2"])
@pytest.mark.parametrize("platform", [("linux", "amd64"), ("linux", "arm64"), ("linux", "arm", "v7"), ("linux", "arm")])
def test_of_an_index_the_image_of_the_platform_is_taken(registry, store_for, repository, content, form, platform):
    pushed = push_image(registry, repository, platforms=PLATFORMS, form=form)
    image = store_for(*platform).find(pushed.reference)
    wanted = platform if len(platform) == 3 or platform[1] != "arm" else (*platform, "v6")
    assert (image.config.os, image.config.architecture, *filter(None, [image.config.variant])) == wanted
    assert content(image)[2] == tar_of({"etc/platform": "/".join(wanted).encode()})
    digest = image.reference.rpartition("@")[2]
    assert digest in {each["digest"] for each in pushed.manifest["manifests"]}
    assert digest_of(raw_manifest(registry, f"{repository}@{digest}")) == digest
    assert store_for(*platform).find(pushed.by_digest).reference == image.reference


@pytest.mark.parametrize("platform", [("linux", "s390x"), ("windows", "amd64"), ("linux", "arm", "v5")])
def test_an_index_without_the_platform_is_as_good_as_no_image_and_says_so(
    registry, store_for, repository, caplog, platform
):
    pushed = push_image(registry, repository, platforms=PLATFORMS)
    with caplog.at_level(logging.WARNING):
        assert store_for(*platform).find(pushed.reference) is None
    assert [record.getMessage() for record in caplog.records] == [
        f'Image "{pushed.reference}" has no variant for {"/".join(platform)}'
    ]


def put_index(client, server, repository, tag, children):
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()
    client.put_manifest(parse_reference(f"{server.host}/{repository}:{tag}"), data, OCI_INDEX)
    return {"mediaType": OCI_INDEX, "digest": digest_of(data), "size": len(data)}


def child_of(pushed, **platform):
    found = {"mediaType": OCI_MANIFEST, "digest": pushed.digest, "size": len(pushed.data)}
    return {**found, "platform": platform} if platform else found


def test_attestations_in_an_index_are_passed_over(registry, registry_store, registry_client, repository):
    attestation = push_image(registry, repository, "attestation", layers=[{"a": b"attestation"}])
    pushed = push_image(registry, repository)
    put_index(
        registry_client,
        registry,
        repository,
        "all",
        [
            child_of(attestation, os="unknown", architecture="unknown"),
            child_of(pushed, os="linux", architecture="amd64"),
        ],
    )
    assert registry_store.find(f"{registry.host}/{repository}:all").reference.endswith(pushed.digest)


def test_a_child_without_platform_is_one_for_linux_on_amd64(registry, store_for, registry_client, repository):
    pushed = push_image(registry, repository)
    put_index(registry_client, registry, repository, "all", [child_of(pushed)])
    assert store_for("linux", "amd64").find(f"{registry.host}/{repository}:all").reference.endswith(pushed.digest)
    assert store_for("linux", "arm64").find(f"{registry.host}/{repository}:all") is None


def test_indexes_may_lie_in_indexes_but_not_too_deep(registry, registry_store, registry_client, repository):
    pushed = push_image(registry, repository)
    child = child_of(pushed, os="linux", architecture="amd64")
    for depth in range(5):
        child = {
            **put_index(registry_client, registry, repository, f"depth{depth}", [child]),
            "platform": child["platform"],
        }
    assert registry_store.find(f"{registry.host}/{repository}:depth3").reference.endswith(pushed.digest)
    with pytest.raises(CorruptImageError, match="nests indexes too deep"):
        registry_store.find(f"{registry.host}/{repository}:depth4")


def test_layers_are_fetched_when_they_are_asked_for_and_only_those(registry, fault_proxy, registry_store, repository):
    pushed = push_image(registry, repository)
    proxy = fault_proxy(registry.host)
    image = registry_store.find(f"{proxy.host}/{repository}")
    layers = {layer["digest"] for layer in pushed.manifest["layers"]}

    def fetched():
        return [each for digest in layers for each in proxy.requests("GET", digest)]

    assert fetched() == []
    assert image.has_blob(image.manifest.layers[1])
    assert fetched() == []
    assert b"".join(image.layer(image.config.diff_ids[1])) == tar_of(LAYERS[1])
    (request,) = fetched()
    assert image.manifest.layers[1].digest in request.path


@pytest.mark.parametrize(("compression", "media_type"), [("gzip", OCI_LAYER_GZIP), ("zstd", OCI_LAYER_ZSTD)])
def test_layers_are_unpacked_however_they_are_compressed(
    registry, registry_store, repository, content, compression, media_type
):
    pushed = push_image(registry, repository, compression=compression)
    image = registry_store.find(pushed.reference)
    assert {layer.media_type for layer in image.manifest.layers} == {media_type}
    assert [digest_of(tar) for tar in content(image)] == list(image.config.diff_ids)


def test_a_layer_that_the_image_does_not_list_is_told(registry, registry_store, repository):
    image = registry_store.find(push_image(registry, repository).reference)
    with pytest.raises(CorruptImageError, match="has no layer sha256:0000"):
        image.layer(DiffId("sha256:" + "0" * 64))


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{}")])
def test_an_image_whose_configuration_is_gone_or_garbled_is_corrupt(own_registry, registry_store, damage):
    pushed = push_image(own_registry, "app")
    digest = pushed.manifest["config"]["digest"]
    damage(own_registry.blob_path(digest))
    own_registry.restart()
    with pytest.raises(CorruptImageError, match=digest):
        registry_store.find(pushed.reference)


def test_a_manifest_with_other_bytes_than_its_digest_is_corrupt(registry, fault_proxy, registry_store, repository):
    pushed = push_image(registry, repository)
    proxy = fault_proxy(registry.host)
    proxy.fault(FlipByte(at=20), method="GET", path="manifests", times=None)
    with pytest.raises(CorruptImageError, match="digest"):
        registry_store.find(f"{proxy.host}/{repository}@{pushed.digest}")


def test_a_tag_whose_manifest_is_gone_is_as_good_as_none(own_registry, registry_store):
    pushed = push_image(own_registry, "app")
    own_registry.blob_path(pushed.digest).unlink()
    own_registry.restart()
    assert registry_store.find(pushed.reference) is None


def test_a_layer_that_is_gone_is_told_when_it_is_read(own_registry, registry_store):
    pushed = push_image(own_registry, "app")
    own_registry.blob_path(pushed.manifest["layers"][0]["digest"]).unlink()
    own_registry.restart()
    image = registry_store.find(pushed.reference)
    assert not image.has_blob(image.manifest.layers[0])
    with pytest.raises(CorruptImageError):
        list(image.layer(image.config.diff_ids[0]))
    assert b"".join(image.layer(image.config.diff_ids[1])) == tar_of(LAYERS[1])


def test_a_layer_with_other_bytes_is_noticed_at_its_end(own_registry, registry_store):
    pushed = push_image(own_registry, "app")
    path = own_registry.blob_path(pushed.manifest["layers"][0]["digest"])
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    image = registry_store.find(pushed.reference)
    with pytest.raises((VerificationError, CorruptImageError)):
        list(image.layer(image.config.diff_ids[0]))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda manifest: {**manifest, "config": {**manifest["config"], "size": 1 << 30}},
            "is larger than 16777216 bytes",
        ),
        (
            lambda manifest: {**manifest, "layers": manifest["layers"][:1]},
            "has 1 layers, but its configuration lists 3",
        ),
        (lambda manifest: {**manifest, "config": manifest["layers"][0]}, "is not JSON"),
    ],
)
def test_a_manifest_that_does_not_fit_its_configuration_is_corrupt(
    registry, registry_store, registry_client, repository, change, problem
):
    pushed = push_image(registry, repository)
    data = json.dumps(change(pushed.manifest)).encode()
    registry_client.put_manifest(parse_reference(f"{registry.host}/{repository}:odd"), data, OCI_MANIFEST)
    with pytest.raises(CorruptImageError, match=problem):
        registry_store.find(f"{registry.host}/{repository}:odd")


def test_an_index_that_lists_what_is_not_there_is_corrupt(own_registry, registry_store):
    pushed = push_image(own_registry, "app", as_index=True)
    (child,) = pushed.manifest["manifests"]
    own_registry.blob_path(child["digest"]).unlink()
    own_registry.restart()
    with pytest.raises(LifecycleError, match=child["digest"]):
        registry_store.find(pushed.reference)


def test_progress_is_told_of_what_is_pulled(registry, registry_client, repository):
    seen = []
    store = RegistryStore(registry_client, platform=ImagePlatform(), progress=lambda *each: seen.append(each))
    image = store.find(push_image(registry, repository).reference)
    list(image.layer(image.config.diff_ids[0]))
    size, digest = image.manifest.layers[0].size, image.manifest.layers[0].digest
    assert {task for task, _, _ in seen} == {f"Pulling {registry.host}/{repository} {digest[7:19]}"}
    assert [(done, total) for _, done, total in seen][-1] == (size, size)
