"""Opening sources: what each is shows in its content, and what can't be used is told and no error."""

import json
import os
import shutil
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.cache.sources.image import source_of_image
from lifecycle.cache.sources.model import Status
from lifecycle.cache.sources.open import Opener
from lifecycle.cache.specification import read_source
from lifecycle.cache.targets.inline import LABEL as INLINE
from lifecycle.cache.volume import METADATA_NAME, VolumeCache
from lifecycle.errors import LifecycleError
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.model.cached_step import SbomPlace
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata
from lifecycle.oci.digest import DiffId
from parts.fault_proxy import Delay
from parts.fault_proxy import Status as Answer

APP = "io.buildpacks.lifecycle.metadata"
CACHE = "io.buildpacks.lifecycle.cache.metadata"


class Tar:
    def chunks(self):
        yield b"a layer".ljust(512, b"\0") + bytes(1024)


@pytest.fixture
def blob(tmp_path):
    return write_blob(Tar(), tmp_path)


def label(blob, **more):
    layers = {
        "deps": {"sha": blob.diff_id, "data": {"v": "1"}, "launch": True, "cache": True},
        "../x": {"sha": blob.diff_id, "cache": True},
    }
    return json.dumps({"buildpacks": [{"key": "a/b", "version": "1", "layers": layers}], **more})


def image(blob, **labels):
    config = replace(
        scratch_image(architecture="amd64").config,
        diff_ids=(blob.diff_id,),
        run={"Labels": labels, "Env": ["CNB_LAYERS_DIR=/layers"]},
    )
    return NewImage(None, (blob,), config)


@pytest.fixture
def opener(registry_client):
    return Opener(lambda _: registry_client, platform=ImagePlatform())


def opened(opener, *texts):
    return opener.open_all([read_source(text) for text in texts])


@pytest.mark.parametrize(
    ("name", "kind", "place"), [(APP, "app image", SbomPlace.LAUNCH), (CACHE, "cache image", SbomPlace.CACHE)]
)
@pytest.mark.parametrize("where", ["registry", "layout"])
def test_an_image_is_told_by_its_label(opener, registry, registry_store, tmp_path, blob, name, kind, place, where):
    made = image(blob, **{name: label(blob, sbom={"sha": blob.diff_id})})
    if where == "registry":
        text = f"{registry.host}/open/{kind.replace(' ', '-')}"
        registry_store.write(made, [text])
    else:
        text = str(tmp_path / "layout")
        DirectoryStore(tmp_path / "layout").write(made, ["latest"])
    (found,) = opened(opener, text)
    assert (found.status, found.source.kind) == (Status.OK, kind)
    (step,) = found.source.steps()
    (layer,) = step.layers
    assert (step.buildpack_id, step.version, step.sboms) == ("a/b", "1", {place: blob.diff_id})
    assert (layer.name, layer.diff_id, layer.digest, layer.size) == ("deps", blob.diff_id, blob.digest, blob.size)
    assert found.source.digest in found.source.name
    assert found.source.has(blob.diff_id)
    assert b"".join(found.source.layer(blob.diff_id)) == b"".join(Tar().chunks())
    assert found.source.image(blob.diff_id).manifest.layers[0].digest == blob.digest
    assert found.source.image(DiffId("sha256:" + "0" * 64)) is None


def test_a_cache_image_has_no_records_whatever_another_label_of_it_says(opener, tmp_path, blob):
    DirectoryStore(tmp_path / "layout").write(image(blob, **{CACHE: label(blob), INLINE: "{"}), ["latest"])
    (found,) = opened(opener, str(tmp_path / "layout"))
    assert found.status is Status.OK
    assert found.source.records() == {}


def test_a_volume_is_told_by_its_directory(opener, tmp_path, blob):
    path = tmp_path / "volume"
    path.mkdir()
    (empty,) = opened(opener, str(path))
    transaction = VolumeCache(path).begin()
    transaction.add_blob(blob)
    layers = {"deps": BuildpackLayer(sha=blob.diff_id, cache=True)}
    transaction.commit(CacheMetadata(buildpacks=(BuildpackLayers(key="a/b", layers=layers),)))
    (found,) = opened(opener, str(path))
    assert empty.status is Status.MISSING
    assert (found.status, found.source.kind, found.source.name) == (Status.OK, "volume", str(path))
    assert found.source.steps()[0].layers[0].size == blob.uncompressed_size
    assert found.source.image(blob.diff_id) is None
    assert b"".join(found.source.layer(blob.diff_id)) == b"".join(Tar().chunks())


