"""What every store of images promises, asked of each of them."""

import itertools
import os
from dataclasses import dataclass, replace

import pytest

from lifecycle.errors import CorruptImageError, LifecycleError, VerificationError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.docker_archive import DockerArchiveStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.store import BlobSource, ImageStore, NewImage, ReusedLayer, WrittenImage
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.testing.images import MemoryImages

NAMES = itertools.count()


@dataclass(frozen=True)
class Place:
    """A store and how its names begin and end."""

    store: ImageStore
    prefix: str = "reg.example/"
    tag: str = ":1"
    has_blobs: bool = True
    knows_readable: bool = True

    def name(self, text):
        return f"{self.prefix}{text}{self.tag}"


@pytest.fixture(params=["memory", "layouts", "directory", "archive", "docker archive", "registry", "dockerd", "podman"])
def place(request, tmp_path):
    platform = ImagePlatform()
    match request.param:
        case "memory":
            return Place(MemoryImages())
        case "layouts":
            return Place(LayoutStore(tmp_path / "layouts", platform=platform))
        case "directory":
            return Place(DirectoryStore(tmp_path / "directory", platform=platform), prefix="", tag="")
        case "archive":
            return Place(ArchiveStore(tmp_path / "images.tar", platform=platform), prefix="", tag="")
        case "docker archive":
            return Place(DockerArchiveStore(tmp_path / "images.tar"), has_blobs=False)
        case "dockerd" | "podman":
            daemon = request.getfixturevalue(request.param)
            prefix = f"reg.example/contract-{os.getpid()}-{next(NAMES)}/"
            return Place(DaemonStore(daemon.client), prefix=prefix, has_blobs=False, knows_readable=False)
        case "registry":
            store = request.getfixturevalue("registry_store")
            host = request.getfixturevalue("registry").host
            return Place(store, prefix=f"{host}/contract-{next(NAMES)}/")


@pytest.fixture
def store(place):
    return place.store


@pytest.fixture
def only_one(request):
    """Skip where a write replaces all that is there."""
    if {"archive", "docker archive"} & set(request.node.callspec.params.values()):
        pytest.skip("an archive holds the images of one write")


def written_or_failed(store, image, names):
    """Write, with a raised error told as failures: stores that write all names in one step raise it."""
    try:
        return store.write(image, names)
    except LifecycleError as error:
        return WrittenImage((), "", "", failures=dict.fromkeys(names, str(error)))


def test_what_is_not_there_is_not_found(place, store):
    assert store.find(place.name("none")) is None
    assert store.readable(place.name("none")) is not place.knows_readable


def test_what_was_written_is_found_by_every_name_and_by_its_reference(place, store, tar, new_image, content):
    first, second = tar(a="1"), tar(b="2" * 100_000)
    # As an export sets it; podman puts the time of the load where an image has none.
    new = new_image(first, second, run={"Labels": {"k": "<v>"}, "Env": ["A=b"]}, created="1980-01-01T00:00:01Z")
    names = [place.name("one"), place.name("two")]
    store.check_write(names)
    written = store.write(new, names)
    assert (written.names, dict(written.failures)) == (tuple(names), {})
    assert written.image_id == digest_of(new.config.dumps())
    for name in (*names, written.reference):
        image = store.find(name)
        assert image.config.dumps() == new.config.dumps()
        assert image.manifest.config.digest == written.image_id
        assert content(image) == [first.data, second.data]
        assert store.readable(name)
    assert store.find(names[0]).reference == written.reference
    assert store.find(names[0]).name == names[0]


def test_a_store_that_reports_a_digest_reports_that_of_the_manifest(place, store, tar, new_image):
    written = store.write(new_image(tar(a="1")), [place.name("app")])
    if not written.digest:
        pytest.skip("this store reports no digest")
    data = store.find(place.name("app")).manifest.dumps()
    assert (written.digest, written.manifest_size) == (digest_of(data), len(data))
    assert written.reference.endswith(f"@{written.digest}")


def test_the_same_image_written_again_is_the_same(place, store, tar, new_image):
    first = store.write(new_image(tar(a="1")), [place.name("app")])
    again = store.write(new_image(tar(a="1")), [place.name("app")])
    assert again == first


def test_a_name_gets_the_newest_image(place, store, tar, new_image, content):
    old, new = tar(a="old"), tar(a="new")
    store.write(new_image(old), [place.name("app")])
    store.write(new_image(new), [place.name("app")])
    assert content(store.find(place.name("app"))) == [new.data]


