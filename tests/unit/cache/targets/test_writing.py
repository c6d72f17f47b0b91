"""Caches on their way into registries and layouts: all or nothing, whoever dies or writes beside."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lifecycle.cache.sources.blobs import LayoutBlobs, RegistryBlobs
from lifecycle.cache.sources.buildkit import open_buildkit, read_contents
from lifecycle.cache.store import ExportedSteps
from lifecycle.cache.targets.contents import Packing, TargetOptions
from lifecycle.cache.targets.local import export_to_layout
from lifecycle.cache.targets.registry import export_to_registry
from lifecycle.errors import (
    CacheError,
    CorruptImageError,
    ForeignSourceError,
    LifecycleError,
    RegistryBusyError,
    VerificationError,
)
from lifecycle.images.layout_files import DirectoryFiles, blob_name
from lifecycle.images.layout_image import read_layout_index, with_name
from lifecycle.images.registry.client import Limits, RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.image import at_digest
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.model.group import GroupElement
from lifecycle.model.layer import LayerTypes
from lifecycle.model.step_record import FIELDS, LayerRecord, StepRecord, step_key
from lifecycle.oci.digest import digest_of
from lifecycle.oci.reference import parse_tag
from lifecycle.testing.images import MemoryImages
from parts.fault_proxy import LoseAnswer, Status

_NUMBERS = count()
MAX = TargetOptions(mode="max")


class Tar:
    def __init__(self, text: str) -> None:
        self.data = text.encode().ljust(1536, b"\0")

    def chunks(self):
        yield self.data


def exported(directory: Path, *texts: str, name: str = "one") -> ExportedSteps:
    """One step with a build-only layer for each text."""
    directory.mkdir(exist_ok=True)
    blobs = [write_blob(Tar(text), directory) for text in texts]
    inputs = {field: digest_of(f"{name} {field} {texts}".encode()) for field in FIELDS}
    layers = tuple(
        LayerRecord(f"l{at}", LayerTypes(build=True), {"of": text}, blob.diff_id, blob.uncompressed_size)
        for at, (text, blob) in enumerate(zip(texts, blobs, strict=True))
    )
    record = StepRecord(GroupElement(id="x/y", version="1"), layers, key=step_key(inputs), inputs=inputs)
    return ExportedSteps((record,), {blob.diff_id: blob for blob in blobs})


@pytest.fixture
def tag(registry):
    return parse_tag(f"{registry.host}/writing-{next(_NUMBERS)}")


def opened(client, tag):
    found = client.manifest(tag)
    blobs = RegistryBlobs(client, at_digest(tag, found.digest))
    return open_buildkit(found.data, media_type=found.media_type, name=tag.name, blobs=blobs)


def opened_layout(path, tag="latest"):
    files = DirectoryFiles(path)
    (found,) = with_name(read_layout_index(files), tag)
    data = b"".join(files.chunks(blob_name(found.digest)))
    return open_buildkit(data, media_type=found.media_type, name=str(path), blobs=LayoutBlobs(files))


def texts(source):
    found = []
    for step in source.steps():
        for layer in step.layers:
            tar = b"".join(source.layer(layer.diff_id))
            assert source.has(layer.diff_id)
            assert source.image(layer.diff_id) is not None
            found.append(tar.rstrip(b"\0").decode())
    return found


def test_each_document_of_a_cache_is_read_once_when_it_is_opened(tmp_path):
    class Counting:
        where = "layout"

        def __init__(self, blobs):
            self.blobs = blobs
            self.asked = []

        def chunks(self, descriptor):
            self.asked.append(descriptor.digest)
            return self.blobs.chunks(descriptor)

    export_to_layout(tmp_path / "cache", exported(tmp_path / "made", "text"), MAX)
    files = DirectoryFiles(tmp_path / "cache")
    (found,) = with_name(read_layout_index(files), "latest")
    blobs = Counting(LayoutBlobs(files))
    data = b"".join(files.chunks(blob_name(found.digest)))
    open_buildkit(data, media_type=found.media_type, name="cache", blobs=blobs)
    assert len(blobs.asked) == len(set(blobs.asked)) == 2


@pytest.mark.parametrize("step", ["POST", "PATCH|PUT", "manifest", "manifest without an answer"])
def test_an_export_that_fails_on_its_way_leaves_the_old_cache(
    tmp_path, registry, registry_client, fault_proxy, tag, step
):
    export_to_registry(registry_client, tag, exported(tmp_path / "old", "old"), MAX)
    proxy = fault_proxy(registry.host)
    through = parse_tag(f"{proxy.url.removeprefix('http://')}/{tag.repository}")
    if step == "manifest without an answer":
        proxy.fault(LoseAnswer(), method="PUT", path="/manifests/")
    else:
        method, path = ("PUT", "/manifests/") if step == "manifest" else (step, "/blobs/")
        proxy.fault(Status(400), method=method, path=path, times=None)
    if step == "manifest without an answer":
        # It is sent again, which changes nothing.
        export_to_registry(registry_client, through, exported(tmp_path / "new", "new"), MAX)
        assert texts(opened(registry_client, tag)) == ["new"]
        return
    with pytest.raises(LifecycleError):
        export_to_registry(registry_client, through, exported(tmp_path / "new", "new"), MAX)
    assert texts(opened(registry_client, tag)) == ["old"]


def test_merging_reads_again_what_another_wrote_meanwhile(tmp_path, registry_client, tag):
    class Racing:
        """A client in whose repository another builder writes before each of the first two tags."""

        def __init__(self):
            self.left = ["b", "c"]

        def __getattr__(self, name):
            return getattr(registry_client, name)

        def head_written(self, ref):
            if self.left:
                text = self.left.pop(0)
                export_to_registry(registry_client, tag, exported(tmp_path / text, text, name=text), MAX, merge=True)
            return registry_client.head_written(ref)

    export_to_registry(Racing(), tag, exported(tmp_path / "a", "a", name="a"), MAX, merge=True)
    assert texts(opened(registry_client, tag)) == ["a", "c", "b"]


def test_merging_leaves_out_builds_whose_blobs_are_gone(tmp_path, own_registry, registry_client):
    tag = parse_tag(f"{own_registry.host}/cache")
    export_to_registry(registry_client, tag, exported(tmp_path / "a", "a", name="a"), MAX, merge=True)
    (lost,) = opened(registry_client, tag).found.manifest.layers
    own_registry.blob_path(lost.digest).unlink()
    own_registry.restart()
    export_to_registry(registry_client, tag, exported(tmp_path / "b", "b", name="b"), MAX, merge=True)
    assert texts(opened(registry_client, tag)) == ["b"]


def test_merging_with_what_is_no_cache_replaces_it_with_a_warning(
    tmp_path, registry_client, registry_store, tag, caplog
):
    base = scratch_image(architecture="amd64")
    blob = write_blob(Tar("image"), tmp_path)
    registry_store.write(NewImage(None, (blob,), replace(base.config, diff_ids=(blob.diff_id,))), [tag.name])
    export_to_registry(registry_client, tag, exported(tmp_path / "a", "a"), MAX, merge=True)
    assert "Not merging" in caplog.text
    assert texts(opened(registry_client, tag)) == ["a"]


def test_merging_does_not_give_up_what_others_wrote_where_a_registry_can_not_read_it_now(
    tmp_path, registry, registry_client, fault_proxy, tag
):
    export_to_registry(registry_client, tag, exported(tmp_path / "a", "a", name="a"), MAX, merge=True)
    proxy = fault_proxy(registry.host)
    beside = parse_tag(tag.name.replace(registry.host, proxy.host))
    proxy.fault(Status(503, retry_after=0), method="GET", path="/blobs/", times=None)
    quick = Limits(retry=RetryPolicy(tries=2, first_delay=0.01))
    with (
        RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}), limits=quick) as client,
        pytest.raises(RegistryBusyError),
    ):
        export_to_registry(client, beside, exported(tmp_path / "b", "b", name="b"), MAX, merge=True)
    proxy.clear()
    assert texts(opened(registry_client, tag)) == ["a"]
    export_to_registry(registry_client, beside, exported(tmp_path / "b", "b", name="b"), MAX, merge=True)
    assert texts(opened(registry_client, tag)) == ["b", "a"]


def test_a_blob_that_a_registry_lost_is_no_layer_and_wrong_bytes_are_told(tmp_path, own_registry, registry_client):
    tag = parse_tag(f"{own_registry.host}/cache")
    export_to_registry(registry_client, tag, exported(tmp_path / "a", "a", "b"), MAX)
    source = opened(registry_client, tag)
    first, second = source.found.config.diff_ids
    one, other = source.found.manifest.layers
    own_registry.blob_path(one.digest).unlink()
    path = own_registry.blob_path(other.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    own_registry.restart()
    assert not source.has(first)
    with pytest.raises(LifecycleError):
        b"".join(source.layer(first))
    with pytest.raises((VerificationError, CorruptImageError)):
        b"".join(source.layer(second))
    with pytest.raises(CacheError, match="has no layer"):
        source.layer(digest_of(b"never there"))


def test_layers_of_images_go_in_as_they_are_stored_or_packed_where_nothing_is_stored(tmp_path, registry_client, tag):
    image = MemoryImages().put("image", layers=[Tar("of an image").data])
    (diff_id,) = image.config.diff_ids

    class WithoutBlobs:
        name, reference, config, manifest = image.name, image.reference, image.config, image.manifest
        layer = staticmethod(image.layer)

    record = StepRecord(
        GroupElement(id="x/y", version="1"), (LayerRecord("l", LayerTypes(launch=True), None, diff_id),)
    )
    for source in (image, WithoutBlobs()):
        steps = ExportedSteps((record,), {diff_id: ReusedLayer(source, diff_id)})
        export_to_registry(registry_client, tag, steps, TargetOptions())
        assert texts(opened(registry_client, tag)) == ["of an image"]
    (packed,) = opened(registry_client, tag).found.manifest.layers
    assert packed.media_type.endswith("+gzip")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_a_layout_holds_what_was_exported_and_a_second_export_repeats_it(tmp_path, compression):
    options = TargetOptions(mode="max", packing=Packing(compression, 1, force=True))
    digests = {export_to_layout(tmp_path / "cache", exported(tmp_path / "x", "a", "b"), options) for _ in range(2)}
    assert len(digests) == 1
    assert texts(opened_layout(tmp_path / "cache")) == ["a", "b"]


def test_min_leaves_the_contents_of_build_only_layers_out_and_remembers_that_they_were(tmp_path):
    export_to_layout(tmp_path / "cache", exported(tmp_path / "x", "a"), TargetOptions())
    source = opened_layout(tmp_path / "cache")
    (step,) = source.steps()
    (layer,) = step.layers
    assert not layer.has_contents
    assert not source.has(layer.diff_id)
    assert source.image(layer.diff_id) is None


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from lifecycle.cache.targets import local
from tests.unit.cache.targets import test_writing as here
root, point = Path(sys.argv[1]), sys.argv[2]
setattr(local, point, lambda *_, **__: os.kill(os.getpid(), 9))
local.export_to_layout(root / "cache", here.exported(root / "new", "new"), here.MAX, reset=True)
"""


