"""The store over registries: who may read and write, and what other programs make of what it wrote."""

import itertools
import json
import socket
from dataclasses import replace

import pytest

from lifecycle.errors import AccessDeniedError, InvalidInputError, RegistryError
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import LayoutStore
from lifecycle.images.registry.client import RegistryClient
from lifecycle.images.registry.credential import Credential
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.store import RegistryStore
from lifecycle.oci.digest import digest_of
from parts.fault_proxy import Status
from parts.registry_clients import FakeTime, Keys, client_of
from parts.skopeo import access, pull_files, push_image, raw_manifest, skopeo

_NUMBERS = itertools.count()


@pytest.fixture
def repository():
    return f"images/store-{next(_NUMBERS)}"


@pytest.fixture
def store_with():
    """Return a store that knows a user's password of a registry."""
    clients = []

    def make(host, username="", password=""):
        client = RegistryClient(Hosts(), Keys({host: Credential(username=username, password=password)}))
        clients.append(client)
        return RegistryStore(client, platform=ImagePlatform())

    yield make
    for client in clients:
        client.close()


@pytest.mark.requirement("PLAT-FILE-028")
def test_skopeo_reads_what_was_written(registry, registry_store, repository, tar, new_image):
    name = f"{registry.host}/{repository}:1"
    written = registry_store.write(new_image(tar(a="1"), tar(b="2"), run={"Labels": {"k": "<v>"}}), [name])
    data = raw_manifest(registry, f"{repository}:1")
    assert (digest_of(data), len(data)) == (written.digest, written.manifest_size)
    assert written.reference == f"{registry.host}/{repository}@{written.digest}"
    assert json.loads(data)["config"]["digest"] == written.image_id
    assert pull_files(registry, f"{repository}:1") == [{"a": b"1"}, {"b": b"2"}]
    with access(registry, "--") as flags:
        assert json.loads(skopeo("inspect", *flags, f"docker://{name}").stdout)["Labels"] == {"k": "<v>"}


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_skopeo_copies_an_image_on_a_base_of_skopeo(
    registry, registry_store, repository, tar, new_image, tmp_path, form
):
    base = registry_store.find(push_image(registry, f"{repository}-run", form=form).reference)
    name = f"{registry.host}/{repository}:1"
    written = registry_store.write(new_image(tar(a="1"), base=base), [name])
    assert written.failures == {}
    with access(registry, "--src-") as flags:
        skopeo("copy", *flags, f"docker://{name}", f"oci:{tmp_path}/copy:1")
    assert pull_files(registry, f"{repository}:1")[-1] == {"a": b"1"}


def test_the_configuration_is_that_of_a_layout(registry, registry_store, repository, tar, new_image, tmp_path):
    name = f"{registry.host}/{repository}:1"
    layouts = LayoutStore(tmp_path / "layouts", platform=ImagePlatform())
    for base in (None, registry_store.find(push_image(registry, f"{repository}-run").reference)):
        new = new_image(tar(a="1"), base=base, run={"Env": ["A=b"], "Labels": {"k": "v"}})
        assert registry_store.write(new, [name]).image_id == layouts.write(new, [name]).image_id
        assert registry_store.find(name).manifest.layers == layouts.find(name).manifest.layers


def test_the_name_of_a_base_in_a_layout_does_not_come_along(
    registry, registry_store, repository, tar, new_image, tmp_path
):
    layouts = LayoutStore(tmp_path / "layouts", platform=ImagePlatform())
    layouts.write(new_image(tar(base="b")), ["reg.example/run:22.04"])
    base = layouts.find("reg.example/run:22.04")
    base = replace(base, manifest=replace(base.manifest, annotations={**base.manifest.annotations, "kept": "yes"}))
    registry_store.write(new_image(tar(a="1"), base=base), [f"{registry.host}/{repository}:1"])
    assert registry_store.find(f"{registry.host}/{repository}:1").manifest.annotations == {"kept": "yes"}