@pytest.mark.usefixtures("only_one")
def test_the_layers_of_a_base_keep_their_descriptors(place, store, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    store.write(new_image(base_tar), [place.name("run")])
    base = store.find(place.name("run"))
    store.write(new_image(app, base=base), [place.name("app")])
    image = store.find(place.name("app"))
    assert image.manifest.layers[0] == base.manifest.layers[0]
    assert image.manifest.media_type == base.manifest.media_type
    assert content(image) == [base_tar.data, app.data]


def test_a_base_of_another_store_is_copied_as_it_is_stored(place, store, tmp_path, tar, new_image, content):
    if not place.has_blobs:
        pytest.skip("this store has no blobs")
    base_tar, app = tar(base="b"), tar(app="a")
    elsewhere = DirectoryStore(tmp_path / "elsewhere", platform=ImagePlatform())
    elsewhere.write(new_image(base_tar), ["run"])
    base = elsewhere.find("run")
    store.write(new_image(app, base=base), [place.name("app")])
    image = store.find(place.name("app"))
    assert image.manifest.layers[0] == base.manifest.layers[0]
    assert content(image) == [base_tar.data, app.data]


class WithoutBlobs:
    """An image as a daemon has it: layers are uncompressed or nothing."""

    def __init__(self, image):
        self.name, self.reference, self.config, self.manifest = image.name, "1a2b3c", image.config, image.manifest
        self.layer = image.layer


def test_a_base_that_has_no_blobs_is_copied_by_its_contents(place, store, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    base = WithoutBlobs(MemoryImages().put("run", layers=[base_tar.data]))
    assert not isinstance(base, BlobSource)
    new = new_image(app, base=base)
    written = store.write(new, [place.name("app")])
    assert written.image_id == digest_of(new.config.dumps())
    assert content(store.find(place.name("app"))) == [base_tar.data, app.data]


def test_a_layer_of_the_previous_image_is_reused_as_it_is_stored(place, store, tar, new_image, content):
    kept, app = tar(k="k"), tar(app="2")
    store.write(new_image(kept, tar(app="1")), [place.name("app")])
    previous = store.find(place.name("app"))
    store.write(new_image(app, reused=[ReusedLayer(previous, kept.diff_id)]), [place.name("app")])
    image = store.find(place.name("app"))
    assert image.manifest.layers[1] == previous.manifest.layers[0]
    assert content(image) == [app.data, kept.data]


def test_equal_layers_may_stand_twice(place, store, tar, new_image, content):
    layer = tar(a="1")
    store.write(new_image(layer, layer), [place.name("app")])
    assert content(store.find(place.name("app"))) == [layer.data, layer.data]


def test_a_layer_that_the_image_lacks_is_told(place, store, tar, new_image):
    store.write(new_image(tar(a="1")), [place.name("app")])
    with pytest.raises(CorruptImageError):
        list(store.find(place.name("app")).layer(DiffId("sha256:" + "0" * 64)))


def test_blobs_are_given_as_they_are_stored(place, store, tar, new_image):
    new = new_image(tar(a="1"))
    store.write(new, [place.name("app")])
    image = store.find(place.name("app"))
    if not isinstance(image, BlobSource):
        pytest.skip("this store has no blobs")
    (descriptor,) = image.manifest.layers
    assert image.has_blob(descriptor)
    assert b"".join(image.blob(descriptor)) == new.layers[0].path.read_bytes()
    absent = replace(descriptor, digest="sha256:" + "0" * 64)
    assert not image.has_blob(absent)
    with pytest.raises(CorruptImageError):
        list(image.blob(absent))
    with pytest.raises(VerificationError):
        list(image.blob(replace(descriptor, size=descriptor.size - 1)))


def test_an_image_that_can_not_be_written_leaves_the_old_one(place, store, tar, new_image):
    name = place.name("app")
    old = store.write(new_image(tar(a="old")), [name])
    new = new_image(tar(a="fine"), tar(a="gone"))
    new.layers[1].path.unlink()
    written = written_or_failed(store, new, [name])
    assert (written.names, list(written.failures)) == ((), [name])
    assert store.find(name).reference == old.reference


def test_a_configuration_that_does_not_list_the_layers_is_refused(place, store, tar, new_image):
    new = new_image(tar(a="1"))
    written = written_or_failed(store, NewImage(None, (), new.config), [place.name("app")])
    assert "does not list its layers" in written.failures[place.name("app")]
    assert store.find(place.name("app")) is None
