"""What the cache gets."""

import io
import logging
import shutil
import tarfile

import pytest

from lifecycle.cache.volume import VolumeCache
from lifecycle.errors import LifecycleError
from lifecycle.model.lifecycle_metadata import CacheMetadata
from lifecycle.phases.cache_export import export_cache
from lifecycle.rules.export_plan import Action
from lifecycle.testing.cache import MemoryCache


@pytest.fixture
def cache():
    return MemoryCache()


def rows(exported):
    return {each.id: (each.action, each.reason) for each in exported.verdicts}


def warnings(caplog):
    return [each.message for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.requirement("PLAT-EXP-071", "PLAT-EXP-072", "PLAT-EXP-073")
def test_the_cache_holds_cached_layers_their_metadata_and_their_sbom_files(situation, cache):
    situation.layer("m2", "cache", metadata={"v": 1})
    situation.layer("jdk", "build", "cache")
    situation.layer("jre", "launch")
    sbom = situation.file("sbom/cache/samples_java/m2/sbom.cdx.json")
    exported = export_cache(situation.inputs(), cache=cache)
    java, maven = cache.current.buildpacks
    assert (java.key, java.version, list(java.layers)) == ("samples/java", "0.0.1", ["jdk", "m2"])
    assert (maven.key, maven.layers) == ("samples/maven", {})
    assert java.layers["m2"].data == {"v": 1}
    assert (java.layers["jdk"].build, java.layers["jdk"].cache, java.layers["jdk"].launch) == (
        True,
        True,
        False,
    )
    shas = {layer.sha for layer in java.layers.values()}
    if situation.has_sbom:
        shas.add(cache.current.sbom.sha)
        with tarfile.open(fileobj=io.BytesIO(cache.layers[cache.current.sbom.sha])) as archive:
            assert archive.getnames()[-1] == str(sbom)
    else:
        assert cache.current.sbom.sha == ""
    assert set(cache.layers) == shas
    assert exported.metadata == cache.current


@pytest.mark.requirement("BP-LAYER-021")
def test_the_tar_in_the_cache_is_that_of_the_image(newest, cache):
    newest.layer("m2", "cache", "launch")
    image = newest.export()
    export_cache(newest.inputs(), cache=cache)
    layer = image.metadata.of("samples/java").layers["m2"]
    assert cache.current.of("samples/java").layers["m2"] == layer
    assert list(cache.layers) == [layer.sha]


def test_what_an_export_found_need_not_be_hashed_again(newest, cache):
    newest.layer("m2", "cache", "launch")
    image = newest.export()
    exported = export_cache(newest.inputs(), cache=cache, exported=image.verdicts)
    assert list(cache.layers) == [image.metadata.of("samples/java").layers["m2"].sha]
    (data,) = cache.layers.values()
    assert [each.size for each in exported.verdicts] == [len(data)]


def test_a_layer_that_an_export_stored_is_not_made_again(newest, cache):
    path = newest.layer("m2", "cache", "launch")
    image = newest.export()
    (path / "data").write_text("changed")
    export_cache(newest.inputs(), cache=cache, exported=image.verdicts, blobs=image.blobs)
    assert list(cache.layers) == [image.metadata.of("samples/java").layers["m2"].sha]


def test_what_an_export_found_is_not_believed_when_the_layer_changed_since(newest, cache, caplog):
    newest.layer("m2", "cache", "launch")
    image = newest.export()
    newest.layer("m2", "cache", "launch", contents="changed")
    export_cache(newest.inputs(), cache=cache, exported=image.verdicts)
    assert cache.layers == {}
    assert warnings(caplog)[-1].startswith("Failed to cache layer 'samples/java:m2': ")


def test_unchanged_layers_are_reused_and_others_leave_the_cache(situation, cache, caplog):
    situation.layer("m2", "cache")
    gone = situation.layer("gone", "cache")
    situation.file("sbom/cache/samples_java/m2/sbom.cdx.json")
    export_cache(situation.inputs(), cache=cache)
    shutil.rmtree(gone)
    gone.with_suffix(".toml").unlink()
    situation.layer("extra", "cache", contents="e")
    caplog.set_level(logging.INFO, "lifecycle")
    caplog.clear()
    found = rows(export_cache(situation.inputs(), cache=cache))
    expected = {
        "samples/java:extra": (Action.ADD, "new layer"),
        "samples/java:m2": (Action.REUSE, "unchanged"),
    }
    messages = ["Adding cache layer 'samples/java:extra'", "Reusing cache layer 'samples/java:m2'"]
    if situation.has_sbom:
        expected["buildpacksio/lifecycle:cache.sbom"] = (Action.REUSE, "unchanged")
        messages.append("Reusing cache layer 'buildpacksio/lifecycle:cache.sbom'")
    assert found == expected
    assert caplog.messages == messages
    assert len(cache.layers) == len(expected)


def test_a_layer_without_contents_is_left_out_with_a_warning(situation, cache, caplog):
    situation.layer("m2", "cache", contents=None)
    export_cache(situation.inputs(), cache=cache)
    assert cache.layers == {}
    assert cache.current.of("samples/java").layers == {}
    assert warnings(caplog) == ["Failed to cache layer 'samples/java:m2' because it has no contents"]


@pytest.mark.parametrize("broken", [None, b"rubbish"])
def test_a_cached_layer_that_is_missing_or_broken_is_added_again(newest, cache, caplog, broken):
    newest.layer("m2", "cache")
    export_cache(newest.inputs(), cache=cache)
    (diff_id,) = cache.layers
    whole = cache.layers[diff_id]
    cache.layers = {} if broken is None else {diff_id: broken}
    found = rows(export_cache(newest.inputs(), cache=cache))
    assert found == {"samples/java:m2": (Action.ADD, "the cached copy is missing or broken")}
    assert cache.layers == {diff_id: whole}
    assert warnings(caplog)[0].startswith("Skipping reuse for layer samples/java:m2: ")


def test_a_malformed_layer_is_no_reason_not_to_cache_the_others(newest, cache):
    newest.layer("m2", "cache")
    newest.file("samples_java/bad.toml", "[types\n")
    export_cache(newest.inputs(), cache=cache)
    assert list(cache.current.of("samples/java").layers) == ["m2"]


def test_a_cache_that_fails_is_a_warning_and_keeps_its_content(newest, cache, caplog):
    newest.layer("m2", "cache")
    cache.fails_on_commit = "no space left"
    assert export_cache(newest.inputs(), cache=cache) is None
    assert cache.layers == {}
    assert cache.current == CacheMetadata()
    assert warnings(caplog) == ["Failed to export cache: memory: no space left"]


def test_a_bug_aborts_the_transaction_and_shows(newest, cache):
    newest.layer("m2", "cache")

    def observe(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export_cache(newest.inputs(), cache=cache, observe=observe)
    assert cache.layers == {}


def test_the_fake_refuses_changes_after_commit(cache):
    transaction = cache.begin()
    transaction.commit(CacheMetadata())
    with pytest.raises(LifecycleError, match="cannot be modified after commit"):
        transaction.commit(CacheMetadata())


def test_a_volume_holds_what_the_reference_would_read(newest, tmp_path):
    newest.layer("m2", "cache")
    (tmp_path / "volume").mkdir()
    volume = VolumeCache(tmp_path / "volume")
    first = export_cache(newest.inputs(), cache=volume)
    sha = first.metadata.of("samples/java").layers["m2"].sha
    names = {path.name for path in (tmp_path / "volume" / "committed").iterdir()}
    assert names == {"io.buildpacks.lifecycle.cache.metadata", f"{sha}.tar"}
    second = export_cache(newest.inputs(), cache=VolumeCache(tmp_path / "volume"))
    assert rows(second) == {"samples/java:m2": (Action.REUSE, "unchanged")}
