"""The launch cache beside a daemon."""

import hashlib
import io
import tarfile
from dataclasses import replace
from itertools import count

import pytest

from lifecycle.cache.launch import LaunchCachedStore
from lifecycle.cache.volume import VolumeCache
from lifecycle.errors import CorruptImageError
from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.oci.digest import DiffId
from lifecycle.oci.manifest import DOCKER_LAYER, Descriptor
from lifecycle.testing.images import MemoryImages

NUMBERS = count()


class Layer:
    def __init__(self, data):
        self.data = data
        self.diff_id = DiffId("sha256:" + hashlib.sha256(data).hexdigest())

    def chunks(self):
        yield self.data


ONE, TWO, THREE = Layer(b"1" * 5000), Layer(b"2" * 5000), Layer(b"3" * 5000)


class Watched:
    """An image as a daemon tells of it: no blobs, and whoever reads a layer is noted."""

    def __init__(self, image, reads):
        self._image, self._reads = image, reads
        self.name, self.reference, self.config = image.name, image.reference, image.config

    @property
    def manifest(self):
        layers = tuple(
            Descriptor(DOCKER_LAYER, sum(map(len, self._image.layer(each))), each) for each in self.config.diff_ids
        )
        return replace(self._image.manifest, layers=layers)

    def layer(self, diff_id):
        self._reads.append(diff_id)
        return self._image.layer(diff_id)


class Daemon(MemoryImages):
    """A store that reports as a daemon does and counts what is read from it."""

    def __init__(self, **fields):
        super().__init__(has_digests=False, **fields)
        self.reads = []

    def find(self, name):
        image = super().find(name)
        return None if image is None else Watched(image, self.reads)


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "launch-cache"
    path.mkdir()
    return path


@pytest.fixture
def store(daemon, directory):
    return LaunchCachedStore(daemon, VolumeCache(directory))


@pytest.fixture
def new_image(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()

    def make(*layers, base=None):
        start = base or scratch_image(architecture="amd64")
        stored = tuple(each if isinstance(each, ReusedLayer) else write_blob(each, blobs) for each in layers)
        diff_ids = (*start.config.diff_ids, *(each.diff_id for each in stored))
        return NewImage(base, stored, replace(start.config, diff_ids=diff_ids))

    return make


def cached(directory):
    return {path.name: path.read_bytes() for path in (directory / "committed").iterdir()}


def files(*layers):
    return {f"{layer.diff_id}.tar": layer.data for layer in layers}


def read(image, layer):
    return b"".join(image.layer(layer.diff_id))


def test_new_layers_are_kept_and_no_metadata_with_them(store, directory, daemon, new_image):
    daemon.put("run", layers=[THREE.data])
    store.write(new_image(ONE, TWO, base=store.find("run")), ["app"])
    assert cached(directory) == files(ONE, TWO)


def test_layers_are_read_from_the_cache_and_those_of_the_base_from_the_daemon(store, daemon, new_image):
    daemon.put("run", layers=[THREE.data])
    store.write(new_image(ONE, base=store.find("run")), ["app"])
    daemon.reads.clear()
    image = store.find("app")
    assert (read(image, ONE), read(image, THREE)) == (ONE.data, THREE.data)
    assert daemon.reads == [THREE.diff_id]
    assert image.layer_size(ONE.diff_id) == len(ONE.data)
    assert image.layer_size(THREE.diff_id) is None


def test_reused_layers_stay_and_others_go(store, directory, daemon, new_image):
    store.write(new_image(ONE, TWO), ["app"])
    previous = store.find("app")
    store.write(new_image(ReusedLayer(previous, ONE.diff_id), THREE), ["app"])
    assert cached(directory) == files(ONE, THREE)
    assert daemon.reads == []


def test_a_reused_layer_that_the_cache_lacks_is_fetched_into_it(store, directory, daemon, new_image):
    daemon.write(new_image(ONE), ["app"])
    store.write(new_image(ReusedLayer(store.find("app"), ONE.diff_id), TWO), ["app"])
    assert cached(directory) == files(ONE, TWO)


def test_a_layer_that_rotted_comes_from_the_daemon_and_is_mended(store, directory, daemon, new_image, caplog):
    store.write(new_image(ONE), ["app"])
    (directory / "committed" / f"{ONE.diff_id}.tar").write_bytes(b"rotten")
    again = LaunchCachedStore(daemon, VolumeCache(directory))
    previous = again.find("app")
    assert read(previous, ONE) == ONE.data
    assert "Ignoring layer of launch cache: expected layer contents to have SHA" in caplog.text
    again.write(new_image(ReusedLayer(previous, ONE.diff_id)), ["app"])
    assert cached(directory) == files(ONE)


def test_an_image_that_was_not_written_leaves_the_cache(directory, new_image):
    daemon = Daemon(unwritable=frozenset({"bad"}))
    store = LaunchCachedStore(daemon, VolumeCache(directory))
    store.write(new_image(ONE), ["app", "bad"])
    written = store.write(new_image(TWO), ["bad", "app"])
    assert written.names == ("app",)
    assert cached(directory) == files(ONE)


def test_a_cache_that_can_not_be_written_is_a_warning(store, directory, new_image, monkeypatch, caplog):
    monkeypatch.setattr("lifecycle.cache.volume.Staging", _no_room)
    written = store.write(new_image(ONE), ["app"])
    assert written.names == ("app",)
    assert f"Failed to update launch cache: {directory}: can't be written: No space left on device" in caplog.text
    assert cached(directory) == {}


def _no_room(parent):
    raise OSError(28, "No space left on device")


def test_a_layer_that_no_image_has_is_not_given_even_if_cached(store, new_image):
    store.write(new_image(ONE), ["app"])
    store.write(new_image(TWO), ["other"])
    with pytest.raises(CorruptImageError):
        read(store.find("app"), TWO)


def test_the_store_passes_on_what_it_does_not_keep(store, daemon, new_image):
    assert store.find("none") is None
    assert not store.readable("none")
    store.check_write(["app"])
    written = store.write(new_image(ONE), ["app"])
    image = store.find("app")
    assert (image.name, image.reference) == ("app", written.reference)
    assert image.config == daemon.find("app").config
    assert image.manifest == daemon.find("app").manifest


class NeverSaves:
    """A daemon that is not asked for the bytes of an image."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        assert name != "save"
        return getattr(self._client, name)


def test_a_real_daemon_is_not_asked_for_layers_that_the_cache_has(dockerd, directory, new_image):
    name = f"test-launch-cache-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}/app:1"
    store = LaunchCachedStore(DaemonStore(NeverSaves(dockerd.client)), VolumeCache(directory))
    layers = [_tar(f"{name} {n}") for n in range(3)]
    store.write(new_image(*layers[:2]), [name])
    previous = store.find(name)
    written = store.write(new_image(layers[2], ReusedLayer(previous, layers[1].diff_id)), [name])
    assert written.names == (name,)
    assert cached(directory) == files(layers[2], layers[1])
    assert read(store.find(name), layers[1]) == layers[1].data


def _tar(text):

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return Layer(buffer.getvalue())
