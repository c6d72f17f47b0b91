"""What every cache promises, asked of the one in memory, of the one in a directory and of those in images."""

import hashlib
import itertools
from dataclasses import dataclass

import pytest

from lifecycle.cache.image import ImageCache
from lifecycle.cache.volume import VolumeCache
from lifecycle.errors import CacheEntryNotFoundError, CacheError, VerificationError
from lifecycle.images.layout import LayoutStore
from lifecycle.layers.blob import write_blob
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata
from lifecycle.oci.digest import DiffId
from lifecycle.testing.cache import MemoryCache
from lifecycle.testing.images import MemoryImages

NUMBERS = itertools.count()
MISSING = DiffId("sha256:" + "0" * 64)


@dataclass
class Tar:
    data: bytes

    def chunks(self):
        for start in range(0, len(self.data), 700):
            yield self.data[start : start + 700]

    @property
    def diff_id(self):
        return DiffId("sha256:" + hashlib.sha256(self.data).hexdigest())


def described(*tars):
    layers = {f"layer-{n}": BuildpackLayer(sha=tar.diff_id, cache=True, data={"n": 1.0}) for n, tar in enumerate(tars)}
    return CacheMetadata(buildpacks=(BuildpackLayers(key="a/b", version="1", layers=layers),))


@pytest.fixture(params=["memory", "volume", "image in memory", "image in a layout", "image in a registry"])
def cache(request, tmp_path):
    name = "reg.example/cache"
    match request.param:
        case "memory":
            return MemoryCache()
        case "volume":
            return VolumeCache(tmp_path)
        case "image in memory":
            images = MemoryImages()
        case "image in a layout":
            images = LayoutStore(tmp_path / "layouts")
        case "image in a registry":
            images = request.getfixturevalue("registry_store")
            name = f"{request.getfixturevalue('registry').host}/cache-contract/{next(NUMBERS)}"
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    return ImageCache(name, images=images, work_dir=work_dir)


def fill(cache, *tars):
    transaction = cache.begin()
    for tar in tars:
        transaction.add(tar, tar.diff_id)
    transaction.commit(described(*tars))


def content(cache, tar):
    return b"".join(cache.layer(tar.diff_id))


ONE, TWO = Tar(b"one" * 1000), Tar(b"two" * 1000)


def test_a_new_cache_is_empty(cache):
    assert cache.metadata() == CacheMetadata()
    with pytest.raises(CacheEntryNotFoundError, match="failed to find cache layer with SHA"):
        list(cache.layer(MISSING))


def test_what_was_added_is_there_after_the_commit_only(cache):
    transaction = cache.begin()
    transaction.add(ONE, ONE.diff_id)
    transaction.add(ONE, ONE.diff_id)
    with pytest.raises(CacheEntryNotFoundError):
        content(cache, ONE)
    transaction.commit(described(ONE))
    assert content(cache, ONE) == ONE.data
    assert cache.metadata() == described(ONE)


def test_a_commit_keeps_what_was_reused_and_drops_the_rest(cache):
    fill(cache, ONE, TWO)
    transaction = cache.begin()
    transaction.reuse(TWO.diff_id)
    transaction.commit(described(TWO))
    assert content(cache, TWO) == TWO.data
    with pytest.raises(CacheEntryNotFoundError):
        content(cache, ONE)


def test_a_layer_that_is_stored_already_is_added_from_its_file(cache, tmp_path):
    blob = write_blob(ONE, tmp_path)
    transaction = cache.begin()
    transaction.add_blob(blob)
    transaction.add(ONE, ONE.diff_id)
    transaction.commit(described(ONE))
    assert blob.path.exists()
    blob.path.unlink()
    assert content(cache, ONE) == ONE.data


def test_what_is_missing_can_not_be_reused(cache):
    with pytest.raises(CacheEntryNotFoundError):
        cache.begin().reuse(MISSING)


def test_bytes_that_are_not_those_of_the_diff_id_are_refused(cache):
    transaction = cache.begin()
    with pytest.raises(VerificationError):
        transaction.add(TWO, ONE.diff_id)
    transaction.commit(CacheMetadata())
    with pytest.raises(CacheEntryNotFoundError):
        content(cache, ONE)


def test_nothing_can_be_changed_after_the_commit(cache, tmp_path):
    blob = write_blob(ONE, tmp_path)
    transaction = cache.begin()
    transaction.commit(CacheMetadata())
    transaction.abort()
    for change in (
        lambda: transaction.add(ONE, ONE.diff_id),
        lambda: transaction.add_blob(blob),
        lambda: transaction.reuse(ONE.diff_id),
        lambda: transaction.commit(CacheMetadata()),
    ):
        with pytest.raises(CacheError, match="cache cannot be modified after commit"):
            change()


def test_an_aborted_transaction_changes_nothing(cache):
    fill(cache, ONE)
    transaction = cache.begin()
    transaction.add(TWO, TWO.diff_id)
    transaction.abort()
    assert content(cache, ONE) == ONE.data
    assert cache.metadata() == described(ONE)