@pytest.mark.requirement("PLAT-RUN-001")
def test_what_may_not_be_read_or_is_not_there_is_not_readable(token_registry, store_with, repository):
    name = f"{token_registry.host}/{repository}"
    writer = store_with(token_registry.host, token_registry.username, token_registry.password)
    stranger = store_with(token_registry.host)
    assert not writer.readable(name)
    push_image(token_registry, repository)
    assert writer.readable(name)
    assert not stranger.readable(name)
    assert not writer.readable(f"{token_registry.host}/{repository}:none")


def test_a_registry_out_of_reach_is_not_readable():
    with socket.socket() as bound, client_of(time=FakeTime()) as client:
        # Nobody else gets this port, and nobody listens.
        bound.bind(("127.0.0.1", 0))
        assert not RegistryStore(client).readable(f"127.0.0.1:{bound.getsockname()[1]}/app")


def test_to_look_for_an_image_without_permission_is_an_error_and_not_its_absence(
    token_registry, store_with, repository
):
    push_image(token_registry, repository)
    with pytest.raises(AccessDeniedError, match=token_registry.host):
        store_with(token_registry.host).find(f"{token_registry.host}/{repository}")
    found = store_with(token_registry.host, "reader", "password of the reader").find(
        f"{token_registry.host}/{repository}"
    )
    assert found is not None


@pytest.mark.requirement("PLAT-ANA-028")
def test_write_access_is_checked_once_for_each_repository_and_leaves_nothing(
    registry, fault_proxy, registry_store, repository
):
    proxy = fault_proxy(registry.host)
    names = [f"{proxy.host}/{repository}{suffix}" for suffix in (":1", ":2", "-other:1")]
    registry_store.check_write(names)
    assert len(proxy.requests("POST", "/blobs/uploads/")) == 2
    assert len(proxy.requests("DELETE", "/blobs/uploads/")) == 2
    assert registry_store.find(names[0]) is None


@pytest.mark.requirement("PLAT-ANA-028")
def test_a_repository_that_may_not_be_written_is_refused_before_the_build(token_registry, store_with, repository):
    name = f"{token_registry.host}/{repository}"
    with pytest.raises(AccessDeniedError, match=token_registry.host):
        store_with(token_registry.host, "reader", "password of the reader").check_write([name])
    store_with(token_registry.host, token_registry.username, token_registry.password).check_write([name])


def test_a_digest_can_not_be_written_to(registry_store):
    with pytest.raises(InvalidInputError, match="an image is written to a tag"):
        registry_store.check_write([f"reg.example/app@sha256:{'0' * 64}"])


def test_a_base_in_a_private_repository_is_mounted_where_the_user_may_read_it(
    token_registry, store_with, repository, tar, new_image
):
    push_image(token_registry, f"{repository}-run")
    store = store_with(token_registry.host, token_registry.username, token_registry.password)
    base = store.find(f"{token_registry.host}/{repository}-run")
    written = store.write(new_image(tar(a="1"), base=base), [f"{token_registry.host}/{repository}"])
    assert written.failures == {}
    assert pull_files(token_registry, repository)[-1] == {"a": b"1"}


def test_an_image_is_deleted_by_its_reference(registry, registry_store, repository, tar, new_image):
    name = f"{registry.host}/{repository}:1"
    written = registry_store.write(new_image(tar(a="1")), [name])
    registry_store.delete(written.reference)
    assert registry_store.find(name) is None
    assert registry_store.find(written.reference) is None


def test_a_refused_deletion_is_an_error(registry, fault_proxy, registry_store, repository, tar, new_image):
    proxy = fault_proxy(registry.host)
    written = registry_store.write(new_image(tar(a="1")), [f"{proxy.host}/{repository}"])
    proxy.fault(Status(405), method="DELETE", path="/manifests/", times=None)
    with pytest.raises(RegistryError):
        registry_store.delete(written.reference)
