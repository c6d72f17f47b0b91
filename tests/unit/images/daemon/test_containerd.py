"""Daemons that keep images in containerd's store, played by a server: Debian has none new enough.

What it answers was seen with Docker 29; the tests of test_store.py ask a real one where there is one.
"""

import gzip
import io
import json
import tarfile

import pytest

from lifecycle.images.daemon.client import connect
from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.store import ReusedLayer
from lifecycle.oci.digest import digest_of
from lifecycle.testing.images import MemoryImages

NAME = "index.docker.io/library/app:latest"
LOADED = (200, {"stream": "Loaded image: app:latest\n"})
BROKEN = (200, {"stream": "Error unpacking image app:latest: no space left\n"})


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}


def archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def inspected(config, image_id):
    rootfs = {"Type": "layers", "Layers": list(config.diff_ids)}
    return {"Id": image_id, "Architecture": config.architecture, "Os": config.os, "RootFS": rootfs}


class Kept:
    """An image in the store, with the blobs of its compressed layers."""

    def __init__(self, fake, name, new, *, leave_out=()):
        self.blobs = {digest_of(each): each for each in (layer.path.read_bytes() for layer in new.layers)}
        config = new.config.dumps()
        self.layers = [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": len(data), "digest": digest}
            for digest, data in self.blobs.items()
        ]
        described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config)}
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {**described, "size": len(config)},
                "layers": self.layers,
            }
        ).encode()
        self.id = digest_of(manifest)
        blobs = {digest_of(each): each for each in (manifest, config)} | self.blobs
        saved = {f"blobs/sha256/{key[7:]}": data for key, data in blobs.items() if key not in leave_out}
        saved["manifest.json"] = saved["index.json"] = b"[]"
        told = (200, inspected(new.config, self.id))
        fake.answers |= {
            f"/images/{name}/json": told,
            f"/images/{self.id[7:]}/json": told,
            f"/images/{self.id}/history": (200, None),
            f"/images/{self.id}/get": (200, archive(saved)),
        }


@pytest.fixture
def containerd(fake):
    fake.answers |= {
        "/info": (200, {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}),
        "/images/load": LOADED,
    }
    return fake


@pytest.fixture
def store(containerd):
    return DaemonStore(connect(containerd.environment))


def sent(fake):
    return [members(body) for (_, path), body in zip(fake.seen, fake.bodies, strict=True) if path.endswith("/load")]


def expect(fake, new, image_id="sha256:" + "1" * 64):
    fake.answers[f"/images/{NAME}/json"] = [(404, {"message": "No such image"}), (200, inspected(new.config, image_id))]


def test_only_new_blobs_are_sent_as_they_are_stored(containerd, store, tar, new_image):
    base, app = tar(base="b" * 10_000), tar(app="a" * 10_000)
    kept = Kept(containerd, "run", new_image(base))
    new = new_image(app, base=store.find("run"))
    expect(containerd, new)
    written = store.write(new, ["app"])
    assert (written.names, written.image_id) == (("app",), "sha256:" + "1" * 64)
    (files,) = sent(containerd)
    config, blob = new.config.dumps(), new.layers[0].path.read_bytes()
    (listed,) = json.loads(files["index.json"])["manifests"]
    assert listed["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:latest",
        "org.opencontainers.image.ref.name": "latest",
    }
    manifest = json.loads(files[f"blobs/sha256/{listed['digest'][7:]}"])
    assert manifest["layers"][0] == kept.layers[0]
    assert manifest["layers"][1]["digest"] == digest_of(blob)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["config"]["digest"] == digest_of(config)
    names = {f"blobs/sha256/{digest_of(each)[7:]}" for each in (config, blob)}
    assert set(files) == {*names, f"blobs/sha256/{listed['digest'][7:]}", "index.json", "oci-layout"}


