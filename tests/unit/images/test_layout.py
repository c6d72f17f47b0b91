"""Images as OCI layouts on disk."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lifecycle.errors import CorruptImageError, ImageError, VerificationError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.docker_archive import DockerArchiveStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore, LayoutStore, locate
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import BlobSource, NewImage, ReusedLayer
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import (
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from lifecycle.testing.images import MemoryImages

LAYOUT_DIR = Path("/layouts")


@pytest.mark.requirement("PLAT-LAYOUT-001")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("reg.example/team/app:1.0", "reg.example/team/app/1.0"),
        ("localhost:5000/app", "localhost:5000/app/latest"),
        ("busybox", "index.docker.io/library/busybox/latest"),
        ("docker.io/me/app:x", "index.docker.io/me/app/x"),
    ],
)
def test_a_tag_reference_is_a_path(name, path):
    assert locate(name, LAYOUT_DIR).path == LAYOUT_DIR / path


@pytest.mark.requirement("PLAT-LAYOUT-002")
def test_a_digest_reference_is_a_path():
    name = "reg.example/app@sha256:" + "a" * 64
    assert locate(name, LAYOUT_DIR).path == LAYOUT_DIR / "reg.example/app/sha256" / ("a" * 64)


def test_what_is_a_path_already_stays_one():
    digest = "sha256:" + "a" * 64
    assert locate("/layouts/reg/app/1", LAYOUT_DIR).path == Path("/layouts/reg/app/1")
    location = locate(f"/elsewhere/app@{digest}", LAYOUT_DIR)
    assert (location.path, location.digest) == (Path("/elsewhere/app"), digest)
    assert locate("layouts/reg/app/1", Path("layouts")).path == Path("layouts/reg/app/1").absolute()


@pytest.fixture
def store(tmp_path):
    return LayoutStore(tmp_path / "layouts", platform=ImagePlatform())


def path_of(image):
    return Path(image.reference.rpartition("@")[0])


@pytest.mark.requirement("PLAT-EXP-074", "PLAT-ANA-033")
def test_what_was_written_is_found_under_every_name(store, tmp_path, tar, new_image, content):
    first, second = tar(a="1"), tar(b="2" * 100_000)
    new = new_image(first, second, run={"Labels": {"k": "v"}})
    written = store.write(new, ["reg.example/app:1", "reg.example/app:2"])
    assert written.names == ("reg.example/app:1", "reg.example/app:2")
    assert written.failures == {}
    assert written.digest == ""
    assert written.image_id == digest_of(new.config.dumps())
    for tag in "12":
        image = store.find(f"reg.example/app:{tag}")
        assert image.config == new.config
        assert content(image) == [first.data, second.data]
        assert image.manifest.annotations == {"org.opencontainers.image.ref.name": tag}
        assert path_of(image) == tmp_path / "layouts/reg.example/app" / tag
    assert written.reference == store.find("reg.example/app:1").reference
    assert store.find(written.reference).config == new.config
    assert written.manifest_size == len(store.find(written.reference).manifest.dumps())


def test_the_files_have_the_bytes_of_the_reference(store, tmp_path, tar, new_image):
    written = store.write(new_image(tar(a="1")), ["reg.example/app:1"])
    path = tmp_path / "layouts/reg.example/app/1"
    digest = written.reference.rpartition("@")[2]
    assert (path / "oci-layout").read_bytes() == b'{\n    "imageLayoutVersion": "1.0.0"\n}'
    assert (path / "index.json").read_text() == textwrap.dedent(
        f"""\
        {{
           "schemaVersion": 2,
           "mediaType": "application/vnd.oci.image.index.v1+json",
           "manifests": [
              {{
                 "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "size": {written.manifest_size},
                 "digest": "{digest}",
                 "annotations": {{
                    "org.opencontainers.image.ref.name": "1"
                 }}
              }}
           ]
        }}"""
    )
    assert {each.stat().st_mode & 0o777 for each in path.rglob("*") if each.is_file()} == {0o644}


def test_what_is_not_there_is_not_found(store):
    assert store.find("reg.example/none") is None
    assert not store.readable("reg.example/none")


def test_a_digest_that_the_layout_no_longer_has_is_not_found(store, tar, new_image):
    old = store.write(new_image(tar(a="1")), ["app"])
    store.write(new_image(tar(a="2")), ["app"])
    assert store.find(old.reference) is None
    assert store.readable("app")


def test_without_a_base_the_types_are_those_of_oci(store, tar, new_image):
    store.write(new_image(tar(a="1")), ["app"])
    manifest = store.find("app").manifest
    assert manifest.media_type == OCI_MANIFEST
    assert [layer.media_type for layer in manifest.layers] == [OCI_LAYER_GZIP]


def test_on_a_docker_base_the_types_are_those_of_oci_and_its_layers_are_stored(store, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    images = MemoryImages()
    images.put("run", layers=[])
    images.write(new_image(base_tar, base=images.find("run")), ["base"])
    base = images.find("base")
    assert {base.manifest.media_type, *(layer.media_type for layer in base.manifest.layers)} == {
        DOCKER_MANIFEST,
        DOCKER_LAYER_GZIP,
    }
    store.write(new_image(app, base=base), ["app"])
    image = store.find("app")
    assert image.manifest.media_type == OCI_MANIFEST
    assert image.manifest.config.media_type == OCI_CONFIG
    assert [layer.media_type for layer in image.manifest.layers] == [OCI_LAYER_GZIP, OCI_LAYER_GZIP]
    assert content(image) == [base_tar.data, app.data]


def test_the_blobs_of_a_layout_base_keep_their_digests(store, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    store.write(new_image(base_tar), ["run"])
    base = store.find("run")
    assert isinstance(base, BlobSource)
    store.write(new_image(app, base=base), ["app"])
    image = store.find("app")
    assert image.manifest.layers[0] == base.manifest.layers[0]
    assert content(image) == [base_tar.data, app.data]


def blob_path(image, descriptor):
    return path_of(image) / "blobs" / descriptor.digest.replace(":", "/")


def test_a_sparse_base_gives_a_sparse_image(store, tar, new_image):
    base_tar, app = tar(base="b"), tar(app="a")
    store.write(new_image(base_tar), ["run"])
    base = store.find("run")
    blob_path(base, base.manifest.layers[0]).unlink()
    store.write(new_image(app, base=base), ["app"])
    image = store.find("app")
    assert image.manifest.layers[0] == base.manifest.layers[0]
    assert not image.has_blob(image.manifest.layers[0])
    with pytest.raises(CorruptImageError, match="lacks blobs/sha256"):
        list(image.layer(base_tar.diff_id))
    assert b"".join(image.layer(app.diff_id)) == app.data


def test_a_layer_of_the_previous_image_is_reused_as_it_is_stored(store, tar, new_image, content):
    kept, app = tar(k="k"), tar(app="2")
    store.write(new_image(kept, tar(app="1")), ["old"])
    previous = store.find("old")
    store.write(new_image(app, reused=[ReusedLayer(previous, kept.diff_id)]), ["new"])
    image = store.find("new")
    assert image.manifest.layers[1] == previous.manifest.layers[0]
    assert content(image) == [app.data, kept.data]


def test_a_reused_layer_that_is_gone_fails_and_leaves_the_old_image(store, tar, new_image):
    kept = tar(k="k")
    store.write(new_image(kept), ["app"])
    previous = store.find("app")
    blob_path(previous, previous.manifest.layers[0]).unlink()
    written = store.write(new_image(tar(a="1"), reused=[ReusedLayer(previous, kept.diff_id)]), ["app"])
    assert written.names == ()
    assert "lacks blobs/sha256" in written.failures["app"]
    assert store.find("app").reference == previous.reference


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1], lambda data: b"x" + data[1:]])
def test_a_changed_blob_is_noticed_while_it_is_read(store, tar, new_image, change):
    layer = tar(a="1")
    store.write(new_image(layer), ["app"])
    image = store.find("app")
    path = blob_path(image, image.manifest.layers[0])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises((VerificationError, CorruptImageError)):
        list(image.layer(layer.diff_id))
    with pytest.raises(VerificationError):
        list(image.blob(image.manifest.layers[0]))


def test_a_broken_blob_in_the_way_is_replaced(store, tar, new_image, content):
    layer = tar(a="1")
    store.write(new_image(layer), ["app"])
    path = blob_path(store.find("app"), store.find("app").manifest.layers[0])
    data = path.read_bytes()
    path.write_bytes(b"x" * len(data))
    store.write(new_image(layer), ["app"])
    assert content(store.find("app")) == [layer.data]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"manifests":1}', '{"manifests":[]}', '{"manifests":[{"digest":"x"}]}']
)
def test_an_index_that_can_not_be_understood_is_a_corrupt_image(store, tmp_path, text):
    path = tmp_path / "layouts/reg.example/app/latest"
    path.mkdir(parents=True)
    (path / "index.json").write_text(text)
    with pytest.raises(CorruptImageError):
        store.find("reg.example/app")


def test_a_changed_manifest_is_a_corrupt_image(store, tar, new_image):
    written = store.write(new_image(tar(a="1")), ["app"])
    path, _, digest = written.reference.rpartition("@")
    manifest = Path(path, "blobs", digest.replace(":", "/"))
    manifest.write_bytes(manifest.read_bytes().replace(b"layers", b"Layers"))
    with pytest.raises(CorruptImageError):
        store.find("app")


def merge(path, parts, *, nest=False):
    """Make one layout of several images: of their descriptors with platforms, or nested in one index."""
    descriptors = []
    for part, platform in parts:
        (descriptor,) = json.loads((part / "index.json").read_text())["manifests"]
        descriptors.append({**descriptor, **({"platform": platform} if platform else {})})
        for blob in (part / "blobs/sha256").iterdir():
            (path / "blobs/sha256").mkdir(parents=True, exist_ok=True)
            (path / "blobs/sha256" / blob.name).write_bytes(blob.read_bytes())
    index = json.dumps({"schemaVersion": 2, "manifests": descriptors})
    if nest:
        digest = digest_of(index.encode())
        (path / "blobs" / digest.replace(":", "/")).write_text(index)
        nested = {"mediaType": OCI_INDEX, "digest": digest, "size": len(index)}
        index = json.dumps({"schemaVersion": 2, "manifests": [nested]})
    (path / "index.json").write_text(index)


@pytest.mark.parametrize("nest", [False, True])
@pytest.mark.parametrize("platform", [("linux", "amd64", ""), ("linux", "arm", "v6"), ("linux", "arm", "v7")])
def test_of_several_platforms_the_one_asked_for_is_taken(tmp_path, tar, new_image, nest, platform):
    parts = []
    for os_name, architecture, variant in [
        ("linux", "amd64", ""),
        ("linux", "arm", "v6"),
        ("linux", "arm", "v7"),
    ]:
        base = scratch_image(os=os_name, architecture=architecture, variant=variant)
        part = tmp_path / f"{architecture}{variant}"
        DirectoryStore(part).write(new_image(tar(a=architecture + variant), base=base), ["x"])
        parts.append((part, {"os": os_name, "architecture": architecture, **({"variant": variant} if variant else {})}))
    merge(tmp_path / "all", parts, nest=nest)
    image = LayoutStore(tmp_path, platform=ImagePlatform(*platform)).find(str(tmp_path / "all"))
    assert (image.config.os, image.config.architecture, image.config.variant) == platform
    other = LayoutStore(tmp_path, platform=ImagePlatform("linux", "s390x"))
    with pytest.raises(CorruptImageError, match="none of them for linux/s390x"):
        other.find(str(tmp_path / "all"))


def test_of_several_images_of_which_none_is_named_it_is_told_which_there_are(tmp_path, tar, new_image):
    store = DirectoryStore(tmp_path)
    for name in ("two", "one"):
        store.write(new_image(tar(a=name)), [name])
    with pytest.raises(CorruptImageError, match=r"holds several images: one, two; name one: PATH:NAME"):
        store.find("")
    assert store.find("one") is not None


def test_a_single_image_is_taken_whatever_its_platform(tmp_path, tar, new_image):
    base = scratch_image(architecture="riscv64")
    DirectoryStore(tmp_path / "one").write(new_image(tar(a="1"), base=base), ["x"])
    found = LayoutStore(tmp_path, platform=ImagePlatform()).find(str(tmp_path / "one"))
    assert found.config.architecture == "riscv64"


def test_a_place_that_can_not_be_written_is_refused_before_the_build(store, tmp_path):
    (tmp_path / "layouts").mkdir()
    store.check_write(["reg.example/app"])
    (tmp_path / "layouts" / "reg.example").write_text("a file in the way")
    with pytest.raises(ImageError, match="is not a directory"):
        store.check_write(["reg.example/app"])


def test_a_name_that_can_not_be_written_does_not_stop_the_others(store, tmp_path, tar, new_image):
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "full.example").write_text("a file in the way")
    written = store.write(new_image(tar(a="1")), ["full.example/app", "reg.example/app"])
    assert written.names == ("reg.example/app",)
    assert list(written.failures) == ["full.example/app"]
    assert store.find(written.reference) is not None


def test_a_configuration_that_does_not_list_the_layers_is_refused(store, tar, new_image):
    new = new_image(tar(a="1"))
    written = store.write(NewImage(None, (), new.config), ["app"])
    assert "does not list its layers" in written.failures["app"]


# DirectoryStore


@pytest.fixture
def directory(tmp_path):
    return DirectoryStore(tmp_path / "out", platform=ImagePlatform())


def test_all_tags_of_a_directory_are_one_manifest(directory, tmp_path, tar, new_image):
    written = directory.write(new_image(tar(a="1")), ["v1", "latest"])
    manifests = json.loads((tmp_path / "out/index.json").read_text())["manifests"]
    assert [each["annotations"]["org.opencontainers.image.ref.name"] for each in manifests] == [
        "v1",
        "latest",
    ]
    assert len({each["digest"] for each in manifests}) == 1
    assert written.names == ("v1", "latest")
    assert directory.find("v1").config == directory.find("latest").config == directory.find("").config
    assert directory.find(written.reference).config == directory.find("v1").config
    assert directory.find("v2") is None
    assert directory.readable("v1")
    assert not directory.readable("v2")


def blobs(path):
    return {each.name for each in (path / "blobs/sha256").iterdir()}


def age(path):
    for each in (path / "blobs/sha256").iterdir():
        os.utime(each, (0, 0))


def test_blobs_of_a_replaced_image_go_and_those_of_other_tags_stay(directory, tmp_path, tar, new_image, content):
    shared, old, new, other = tar(s="s"), tar(a="old"), tar(a="new"), tar(a="other")
    directory.write(new_image(shared, other), ["other"])
    directory.write(new_image(shared, old), ["v1"])
    age(tmp_path / "out")
    before = blobs(tmp_path / "out")
    directory.write(new_image(shared, new), ["v1"])
    assert content(directory.find("other")) == [shared.data, other.data]
    assert content(directory.find("v1")) == [shared.data, new.data]
    # Of the old image its own layer, its configuration and its manifest are gone.
    assert len(before - blobs(tmp_path / "out")) == 3


def test_a_blob_that_another_program_is_just_writing_stays(directory, tmp_path, tar, new_image):
    directory.write(new_image(tar(a="old")), ["v1"])
    foreign = tmp_path / "out/blobs/sha256" / ("f" * 64)
    foreign.touch()
    os.utime(foreign, (2**33, 2**33))
    directory.write(new_image(tar(a="new")), ["v1"])
    assert foreign.exists()


def test_nothing_is_removed_when_an_image_of_the_layout_can_not_be_understood(directory, tmp_path, tar, new_image):
    directory.write(new_image(tar(a="other")), ["other"])
    other = directory.find("other")
    blob_path(other, other.manifest.config).unlink()
    directory.write(new_image(tar(a="old")), ["v1"])
    age(tmp_path / "out")
    before = blobs(tmp_path / "out")
    directory.write(new_image(tar(a="new")), ["v1"])
    assert before <= blobs(tmp_path / "out")


def test_writing_the_same_image_again_gives_the_same_bytes(directory, tmp_path, tar, new_image):
    directory.write(new_image(tar(a="1")), ["v1"])
    index = (tmp_path / "out/index.json").read_bytes()
    directory.write(new_image(tar(a="1")), ["v1"])
    assert (tmp_path / "out/index.json").read_bytes() == index


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from lifecycle.images.layout import DirectoryStore
    from lifecycle.images.scratch import scratch_image
    from lifecycle.images.store import NewImage
    from lifecycle.layers.blob import write_blob
    from dataclasses import replace

    class Source:
        def __init__(self, data): self.data = data
        def chunks(self): yield self.data

    root = Path(sys.argv[1])
    (root / "work").mkdir()
    def new(data):
        blob = write_blob(Source(data), root / "work")
        return NewImage(None, (blob,), replace(scratch_image(architecture="amd64").config, diff_ids=(blob.diff_id,)))

    store = DirectoryStore(root / "out")
    images = [new(b"old" * 999), new(b"new" * 999)]
    store.write(images[0], ["v1"])
    for count in range(500):
        child = os.fork()
        if child == 0:
            left = [count]
            def guard(function):
                def call(*args, **kwargs):
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1
                    return function(*args, **kwargs)
                return call
            for name in ("rename", "replace", "mkdir", "unlink", "fsync", "open", "link"):
                setattr(os, name, guard(getattr(os, name)))
            store.write(images[1], ["v1"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        image = store.find("v1")
        assert image.config in (images[0].config, images[1].config)
        [data] = [b"".join(image.layer(each)) for each in image.config.diff_ids]
        assert data in (b"old" * 999, b"new" * 999)
        if status == 0:
            print(count)
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        if data == b"new" * 999:
            store.write(images[0], ["v1"])
    """


