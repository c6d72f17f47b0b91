"""Images in files of docker save, in every form that programs write."""

import gzip
import io
import json
import subprocess
import tarfile
from dataclasses import replace

import pytest

from lifecycle.errors import CorruptImageError, ImageError, InvalidInputError, VerificationError
from lifecycle.images.docker_archive import DockerArchiveStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.store import BlobSource, ReusedLayer
from lifecycle.oci.digest import digest_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "app.tar"


@pytest.fixture
def store(path):
    return DockerArchiveStore(path)


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def archive(path, files, *, links=()):
    """Write a tar with these files, and symlinks by name."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            file.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def manifest(*entries):
    return json.dumps([dict(zip(("Config", "RepoTags", "Layers"), entry, strict=True)) for entry in entries]).encode()


def hex_of(data):
    return digest_of(data).removeprefix("sha256:")


def test_what_was_written_is_found(store, path, tar, new_image, content):
    first, second = tar(a="1"), tar(b="2" * 3_000_000)
    new = new_image(first, second, run={"Labels": {"k": "<v>"}})
    store.check_write(["app:v1", "reg.example/team/app"])
    written = store.write(new, ["app:v1", "reg.example/team/app"])
    image_id = digest_of(new.config.dumps())
    assert (written.names, written.image_id, written.digest) == (("app:v1", "reg.example/team/app"), image_id, "")
    for name in ("app:v1", "docker.io/library/app:v1", "reg.example/team/app:latest", "", written.reference, image_id):
        image = store.find(name)
        assert image.config.dumps() == new.config.dumps()
        assert image.reference == written.reference == image_id.removeprefix("sha256:")
        assert content(image) == [first.data, second.data]
        assert store.readable(name)
    assert store.find("app:v2") is None
    assert not store.readable("app:v2")
    assert [each.name for each in path.parent.iterdir()] == ["app.tar"]


def test_the_archive_has_the_form_of_the_reference(store, path, tar, new_image):
    layer = tar(a="1")
    new = new_image(layer)
    store.write(new, ["app"])
    config = new.config.dumps()
    assert members(path) == {
        f"{hex_of(config)}.json": config,
        f"/{layer.diff_id}.tar": layer.data,
        "manifest.json": (
            f'[{{"Config":"{hex_of(config)}.json","Layers":["/{layer.diff_id}.tar"],'
            '"RepoTags":["index.docker.io/library/app:latest"]}]'
        ).encode(),
    }


def test_the_bytes_depend_on_the_image_only(tmp_path, tar, new_image):
    one, other = tmp_path / "one.tar", tmp_path / "sub" / "other.tar"
    for each in (one, other):
        DockerArchiveStore(each).write(new_image(tar(a="1")), ["app"])
    assert one.read_bytes() == other.read_bytes()


def test_equal_layers_are_stored_once(store, path, tar, new_image, content):
    layer = tar(a="1")
    store.write(new_image(layer, layer), ["app"])
    assert content(store.find("app")) == [layer.data, layer.data]
    assert len(members(path)) == 3


def test_a_layer_is_reused_while_its_archive_is_replaced(store, tar, new_image, content):
    kept, app = tar(k="k"), tar(a="2")
    store.write(new_image(kept, tar(a="1")), ["app"])
    previous = store.find("app")
    store.write(new_image(app, reused=[ReusedLayer(previous, kept.diff_id)]), ["app"])
    assert content(store.find("app")) == [app.data, kept.data]
    assert not isinstance(previous, BlobSource)


def test_an_archive_is_a_base_of_other_stores_and_they_of_it(store, tmp_path, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    layout = DirectoryStore(tmp_path / "layout", platform=ImagePlatform())
    store.write(new_image(base_tar), ["run"])
    layout.write(new_image(app, base=store.find("run")), ["app"])
    assert content(layout.find("app")) == [base_tar.data, app.data]
    store.write(new_image(base=layout.find("app")), ["app"])
    assert content(store.find("app")) == [base_tar.data, app.data]


def test_a_docker_archive_before_version_25_is_read(store, path, tar, new_image, content):
    """Each layer had a directory of its own, and equal ones were links."""
    one, two = tar(a="1"), tar(b="2")
    config = new_image(one, two, one).config.dumps()
    archive(
        path,
        {
            f"{hex_of(config)}.json": config,
            "1a/layer.tar": one.data,
            "1a/VERSION": b"1.0",
            "2b/layer.tar": two.data,
            "manifest.json": manifest(
                (f"{hex_of(config)}.json", ["app:1"], ["1a/layer.tar", "2b/layer.tar", "3c/layer.tar"])
            ),
        },
        links=[("3c/layer.tar", "../1a/layer.tar")],
    )
    assert content(store.find("app:1")) == [one.data, two.data, one.data]


@pytest.mark.parametrize("stored", [lambda data: data, gzip.compress])
def test_a_docker_archive_from_version_25_on_is_read(store, path, tar, new_image, content, stored):
    """It is an OCI layout as well, whose layers containerd's store has compressed."""
    layer = tar(a="1")
    config, blob = new_image(layer).config.dumps(), stored(layer.data)
    names = [f"blobs/sha256/{hex_of(each)}" for each in (config, blob)]
    archive(
        path,
        {
            names[0]: config,
            names[1]: blob,
            "index.json": b"{}",
            "manifest.json": manifest((names[0], ["app:1"], [names[1]])),
        },
    )
    image = store.find("app:1")
    assert content(image) == [layer.data]
    assert image.layer_size(layer.diff_id) == (len(layer.data) if blob == layer.data else None)