def test_the_previous_image_tells_of_its_base_too(containerd, store, tar, new_image):
    base, kept_tar = tar(base="b"), tar(k="k")
    whole = new_image(base, kept_tar)
    Kept(containerd, "run", new_image(base))
    kept = Kept(containerd, "old", whole)
    new = new_image(base=store.find("run"), reused=[ReusedLayer(store.find("old"), kept_tar.diff_id)])
    expect(containerd, new)
    store.write(new, ["app"])
    assert [path for _, path in containerd.seen if path.endswith("/get")] == [f"/v1.50/images/{kept.id}/get"]
    assert not any(f"blobs/sha256/{digest[7:]}" in sent(containerd)[0] for digest in kept.blobs)


@pytest.mark.parametrize("fault", ["a blob is gone", "the answer is no archive", "the image is gone"])
def test_what_the_store_does_not_surely_have_is_sent(containerd, store, tar, new_image, fault):
    base, app = tar(base="b"), tar(app="a")
    image = new_image(base)
    kept = Kept(containerd, "run", image, leave_out=[image.layers[0].digest] if fault == "a blob is gone" else [])
    found = store.find("run")
    if fault == "the answer is no archive":
        containerd.answers[f"/images/{kept.id}/get"] = (200, b"nothing" * 1000)
    if fault == "the image is gone":
        del containerd.answers[f"/images/{kept.id[7:]}/json"]
    base_elsewhere = MemoryImages().put("run", layers=[base.data])
    new = new_image(app, base=_Both(found, base_elsewhere))
    expect(containerd, new)
    assert store.write(new, ["app"]).names == ("app",)
    assert sent(containerd)[0][f"blobs/sha256/{base.diff_id[7:]}"] == base.data


class _Both:
    """A daemon's image whose layers can be read all the same."""

    def __init__(self, image, readable):
        self.name, self.reference, self.config, self.manifest = (
            image.name,
            image.reference,
            image.config,
            image.manifest,
        )
        self.layer = readable.layer


def test_blobs_of_another_store_are_sent_as_they_are_stored(containerd, store, tmp_path, tar, new_image):
    elsewhere = DirectoryStore(tmp_path / "layout", platform=ImagePlatform())
    base = tar(base="b")
    elsewhere.write(new_image(base), ["run"])
    new = new_image(tar(app="a"), base=elsewhere.find("run"))
    expect(containerd, new)
    store.write(new, ["app"])
    descriptor = elsewhere.find("run").manifest.layers[0]
    assert gzip.decompress(sent(containerd)[0][f"blobs/sha256/{descriptor.digest[7:]}"]) == base.data


def test_an_image_that_can_not_be_unpacked_is_sent_again_as_an_archive(containerd, store, tar, new_image):
    layer = tar(app="a")
    new = new_image(layer)
    expect(containerd, new)
    containerd.answers["/images/load"] = [BROKEN, LOADED]
    assert store.write(new, ["app"]).names == ("app",)
    assert sent(containerd)[1][f"/{layer.diff_id}.tar"] == layer.data


def test_the_old_image_gets_its_name_back(containerd, store, tar, new_image):
    """Docker says that the new one is loaded, takes the name for it, and only then finds that it is broken."""
    old = new_image(tar(a="old"))
    containerd.answers |= {
        f"/images/{NAME}/json": (200, inspected(old.config, "sha256:" + "0" * 64)),
        "/images/load": BROKEN,
        "/tag": (201, {}),
    }
    written = store.write(new_image(tar(a="new")), ["app", "other"])
    assert written.names == ()
    assert "no space left" in written.failures["app"]
    assert containerd.seen[-1] == ("POST", f"/v1.50/images/sha256:{'0' * 64}/tag")


def test_a_name_for_a_broken_image_is_taken_away(containerd, store, tar, new_image):
    containerd.answers |= {"/images/load": BROKEN, f"/images/{NAME}": (200, [])}
    assert store.write(new_image(tar(a="new")), ["app"]).names == ()
    assert containerd.seen[-1] == ("DELETE", f"/v1.50/images/{NAME}")


def test_a_name_that_is_no_tag_is_refused(containerd, store, tar, new_image):
    written = store.write(new_image(tar(a="1")), ["Not/A:Name"])
    assert "is not a valid image reference" in written.failures["Not/A:Name"]
    assert sent(containerd) == []
