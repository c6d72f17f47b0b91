"""The cache in an image: its format, what it makes of broken images, and what it leaves behind."""

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lifecycle.cache.image import ImageCache, image_cache
from lifecycle.errors import CacheEntryNotFoundError, CacheError, ImageError, VerificationError
from lifecycle.images.layout import LayoutStore
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.digest import DiffId
from lifecycle.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST
from lifecycle.testing.images import MemoryImages

NAME = "reg.example/cache"
LABEL = "io.buildpacks.lifecycle.cache.metadata"


@dataclass
class Tar:
    data: bytes

    def chunks(self):
        yield self.data

    @property
    def diff_id(self):
        return DiffId("sha256:" + hashlib.sha256(self.data).hexdigest())


OLD, NEW = Tar(b"old" * 5000), Tar(b"new" * 5000)


def described(*tars):
    layers = {f"deps{n}": BuildpackLayer(sha=tar.diff_id, cache=True, data={"v": "<1>"}) for n, tar in enumerate(tars)}
    return CacheMetadata(buildpacks=(BuildpackLayers(key="a/b", version="1.2", layers=layers),))


def fill(cache, *tars):
    transaction = cache.begin()
    for tar in tars:
        transaction.add(tar, tar.diff_id)
    transaction.commit(described(*tars))


@pytest.fixture
def images(tmp_path):
    return LayoutStore(tmp_path / "layouts")


@pytest.fixture
def work_dir(tmp_path):
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def open_cache(images, work_dir):
    return lambda: ImageCache(NAME, images=images, work_dir=work_dir)


def blob_path(image, descriptor):
    return Path(image.reference.rpartition("@")[0], "blobs", descriptor.digest.replace(":", "/"))


def test_the_configuration_has_the_bytes_of_the_reference(open_cache, images):
    fill(open_cache(), OLD, NEW)
    label = (
        '{"sbom":{"sha":""},"buildpacks":[{"key":"a/b","version":"1.2","layers":{'
        f'"deps0":{{"sha":"{OLD.diff_id}","data":{{"v":"\\u003c1\\u003e"}},"build":false,"launch":false,"cache":true}},'
        f'"deps1":{{"sha":"{NEW.diff_id}","data":{{"v":"\\u003c1\\u003e"}},"build":false,"launch":false,"cache":true}}'
        "}}]}"
    )
    assert images.find(NAME).config.dumps().decode() == (
        '{"architecture":"","created":"1980-01-01T00:00:01Z",'
        '"history":[{"created":"1980-01-01T00:00:01Z"},{"created":"1980-01-01T00:00:01Z"}],"os":"linux",'
        f'"rootfs":{{"type":"layers","diff_ids":["{OLD.diff_id}","{NEW.diff_id}"]}},'
        f'"config":{{"Labels":{{"{LABEL}":{json.dumps(label)}}}}}}}'
    )


def test_the_types_are_those_of_oci(open_cache, images):
    fill(open_cache(), OLD)
    manifest = images.find(NAME).manifest
    assert (manifest.media_type, manifest.config.media_type) == (OCI_MANIFEST, OCI_CONFIG)
    assert [layer.media_type for layer in manifest.layers] == [OCI_LAYER_GZIP]


def test_an_empty_cache_has_the_empty_layer_of_the_reference(open_cache, images):
    open_cache().begin().commit(CacheMetadata())
    image = images.find(NAME)
    empty = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    assert image.config.diff_ids == (empty,)
    assert [(layer.digest, layer.size) for layer in image.manifest.layers] == [(empty, 1024)]
    assert image.config.dumps().decode() == (
        '{"architecture":"","created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"}],'
        f'"os":"linux","rootfs":{{"type":"layers","diff_ids":["{empty}"]}},'
        f'"config":{{"Labels":{{"{LABEL}":"{{\\"sbom\\":{{\\"sha\\":\\"\\"}},\\"buildpacks\\":null}}"}}}}}}'
    )
    assert open_cache().metadata() == CacheMetadata()


