"""An image for two platforms, pushed to Debian's docker-registry and read by skopeo."""

import json

import pytest

from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.dist.publish import push_images
from lifecycle.dist.target import Target
from lifecycle.errors import InvalidInputError
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.layers.members import Members, made_directory
from lifecycle.oci.config import ImageConfig
from parts.skopeo import skopeo


@pytest.fixture
def images(tmp_path):
    def image(arch):
        blob = write_blob(Members((made_directory(f"/{arch}".encode()),)), tmp_path)
        return NewImage(None, (blob,), ImageConfig(arch, "linux", (blob.diff_id,)))

    return {target: image(target.arch) for target in Target}


def test_skopeo_finds_in_one_tag_the_image_of_each_platform(images, registry):
    remote = RemoteStores({})
    name = f"{registry.host}/dist/lifecycle:1"
    digest = push_images(name, images, store=remote.registry, client=remote.client)
    index = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}").stdout)
    assert [each["platform"] for each in index["manifests"]] == [
        {"architecture": target.arch, "os": "linux"} for target in Target
    ]
    for target, image in images.items():
        for found in (f"{name}-linux-{'x86-64' if target.arch == 'amd64' else 'arm64'}", name, f"{name}@{digest}"):
            place = found.replace(":1@", "@")
            chosen = ("--override-arch", target.arch, "inspect", "--config", "--tls-verify=false", f"docker://{place}")
            config = json.loads(skopeo(*chosen).stdout)
            assert (config["architecture"], config["rootfs"]["diff_ids"]) == (target.arch, list(image.config.diff_ids))


def test_media_types_are_dockers_for_kpack_mixes_them_with_its_own_and_crio_takes_no_mixture(images, registry):
    remote = RemoteStores({})
    name = f"{registry.host}/dist/types:1"
    push_images(name, images, store=remote.registry, client=remote.client)

    def raw(place):
        return json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}").stdout)

    index, image = raw(name), raw(f"{name}-linux-arm64")
    kinds = [index, *index["manifests"], image, image["config"], *image["layers"]]
    assert all(each["mediaType"].startswith("application/vnd.docker.") for each in kinds)
    assert image["layers"]


def test_the_index_of_the_same_images_is_the_same(images, registry):
    remote = RemoteStores({})
    first, second = (
        push_images(f"{registry.host}/dist/{name}", images, store=remote.registry, client=remote.client)
        for name in ("first:1", "second:2")
    )
    assert first == second


def test_a_name_with_a_digest_is_no_place_for_an_image(images):
    with pytest.raises(InvalidInputError):
        push_images(f"localhost/lifecycle@sha256:{'0' * 64}", images, store=None, client=None)