@pytest.mark.parametrize("point", ["prepare", "add_blob", "write_atomic", "write_index"])
def test_a_killed_export_leaves_the_old_cache_and_no_lock(tmp_path, point):
    export_to_layout(tmp_path / "cache", exported(tmp_path / "old", "old"), MAX)
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, point, root, root / "tests"],
        check=False,
        capture_output=True,
        cwd=root,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert texts(opened_layout(tmp_path / "cache")) == ["old"]
    export_to_layout(tmp_path / "cache", exported(tmp_path / "third", "third"), MAX, reset=True)
    assert texts(opened_layout(tmp_path / "cache")) == ["third"]


def test_exports_into_one_directory_at_once_end_with_whole_caches(tmp_path):
    def export(at):
        mine = exported(tmp_path / f"x{at}", f"text {at}", name=str(at))
        export_to_layout(tmp_path / "cache", mine, MAX, tag=f"t{at % 3}", merge=bool(at % 2))

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(export, range(12)))
    for tag in ("t0", "t1", "t2"):
        assert texts(opened_layout(tmp_path / "cache", tag))
    assert not list((tmp_path / "cache").rglob(".tmp-*"))


def test_a_reset_while_others_export_takes_nothing_that_is_listed(tmp_path):
    stop = threading.Event()

    def resets():
        while not stop.is_set():
            export_to_layout(tmp_path / "cache", exported(tmp_path / "r", "reset"), MAX, tag="r", reset=True)

    thread = threading.Thread(target=resets)
    thread.start()
    try:
        for at in range(8):
            export_to_layout(tmp_path / "cache", exported(tmp_path / f"x{at}", f"text {at}"), MAX, tag="mine")
            files = DirectoryFiles(tmp_path / "cache")
            listed = read_layout_index(files)
            assert listed
    finally:
        stop.set()
        thread.join()
    export_to_layout(tmp_path / "cache", exported(tmp_path / "last", "last"), MAX, tag="mine")
    assert texts(opened_layout(tmp_path / "cache", "mine")) == ["last"]