def test_a_kept_layer_keeps_its_descriptor_and_is_not_read(open_cache, images):
    fill(open_cache(), OLD)
    before = images.find(NAME)
    # Unreadable, but there: reading would fail.
    path = blob_path(before, before.manifest.layers[0])
    data = path.read_bytes()
    cache = open_cache()
    transaction = cache.begin()
    path.write_bytes(b"x" * len(data))
    transaction.reuse(OLD.diff_id)
    path.write_bytes(data)
    transaction.add(NEW, NEW.diff_id)
    transaction.commit(described(OLD, NEW))
    assert images.find(NAME).manifest.layers[0] == before.manifest.layers[0]
    assert b"".join(open_cache().layer(OLD.diff_id)) == OLD.data


def test_a_layer_that_the_app_export_stored_is_taken_as_it_is(open_cache, images, tmp_path):
    blob = write_blob(OLD, tmp_path, level=9)
    transaction = open_cache().begin()
    transaction.add_blob(blob)
    transaction.commit(described(OLD))
    assert images.find(NAME).manifest.layers[0].digest == blob.digest


def listed_twice(images, work_dir, *tars):
    """Write a cache as the reference does, where unchanged layers appear twice."""
    blobs = [write_blob(tar, work_dir) for tar in tars] * 2
    config = ImageConfig(
        architecture="",
        os="linux",
        diff_ids=tuple(blob.diff_id for blob in blobs),
        run={
            "Labels": {LABEL: json.dumps({"sbom": {"sha": ""}, "buildpacks": described(*tars).label()["buildpacks"]})}
        },
    )
    images.write(NewImage(None, tuple(blobs), config), [NAME])


def test_layers_that_the_reference_lists_twice_are_read_and_written_once(open_cache, images, work_dir):
    listed_twice(images, work_dir, OLD, NEW)
    cache = open_cache()
    assert cache.metadata() == described(OLD, NEW)
    assert b"".join(cache.layer(NEW.diff_id)) == NEW.data
    transaction = cache.begin()
    transaction.reuse(OLD.diff_id)
    transaction.reuse(OLD.diff_id)
    transaction.add(OLD, OLD.diff_id)
    transaction.commit(described(OLD))
    assert images.find(NAME).config.diff_ids == (OLD.diff_id,)


def test_a_layer_of_the_label_that_the_image_lacks_is_not_found(open_cache, images, work_dir):
    blob = write_blob(OLD, work_dir)
    label = json.dumps({"buildpacks": described(OLD, NEW).label()["buildpacks"]})
    config = ImageConfig(architecture="", os="linux", diff_ids=(blob.diff_id,), run={"Labels": {LABEL: label}})
    images.write(NewImage(None, (blob,), config), [NAME])
    cache = open_cache()
    assert cache.metadata() == described(OLD, NEW)
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data
    with pytest.raises(CacheEntryNotFoundError, match=f"failed to find cache layer with SHA '{NEW.diff_id}'"):
        list(cache.layer(NEW.diff_id))
    with pytest.raises(CacheEntryNotFoundError):
        cache.begin().reuse(NEW.diff_id)


def without(part):
    def damage(images, image):
        descriptor = {"config": image.manifest.config, "layer": image.manifest.layers[0]}[part]
        blob_path(image, descriptor).unlink()

    return damage


def without_manifest(images, image):
    path, _, digest = image.reference.rpartition("@")
    Path(path, "blobs", digest.replace(":", "/")).unlink()


