"""Builders whose zlib differs end with one manifest."""

from dataclasses import replace

import pytest

from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.image_outcome import image_key, settle_image
from lifecycle.images.layout import LayoutStore
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.oci.config import ImageConfig


class Tar:
    def __init__(self, text):
        self.text = text

    def chunks(self):
        yield self.text.encode().ljust(51200, b"\0")


@pytest.fixture
def image(tmp_path):
    def made(compression="gzip", level=1, text="layer"):
        directory = tmp_path / f"{compression}{level}{text}"
        directory.mkdir(exist_ok=True)
        layers = tuple(
            write_blob(Tar(f"{text} {number}"), directory, compression=compression, level=level) for number in (1, 2)
        )
        return NewImage(None, layers, ImageConfig("amd64", "linux", tuple(layer.diff_id for layer in layers)))

    return made


def written(tmp_path, name, image):
    store = LayoutStore(tmp_path / name)
    store.write(image, ["app"])
    found = store.find("app")
    for diff_id in found.config.diff_ids:
        assert b"".join(found.layer(diff_id))
    return found.manifest


def test_the_first_builder_keeps_its_blobs_and_the_others_take_them(tmp_path, image):
    repository = FileRepository(tmp_path / "shared")
    one, other = image(level=1), image(level=9)
    assert written(tmp_path, "before", one) != written(tmp_path, "beside", other)
    settled = settle_image(repository, one)
    assert settled.layers == one.layers
    assert written(tmp_path, "one", settled) == written(tmp_path, "other", settle_image(repository, other))


def test_equal_blobs_are_the_builders_own(tmp_path, image):
    repository = FileRepository(tmp_path / "shared")
    settle_image(repository, image())
    again = image()
    assert settle_image(repository, again).layers == again.layers


def test_another_content_is_another_image(tmp_path, image):
    repository = FileRepository(tmp_path / "shared")
    settle_image(repository, image())
    other = image(text="other", level=9)
    assert settle_image(repository, other).layers == other.layers


def test_labels_and_base_count_and_compression_does_not(image):
    one = image()
    assert image_key(one) == image_key(image(level=9))
    assert image_key(one) != image_key(replace(one, config=replace(one.config, run={"User": "1"})))


def test_a_record_whose_blob_is_gone_is_closed_and_the_next_builders_end_with_one_image_again(tmp_path, image, caplog):
    repository = FileRepository(tmp_path / "shared")
    settle_image(repository, image())
    for path in (tmp_path / "shared" / "blobs" / "sha256").iterdir():
        if path.read_bytes().startswith(b"\x1f\x8b"):
            path.unlink()
    one = image(level=9)
    assert settle_image(repository, one).layers == one.layers
    assert "lacks the blob" in caplog.text
    caplog.clear()
    assert written(tmp_path, "one", one) == written(tmp_path, "other", settle_image(repository, image()))
    assert not caplog.text