def test_merging_with_a_damaged_cache_in_a_directory_replaces_it_with_a_warning(tmp_path, caplog):
    digest = export_to_layout(tmp_path / "cache", exported(tmp_path / "blobs", "old"), MAX)
    (tmp_path / "cache" / blob_name(digest)).write_bytes(b"{")
    for _ in range(2):
        found = export_to_layout(tmp_path / "cache", exported(tmp_path / "blobs", "new", name="two"), MAX, merge=True)
        assert found != digest
    assert caplog.text.count("Not merging with the cache that is there") == 1


def test_a_directory_that_may_not_be_written_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(LifecycleError, match="can't be written"):
        export_to_layout(tmp_path / "cache", exported(tmp_path / "x", "a"), MAX)


# What BuildKit 0.34.2 wrote for two records, one of which is made from the other.
A, B, C = (f"sha256:{digits}" for digits in (
    "8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7",
    "63faee8dfdaa1586f6f474a3e8b27d8aeb7ebde13392b7af762889d51793799a",
    "4660645c73f48eb8f67e661ea54842f9fabb1ae261238e0538d1b952b00863f9",
))  # fmt: skip
CONFIG = (
    f'{{"layers":[{{"blob":"{C}","parent":2}},{{"blob":"{B}"}},{{"blob":"{A}","parent":-1}}],"records":['
    '{"layers":[{"layer":1,"createdAt":"2026-01-02T03:04:05Z"}],'
    '"digest":"sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",'
    '"inputs":[[{"selector":"sel","link":1}]]},'
    '{"layers":[{"layer":2,"createdAt":"2026-01-02T03:04:05Z"}],'
    '"digest":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}]}'
).encode()