def labelled(text):
    def damage(images, image):
        run = {"Labels": {} if text is None else {LABEL: text}}
        layers = tuple(ReusedLayer(image, diff_id) for diff_id in image.config.diff_ids)
        images.write(NewImage(None, layers, replace(image.config, run=run)), [NAME])

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        without_manifest,
        without("config"),
        without("layer"),
        labelled(None),
        labelled("{"),
        labelled('{"buildpacks":1}'),
    ],
    ids=["manifest", "config", "layer", "no label", "no JSON", "other JSON"],
)
def test_a_corrupt_image_is_ignored_and_replaced(open_cache, images, caplog, damage):
    fill(open_cache(), OLD)
    damage(images, images.find(NAME))
    cache = open_cache()
    with caplog.at_level(logging.WARNING):
        assert cache.metadata() == CacheMetadata()
        assert cache.metadata() == CacheMetadata()
    assert [record.getMessage() for record in caplog.records] == [
        'Ignoring cache image "reg.example/cache" because it was corrupt'
    ]
    with pytest.raises(CacheEntryNotFoundError):
        list(cache.layer(OLD.diff_id))
    with pytest.raises(CacheEntryNotFoundError):
        cache.begin().reuse(OLD.diff_id)
    fill(cache, NEW)
    assert open_cache().metadata() == described(NEW)


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: data[:20], lambda data: b"x" + data])
def test_a_changed_layer_is_noticed_at_the_end_of_reading(open_cache, images, change):
    fill(open_cache(), OLD)
    image = images.find(NAME)
    path = blob_path(image, image.manifest.layers[0])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(VerificationError):
        list(open_cache().layer(OLD.diff_id))


def test_bytes_that_are_not_those_of_the_diff_id_leave_no_file(open_cache, work_dir):
    transaction = open_cache().begin()
    with pytest.raises(VerificationError, match=f"expected layer contents to have SHA '{OLD.diff_id}'"):
        transaction.add(NEW, OLD.diff_id)
    assert [path for path in work_dir.rglob("*") if path.is_file()] == []


def test_nothing_is_left_in_the_work_directory(open_cache, work_dir):
    fill(open_cache(), OLD)
    transaction = open_cache().begin()
    transaction.add(NEW, NEW.diff_id)
    transaction.abort()
    assert list(work_dir.iterdir()) == []


def test_a_store_that_can_not_be_written_is_a_cache_error_and_the_old_content_stays(tmp_path, work_dir):
    images = MemoryImages()
    fill(ImageCache(NAME, images=images, work_dir=work_dir), OLD)
    images.unwritable = frozenset({NAME})
    cache = ImageCache(NAME, images=images, work_dir=work_dir)
    with pytest.raises(CacheError, match=r"reg\.example/cache: can't be written: may not be written"):
        fill(cache, NEW)
    assert cache.metadata() == described(OLD)
    assert list(work_dir.iterdir()) == []


def test_a_work_directory_that_is_not_there_is_a_cache_error(images, tmp_path):
    with pytest.raises(CacheError, match="can't be written: No such file or directory"):
        ImageCache(NAME, images=images, work_dir=tmp_path / "none").begin()


@dataclass(slots=True)
class DeletingImages(MemoryImages):
    """A store that can delete by reference, or refuses to."""

    deleted: list[str] = field(default_factory=list)
    keeps: bool = False

    def delete(self, reference):
        if self.keeps:
            raise ImageError("deletion is disabled", where=reference)
        self.deleted.append(reference)


@pytest.mark.parametrize("version", PLATFORM_APIS, ids=str)
def test_the_replaced_image_is_deleted_up_to_platform_api_0_12(version, work_dir):
    images = DeletingImages()

    def build(*tars):
        fill(image_cache(NAME, images=images, api=PlatformApi(version), work_dir=work_dir), *tars)

    build(OLD)
    old = images.find(NAME).reference
    build(OLD)
    assert images.deleted == []
    build(NEW)
    assert images.deleted == ([old] if str(version) in {"0.7", "0.8", "0.9", "0.10", "0.11", "0.12"} else [])


def test_an_image_that_can_not_be_deleted_is_a_warning(work_dir, caplog):
    images = DeletingImages(keeps=True)
    cache = ImageCache(NAME, images=images, work_dir=work_dir, delete_previous=True)
    fill(cache, OLD)
    old = images.find(NAME).reference
    fill(cache, NEW)
    assert [record.getMessage() for record in caplog.records] == [
        f"Unable to delete cache image: {old}: deletion is disabled"
    ]
    assert cache.metadata() == described(NEW)


def test_a_store_without_deletion_keeps_the_old_image(images, work_dir, caplog):
    cache = ImageCache(NAME, images=images, work_dir=work_dir, delete_previous=True)
    fill(cache, OLD)
    fill(cache, NEW)
    assert cache.metadata() == described(NEW)
    assert caplog.records == []
