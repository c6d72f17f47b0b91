"""Images in an OCI archive."""

import gzip
import json
import subprocess
import tarfile

import pytest

from lifecycle.errors import CorruptImageError, ImageError, VerificationError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.store import ReusedLayer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "app.tar"


@pytest.fixture
def store(path):
    return ArchiveStore(path, platform=ImagePlatform())


def test_what_was_written_is_found(store, path, tar, new_image, content):
    first, second = tar(a="1"), tar(b="2" * 3_000_000)
    new = new_image(first, second)
    written = store.write(new, ["v1", "latest"])
    for name in ("v1", "latest", "", written.reference):
        image = store.find(name)
        assert image.config == new.config
        assert content(image) == [first.data, second.data]
    assert written.reference.startswith(f"{path}@sha256:")
    assert image.reference == written.reference
    assert store.find("v2") is None
    assert store.readable("v1")
    assert [each.name for each in path.parent.iterdir()] == ["app.tar"]


def test_an_archive_that_does_not_exist_has_no_images(store):
    assert store.find("v1") is None
    assert not store.readable("v1")


def test_the_bytes_depend_on_the_image_only(tmp_path, tar, new_image):
    one, other = tmp_path / "one.tar", tmp_path / "sub" / "other.tar"
    for path in (one, other):
        ArchiveStore(path).write(new_image(tar(a="1")), ["v1"])
    assert one.read_bytes() == other.read_bytes()


def test_an_image_stays_readable_while_its_archive_is_replaced(store, tar, new_image, content):
    kept, app = tar(k="k"), tar(a="2")
    store.write(new_image(kept, tar(a="1")), ["v1"])
    previous = store.find("v1")
    store.write(new_image(app, reused=[ReusedLayer(previous, kept.diff_id)]), ["v1"])
    assert b"".join(previous.layer(kept.diff_id)) == kept.data
    assert content(store.find("v1")) == [app.data, kept.data]
    assert store.find("v1").manifest.layers[1] == previous.manifest.layers[0]


def test_an_archive_is_a_base(store, tmp_path, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    store.write(new_image(base_tar), ["run"])
    directory = DirectoryStore(tmp_path / "layout")
    directory.write(new_image(app, base=store.find("run")), ["app"])
    assert content(directory.find("app")) == [base_tar.data, app.data]


def test_a_changed_blob_is_noticed_while_it_is_read(store, path, tar, new_image):
    layer = tar(a="1")
    store.write(new_image(layer), ["v1"])
    image = store.find("v1")
    with tarfile.open(path) as archive:
        member = archive.getmember("blobs/" + image.manifest.layers[0].digest.replace(":", "/"))
    with path.open("r+b") as file:
        file.seek(member.offset_data + 12)
        file.write(b"\xff\xff")
    with pytest.raises((VerificationError, CorruptImageError)):
        list(image.layer(layer.diff_id))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: b"no tar at all" * 100, "is not a tar archive"),
        (gzip.compress, "is compressed; decompress it with gunzip"),
        (lambda data: data[:3072], "it has no index.json"),
    ],
)
def test_a_file_that_is_no_archive_is_refused(store, path, tar, new_image, change, problem):
    store.write(new_image(tar(a="1" * 99_999)), ["v1"])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CorruptImageError, match=problem):
        store.find("v1")


def test_an_archive_of_another_program_is_read(store, path, tmp_path, tar, new_image, tool, content):
    layer = tar(a="1")
    DirectoryStore(tmp_path / "layout").write(new_image(layer), ["v1"])
    path.parent.mkdir()
    subprocess.run(["tar", "-C", tmp_path / "layout", "-cf", path, "."], check=True)
    assert content(store.find("v1")) == [layer.data]


def test_skopeo_reads_the_archive(store, path, tar, new_image, tool):
    store.write(new_image(tar(a="1"), run={"Labels": {"k": "v"}}), ["v1"])
    assert json.loads(tool("skopeo", "inspect", f"oci-archive:{path}:v1"))["Labels"] == {"k": "v"}


def test_a_directory_in_the_way_is_refused_before_the_build(store, path):
    path.mkdir(parents=True)
    with pytest.raises(ImageError, match="is a directory"):
        store.check_write(["v1"])