def test_a_layout_gives_what_its_tag_or_digest_names(opener, tmp_path, blob):
    store = DirectoryStore(tmp_path / "layout")
    store.write(image(blob, **{APP: label(blob)}), ["one"])
    store.write(image(blob, **{CACHE: label(blob)}), ["two"])
    digest = store.find("two").reference.rpartition("@")[2]
    src = f"type=local,src={tmp_path / 'layout'}"
    found = opened(opener, f"{src},tag=one", f"{src},tag=two", f"{src},digest={digest}", src, f"{src},tag=none")
    assert [each.source and each.source.kind for each in found] == [
        "app image", "cache image", "cache image", None, None,
    ]  # fmt: skip
    assert [each.status for each in found[3:]] == [Status.MISSING, Status.MISSING]
    assert "its tags: one, two" in found[3].error


def test_what_can_not_be_used_is_told_in_one_line(opener, registry, registry_store, tmp_path, blob, fault_proxy):
    foreign, broken = f"{registry.host}/open/foreign", f"{registry.host}/open/broken"
    registry_store.write(image(blob), [foreign])
    registry_store.write(image(blob, **{APP: '{"buildpacks": 1}'}), [broken])
    proxy = fault_proxy(registry.host)
    proxy.fault(Answer(401), times=None)
    damaged = tmp_path / "layout"
    DirectoryStore(damaged).write(image(blob, **{APP: label(blob)}), ["latest"])
    (damaged / "index.json").write_text("{")
    found = opened(
        opener, foreign, broken, f"{registry.host}/open/none", f"{proxy.host}/x/y", "127.0.0.1:1/x/y", str(damaged),
        str(tmp_path / "none"),
    )  # fmt: skip
    assert [each.status for each in found] == [
        Status.FOREIGN, Status.ERROR, Status.MISSING, Status.DENIED, Status.ERROR, Status.ERROR, Status.MISSING,
    ]  # fmt: skip
    assert all(each.error and "\n" not in each.error and each.source is None for each in found)
    assert [each.index for each in found] == list(range(1, 8))


def test_one_that_hangs_is_left_behind_while_the_others_are_there(
    registry, registry_store, registry_client, blob, fault_proxy
):
    name = f"{registry.host}/open/beside"
    registry_store.write(image(blob, **{APP: label(blob)}), [name])
    proxy = fault_proxy(registry.host)
    proxy.fault(Delay(600), times=None)
    opener = Opener(lambda _: registry_client, platform=ImagePlatform())
    started = time.monotonic()
    hanging, beside = opened(
        opener, f"type=registry,ref={proxy.host}/open/beside,timeout=1", f"type=registry,ref={name},timeout=60"
    )
    assert time.monotonic() - started < 60
    assert (hanging.status, hanging.error) == (Status.ERROR, "did not answer within 1 s")
    assert beside.status is Status.OK


def test_a_file_that_never_ends_hangs_nobody(opener, tmp_path, blob):
    path = tmp_path / "layout"
    DirectoryStore(path).write(image(blob, **{APP: label(blob)}), ["latest"])
    (path / "index.json").unlink()
    os.mkfifo(path / "index.json")
    (found,) = opened(opener, f"type=local,src={path},timeout=0.5")
    assert found.status is Status.ERROR


def test_a_source_stays_what_it_was_when_it_was_opened(opener, registry, registry_store, blob, tmp_path):
    name = f"{registry.host}/open/moving"
    registry_store.write(image(blob, **{APP: label(blob)}), [name])
    (found,) = opened(opener, name)
    registry_store.write(image(blob), [name])
    assert found.source.steps()
    assert b"".join(found.source.layer(blob.diff_id)) == b"".join(Tar().chunks())
    assert registry_store.find(name).reference != found.source.name


def test_a_volume_whose_files_go_is_one_without_layers(opener, tmp_path, blob):
    path = tmp_path / "volume"
    path.mkdir()
    transaction = VolumeCache(path).begin()
    transaction.add_blob(blob)
    transaction.commit(CacheMetadata())
    (found,) = opened(opener, str(path))
    (path / "committed" / f"{blob.diff_id}.tar").unlink()
    assert not found.source.has(blob.diff_id)
    (path / "committed" / METADATA_NAME).write_text("[]")
    assert opened(opener, str(path))[0].status is Status.ERROR
    shutil.rmtree(path)


_KEYS = st.sampled_from(["buildpacks", "sbom", "sha", "key", "layers", "deps", "cache", "launch", "store", "data"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)


def _around(inner):
    return _LEAVES | st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=4), inner, max_size=4)


_JSON = _around(_around(_around(_around(_LEAVES))))


@settings(max_examples=150)
@given(_JSON.map(json.dumps) | st.text(max_size=30), st.sampled_from([APP, CACHE]))
def test_any_label_is_understood_or_refused(text, name):
    base = scratch_image(architecture="amd64")
    found = replace(base, config=replace(base.config, run={"Labels": {name: text}}))
    try:
        steps = source_of_image(found).steps()
    except LifecycleError:
        return
    assert all("/" not in layer.name for step in steps for layer in step.layers)