def test_compressed_layers_are_unpacked_when_they_are_reused(store, path, tmp_path, tar, new_image, content):
    layer = tar(a="1")
    config = new_image(layer).config.dumps()
    archive(
        path,
        {"config.json": config, "l.tar.gz": gzip.compress(layer.data)}
        | {"manifest.json": manifest(("config.json", None, ["l.tar.gz"]))},
    )
    other = DockerArchiveStore(tmp_path / "other.tar")
    other.write(new_image(base=store.find("")), ["app"])
    assert members(other._path)[f"/{layer.diff_id}.tar"] == layer.data


def test_of_several_images_one_has_to_be_named(store, path, tar, new_image):
    configs = [new_image(tar(a=text)).config.dumps() for text in "12"]
    files = {f"{hex_of(config)}.json": config for config in configs}
    files |= {f"{n}.tar": tar(a=n).data for n in "12"}
    entries = [(f"{hex_of(config)}.json", [f"app:{n}"], [f"{n}.tar"]) for config, n in zip(configs, "12", strict=True)]
    archive(path, {**files, "manifest.json": manifest(*entries)})
    with pytest.raises(CorruptImageError, match="has 2 images; make an archive of one of them: app:1, app:2"):
        store.find("")
    assert store.find("app:2").config.dumps() == configs[1]


def broken(path, tar, new_image, change):
    layer = tar(a="1")
    config = new_image(layer).config.dumps()
    files = {
        f"{hex_of(config)}.json": config,
        "l.tar": layer.data,
        "manifest.json": manifest((f"{hex_of(config)}.json", ["app"], ["l.tar"])),
    }
    archive(path, change(files))
    return layer


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda files: {"x": b""}, r"is not a Docker archive: it has no manifest.json; make it with 'docker save'"),
        (lambda files: files | {"manifest.json": b"{"}, "manifest.json: is not JSON"),
        (lambda files: files | {"manifest.json": b"{}"}, "manifest.json: is not a list of images"),
        (lambda files: files | {"manifest.json": b"[1]"}, "has an entry without Config, RepoTags and Layers"),
        (lambda files: files | {"manifest.json": manifest(("none.json", [], []))}, "lacks none.json"),
        (lambda files: dict.fromkeys(files, b"{}") | {"manifest.json": files["manifest.json"]}, "has the digest"),
        (lambda files: files | {"manifest.json": manifest((next(iter(files)), [], []))}, "lists 0 layers"),
    ],
)
def test_a_broken_archive_is_told(store, path, tar, new_image, change, problem):
    broken(path, tar, new_image, change)
    with pytest.raises(CorruptImageError, match=problem):
        store.find("")