class Buildkits:
    """The blobs of that cache."""

    where = "buildkit"

    def has(self, descriptor):
        return descriptor.digest == digest_of(CONFIG)

    def chunks(self, descriptor):
        assert descriptor.digest == digest_of(CONFIG)
        yield CONFIG


@pytest.mark.parametrize("variant", ["layers", "manifests"])
def test_a_cache_that_buildkit_wrote_is_listed_and_foreign(variant):
    layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": each, "size": 7} for each in (C, B, A)]
    config = {
        "mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": digest_of(CONFIG), "size": len(CONFIG),
    }  # fmt: skip
    value = {"layers": layers, "config": config} if variant == "layers" else {"manifests": [*layers, config]}
    data = json.dumps({"schemaVersion": 2, **value}).encode()
    found = read_contents(data, name="cache", blobs=Buildkits())
    assert digest_of(CONFIG) == "sha256:20951899c0a45c231cfe40bf600d5278d1521eba3e6c51816401406d34776fe6"
    assert [each.digest for each in found.blobs] == [C, B, A]
    assert found.config.layers == ((C, 2), (B, 0), (A, -1))
    assert len(found.config.records) == 2
    with pytest.raises(ForeignSourceError, match="a cache that BuildKit wrote"):
        open_buildkit(data, media_type="", name="cache", blobs=Buildkits())


def test_an_export_leaves_a_layout_and_nothing_else(tmp_path):
    export_to_layout(tmp_path / "cache", exported(tmp_path / "x", "a"), MAX)
    assert {each.name for each in (tmp_path / "cache").iterdir()} == {"blobs", "index.json", "oci-layout"}