def test_a_writer_killed_at_any_call_leaves_the_old_or_the_new_image(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 15


# Other programs


def test_skopeo_reads_the_layout(directory, tmp_path, tar, new_image, tool):
    new = new_image(tar(a="1"), tar(b="2"), run={"Labels": {"k": "v"}})
    directory.write(new, ["v1"])
    found = json.loads(tool("skopeo", "inspect", f"oci:{tmp_path}/out:v1"))
    assert found["Labels"] == {"k": "v"}
    assert len(found["Layers"]) == 2
    tool("skopeo", "--insecure-policy", "copy", "-q", f"oci:{tmp_path}/out:v1", f"oci:{tmp_path}/copy:v1")
    assert DirectoryStore(tmp_path / "copy").find("v1").config == new.config


def test_umoci_unpacks_the_layout(directory, tmp_path, tar, new_image, tool):
    directory.write(new_image(tar(a="one"), tar(b="two")), ["v1"])
    tool("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/out:v1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/a").read_text() == "one"
    assert (tmp_path / "bundle/rootfs/b").read_text() == "two"


def test_a_layout_that_skopeo_made_is_a_base(directory, tmp_path, tar, new_image, tool, content):
    base_tar, app = tar(base="b"), tar(app="a")
    directory.write(new_image(base_tar), ["run"])
    tool("skopeo", "--insecure-policy", "copy", "-q", f"oci:{tmp_path}/out:run", f"oci:{tmp_path}/run")
    base = LayoutStore(tmp_path).find(str(tmp_path / "run"))
    directory.write(new_image(app, base=base), ["app"])
    assert content(directory.find("app")) == [base_tar.data, app.data]
    tool("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/out:app", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/base").read_text() == "b"


def test_blobs_are_gzipped_once_and_linked(directory, tmp_path, tar, new_image):
    layer = tar(a="1")
    new = new_image(layer)
    directory.write(new, ["v1"])
    image = directory.find("v1")
    path = blob_path(image, image.manifest.layers[0])
    assert gzip.decompress(path.read_bytes()) == layer.data
    assert path.stat().st_ino == new.layers[0].path.stat().st_ino


@pytest.mark.parametrize("name", ["index.json", "blob"])
def test_a_named_pipe_in_the_place_of_a_file_is_told_and_nobody_waits_for_its_other_end(tmp_path, name):
    base = scratch_image(architecture="amd64")
    written = DirectoryStore(tmp_path).write(NewImage(None, (), base.config), ["x"])
    place = tmp_path / (name if name != "blob" else f"blobs/sha256/{written.image_id.removeprefix('sha256:')}")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(ImageError, match=f"{place}: can't be read: is not a file"):
        DirectoryStore(tmp_path).find("x")


@pytest.mark.parametrize("store", [ArchiveStore, DockerArchiveStore])
def test_a_named_pipe_is_no_archive(tmp_path, store):
    os.mkfifo(tmp_path / "x.tar")
    with pytest.raises(ImageError, match="can't be read: is not a file"):
        store(tmp_path / "x.tar").find("")
