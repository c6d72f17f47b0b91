"""The image store and the cache in memory keep their contracts."""

from dataclasses import dataclass, replace

import pytest

from lifecycle.errors import CacheEntryNotFoundError, CorruptImageError, ImageError, VerificationError
from lifecycle.images.store import Image, ImageStore, NewImage, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.model.lifecycle_metadata import CacheMetadata, LayerSha
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.testing.cache import MemoryCache
from lifecycle.testing.images import MemoryImages


@dataclass(frozen=True)
class Bytes:
    data: bytes

    def chunks(self):
        yield self.data


ONE, TWO = b"one" * 1000, b"two" * 1000
DIFF_ONE, DIFF_TWO = DiffId(digest_of(ONE)), DiffId(digest_of(TWO))


def config(*diff_ids):
    return ImageConfig(architecture="amd64", os="linux", diff_ids=diff_ids)


def test_an_image_that_was_written_is_found_by_every_name_and_by_its_reference(tmp_path):
    images: ImageStore = MemoryImages()
    blob = write_blob(Bytes(ONE), tmp_path)
    written = images.write(NewImage(base=None, layers=(blob,), config=config(DIFF_ONE)), ("r/a", "r/b"))
    assert written.names == ("r/a", "r/b")
    for name in ("r/a", "r/b", written.reference):
        image: Image | None = images.find(name)
        assert image is not None
        assert b"".join(image.layer(DIFF_ONE)) == ONE
        assert image.manifest.layers[0].digest == blob.digest
    assert images.find("r/c") is None
    assert written.digest == digest_of(image.manifest.dumps())
    assert written.manifest_size == len(image.manifest.dumps())


def test_layers_of_the_base_and_reused_ones_keep_their_descriptors(tmp_path):
    images = MemoryImages()
    base = images.put("base", layers=[ONE])
    previous = images.put("previous", layers=[TWO])
    images.write(
        NewImage(base=base, layers=(ReusedLayer(previous, DIFF_TWO),), config=config(DIFF_ONE, DIFF_TWO)),
        ("app",),
    )
    app = images.find("app")
    assert app.manifest.layers == (*base.manifest.layers, *previous.manifest.layers)
    assert b"".join(app.layer(DIFF_TWO)) == TWO


def test_a_layer_that_is_missing_or_wrong_is_noticed():
    image = MemoryImages().put("a", layers=[ONE])
    with pytest.raises(CorruptImageError):
        image.layer(DIFF_TWO)
    with pytest.raises(CorruptImageError):
        b"".join(replace(image, blobs={}).layer(DIFF_ONE))
    broken = replace(image, blobs={image.manifest.layers[0].digest: TWO})
    with pytest.raises(VerificationError):
        b"".join(broken.layer(DIFF_ONE))


def test_a_configuration_that_does_not_list_the_layers_is_refused(tmp_path):
    blob = write_blob(Bytes(ONE), tmp_path)
    with pytest.raises(ImageError, match="does not list its layers"):
        MemoryImages().write(NewImage(base=None, layers=(blob,), config=config()), ("a",))


def test_names_that_may_not_be_read_or_written_fail():
    images = MemoryImages(unwritable=frozenset({"a"}), unreadable=frozenset({"b"}))
    images.put("b")
    with pytest.raises(ImageError, match="may not be written"):
        images.check_write(["c", "a"])
    assert not images.readable("b")
    written = images.write(NewImage(base=None, layers=(), config=config()), ("a", "c"))
    assert (written.names, dict(written.failures)) == (("c",), {"a": "may not be written"})
    assert not images.readable("a")


def test_a_cache_changes_when_it_is_committed():
    cache = MemoryCache()
    transaction = cache.begin()
    transaction.add(Bytes(ONE), DIFF_ONE)
    assert cache.layers == {}
    transaction.commit(CacheMetadata(sbom=LayerSha(sha=DIFF_ONE)))
    transaction.abort()
    assert b"".join(cache.layer(DIFF_ONE)) == ONE
    assert cache.metadata().sbom.sha == DIFF_ONE
    later = cache.begin()
    later.reuse(DIFF_ONE)
    later.abort()
    assert list(cache.layers) == [DIFF_ONE]


def test_a_cache_refuses_what_is_not_there_or_wrong():
    cache = MemoryCache()
    transaction = cache.begin()
    with pytest.raises(CacheEntryNotFoundError):
        transaction.reuse(DIFF_ONE)
    with pytest.raises(VerificationError):
        transaction.add(Bytes(ONE), DIFF_TWO)
    cache.layers[DIFF_ONE] = TWO
    with pytest.raises(VerificationError):
        b"".join(cache.layer(DIFF_ONE))
