"""App image and cache image in a real registry, from one build to the next."""

import itertools
import logging
import os

import pytest

from lifecycle.cache.image import image_cache
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.registry.store import RegistryStore
from lifecycle.model.group import GroupElement
from lifecycle.phases.cache_export import export_cache
from lifecycle.phases.restore import RestoreInputs, restore
from lifecycle.rules.export_plan import Action
from parts.fault_proxy import Status

_NUMBERS = itertools.count()
JAVA = GroupElement(id="samples/java", version="0.0.1", api="0.10")


@pytest.fixture
def proxy(registry, fault_proxy):
    return fault_proxy(registry.host)


@pytest.fixture
def name(proxy):
    """Return names in repositories of this test."""
    number = next(_NUMBERS)
    return lambda repository, tag="latest": f"{proxy.host}/export-{number}/{repository}:{tag}"


@pytest.fixture
def store(registry_client):
    """Return the store of one process."""
    return lambda: RegistryStore(registry_client, platform=ImagePlatform())


def sent(proxy):
    return [each for each in proxy.requests("PATCH|PUT", "/blobs/uploads/") if each.body_bytes]


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.requirement("PLAT-EXP-033", "PLAT-FILE-027", "PLAT-FILE-028")
def test_the_report_has_the_digest_by_which_the_image_is_found(situation, name, store):
    situation.layer("jdk", "launch")
    names = (name("app"), name("app", "2"), name("other"))
    in_memory = situation.export()
    situation.previous = None
    exported = situation.export(images=store(), names=names)
    report = exported.report.image
    assert report.tags == names
    assert exported.written.image_id == in_memory.written.image_id
    for each in names:
        found = store().find(each)
        assert found.reference.endswith(f"@{report.digest}")
        assert len(found.stored.data) == report.manifest_size


def test_the_next_export_sends_only_what_changed(newest, name, proxy, store):
    newest.layer("jdk", "launch")
    newest.layer("jre", "launch", contents="old")
    newest.export(images=store(), names=(name("app"),))
    proxy.log.clear()
    newest.layer("jre", "launch", contents="new")
    verdicts = newest.export(images=store(), names=(name("app"),)).verdicts
    added = [each.id for each in verdicts if each.action is Action.ADD]
    assert added == ["samples/java:jre"]
    assert len(sent(proxy)) == len(added) + 1  # the configuration
    assert not proxy.requests("GET", "/blobs/sha256:.*" + newest.previous.manifest.layers[-1].digest[7:])


@pytest.fixture
def build(situation, name, store, tmp_path):
    """Export app and cache to the registry as one process does it."""

    def run():
        images = store()
        cache = image_cache(name("cache"), images=images, api=situation.api, work_dir=tmp_path)
        exported = situation.export(images=images, names=(name("app"),))
        return export_cache(situation.inputs(), cache=cache, exported=exported.verdicts, blobs=exported.blobs)

    return run


@pytest.mark.requirement("BP-EXP-008", "BP-LAYER-020", "PLAT-EXP-071", "PLAT-EXP-072", "PLAT-EXP-073", "PLAT-RES-023")
def test_what_one_build_cached_in_an_image_the_next_gets_back(situation, build, name, store, tmp_path):
    situation.layer("m2", "cache", metadata={"v": "1"}, contents="jars")
    situation.layer("both", "cache", "launch", "build", contents="tools")
    situation.file("sbom/cache/samples_java/m2/sbom.cdx.json", '{"of":"m2"}')
    assert build() is not None

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    cache = image_cache(name("cache"), images=store(), api=situation.api, work_dir=tmp_path)
    inputs = RestoreInputs(
        api=situation.api,
        layers_dir=fresh,
        image_layers_dir=situation.layers_dir,
        buildpacks=(JAVA,),
        metadata=situation.analyzed,
    )
    restore(inputs, cache=cache)
    assert (fresh / "samples_java/m2/data").read_text() == "jars"
    assert (fresh / "samples_java/both/data").read_text() == "tools"
    assert (fresh / "samples_java/m2.toml").read_text() == '[metadata]\n  v = "1"\n'
    sbom = fresh / "samples_java/m2.sbom.cdx.json"
    assert (sbom.read_text() if sbom.exists() else None) == ('{"of":"m2"}' if situation.has_sbom else None)


def test_a_layer_of_app_and_cache_is_compressed_and_sent_once(newest, name, proxy, store, tmp_path):
    newest.layer("both", "cache", "launch", contents=os.urandom(300).hex())
    images = store()
    cache = image_cache(name("cache"), images=images, api=newest.api, work_dir=tmp_path)
    exported = newest.export(images=images, names=(name("app"),))
    proxy.log.clear()
    export_cache(newest.inputs(), cache=cache, exported=exported.verdicts, blobs=exported.blobs)
    assert len(sent(proxy)) == 1  # the configuration
    assert [each.status for each in proxy.requests("POST", "mount=")] == [201]
    layer = images.find(name("cache")).manifest.layers[0]
    assert layer.digest in {each.digest for each in images.find(name("app")).manifest.layers}


def test_an_unchanged_cached_layer_is_neither_read_nor_sent_again(newest, name, proxy, store, tmp_path):
    def export():
        images = store()
        cache = image_cache(name("cache"), images=images, api=newest.api, work_dir=tmp_path)
        return export_cache(newest.inputs(), cache=cache)

    newest.layer("m2", "cache")
    export()
    layer = store().find(name("cache")).manifest.layers[0]
    newest.layer("more", "cache", contents="more")
    proxy.log.clear()
    export()
    assert store().find(name("cache")).manifest.layers[0] == layer
    assert not proxy.requests("GET", layer.digest)
    assert len(sent(proxy)) == 2  # the new layer and the configuration


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "cache/blobs/uploads"), ("PUT", "cache/manifests"), ("HEAD", "cache/blobs")]
)
def test_a_cache_image_that_can_not_be_written_is_a_warning_and_the_old_one_stays(
    newest, name, proxy, store, tmp_path, caplog, method, path
):
    def export():
        images = store()
        cache = image_cache(name("cache"), images=images, api=newest.api, work_dir=tmp_path / "work")
        return export_cache(newest.inputs(), cache=cache)

    newest.layer("m2", "cache")
    export()
    old = store().find(name("cache")).reference
    newest.layer("m2", "cache", contents="changed")
    proxy.fault(Status(403, message="read only"), method=method, path=path, times=None)
    assert export() is None
    proxy.clear()
    assert store().find(name("cache")).reference == old
    (warning,) = warnings(caplog)
    assert warning.startswith("Failed to export cache: ")
    assert "read only" in warning or method == "HEAD"


@pytest.mark.parametrize("api", ["0.12", "0.13"])
def test_the_replaced_cache_image_goes_up_to_platform_api_0_12(situation_of, name, store, tmp_path, api):
    situation = situation_of(api)

    def export():
        cache = image_cache(name("cache"), images=store(), api=situation.api, work_dir=tmp_path)
        export_cache(situation.inputs(), cache=cache)
        return store().find(name("cache")).reference

    situation.layer("m2", "cache")
    old = export()
    assert export() == old
    situation.layer("m2", "cache", contents="changed")
    assert export() != old
    assert (store().find(old) is None) == (api == "0.12")