def test_a_changed_layer_is_noticed_while_it_is_read(store, path, tar, new_image):
    layer = broken(path, tar, new_image, lambda files: files | {"l.tar": files["l.tar"].replace(b"1", b"2", 1)})
    with pytest.raises(VerificationError, match=layer.diff_id):
        list(store.find("").layer(layer.diff_id))


def test_a_layer_that_is_missing_is_told_when_it_is_read(store, path, tar, new_image):
    layer = broken(path, tar, new_image, lambda files: {k: v for k, v in files.items() if k != "l.tar"})
    with pytest.raises(CorruptImageError, match=r"lacks l.tar"):
        list(store.find("").layer(layer.diff_id))
    with pytest.raises(CorruptImageError, match="has no layer"):
        store.find("").layer("sha256:" + "0" * 64)


def test_a_link_out_of_the_archive_leads_nowhere(store, path, tar, new_image, tmp_path):
    layer = tar(a="1")
    (tmp_path / "secret.tar").write_bytes(layer.data)
    config = new_image(layer).config.dumps()
    archive(
        path,
        {"config.json": config, "manifest.json": manifest(("config.json", ["app"], ["l.tar"]))},
        links=[("l.tar", str(tmp_path / "secret.tar"))],
    )
    with pytest.raises(CorruptImageError, match=r"lacks l.tar"):
        list(store.find("").layer(layer.diff_id))


def test_an_image_that_lies_about_a_size_is_refused_and_the_old_archive_stays(store, path, tar, new_image):
    store.write(new_image(tar(a="1")), ["app"])
    before = path.read_bytes()

    class Sized:
        def __init__(self, image, size):
            self._image, self._size = image, size

        def __getattr__(self, name):
            return getattr(self._image, name)

        def layer_size(self, diff_id):
            return self._size

    for size in (1, 1_000_000):
        with pytest.raises(VerificationError, match="than the promised"):
            store.write(new_image(base=Sized(store.find("app"), size)), ["app"])
    assert path.read_bytes() == before


def test_what_can_not_be_written_is_told_before_the_build(store, path):
    with pytest.raises(InvalidInputError, match="not a valid image reference"):
        store.check_write(["Not A Name"])
    path.mkdir(parents=True)
    with pytest.raises(ImageError, match="is a directory; choose another path"):
        store.check_write(["app"])


def test_an_archive_that_does_not_exist_has_no_images(store):
    assert store.find("app") is None


def test_skopeo_reads_what_is_written_and_is_read(store, path, tmp_path, tar, new_image, tool, content):
    layer = tar(a="1" * 3_000_000)
    store.write(new_image(layer, run={"Labels": {"k": "v"}}), ["app:1"])
    assert json.loads(tool("skopeo", "inspect", f"docker-archive:{path}"))["Labels"] == {"k": "v"}
    copied = tmp_path / "copied.tar"
    tool("skopeo", "copy", f"docker-archive:{path}:app:1", f"docker-archive:{copied}:app:2")
    image = DockerArchiveStore(copied).find("app:2")
    assert content(image) == [layer.data]
    assert image.reference == store.find("app:1").reference


def test_docker_loads_what_is_written_and_saves_what_is_read(store, path, tmp_path, dockerd, tar, new_image, content):
    layers = [tar(a="docker load"), tar(b="1" * 3_000_000), tar(a="docker load")]
    new = new_image(*layers)
    name = "test-docker-archive/app:1"
    written = store.write(new, [name])
    assert f"Loaded image: {name}" in dockerd.docker("load", "-i", str(path))
    saved = tmp_path / "saved.tar"
    dockerd.docker("save", "-o", str(saved), name)
    image = DockerArchiveStore(saved).find(name)
    assert image.reference == written.reference
    assert image.config == replace(new.config)
    assert content(image) == [layer.data for layer in layers]


def test_podman_loads_what_is_written(store, path, podman, tar, new_image, content):
    layer = tar(a="podman load")
    written = store.write(new_image(layer), ["test-docker-archive/app:1"])
    podman.docker("load", "-i", str(path))
    found = podman.client.inspect("test-docker-archive/app:1")
    assert found["Id"].removeprefix("sha256:") == written.reference
    assert subprocess.run(["tar", "-tf", path], capture_output=True, check=True).stdout.endswith(b"manifest.json\n")
