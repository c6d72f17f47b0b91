"""What a restoration leaves in the layers directory, from real caches."""

import logging
import tarfile

import pytest

from lifecycle.cache.image import ImageCache
from lifecycle.errors import BuildpackApiError, LifecycleError
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.group import GroupElement
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, LifecycleMetadata
from lifecycle.phases.restore import RestoreInputs, restore
from lifecycle.rules.restoration import Restored


def outcome(account):
    return {name: str(layer.restored) for name, layer in account.items()}


@pytest.mark.requirement("PLAT-RES-020", "PLAT-RES-021", "BP-ANA-003", "BP-LAYER-012", "BP-LAYER-010")
def test_cached_layers_come_back_whole_and_launch_layers_as_metadata(last_build, api, caplog):
    caplog.set_level(logging.INFO)
    last_build.layer("both", flags="launch cache", data={"v": "1"}, files={"bin/tool": "x"})
    last_build.layer("cached", flags="build cache", data={"n": 1.0, "t": {"a": ["b"]}})
    last_build.layer("launched", flags="launch", data={"v": "2"})
    last_build.layer("plain", flags="launch")
    last_build.layer("built", flags="build launch", data={"v": "3"})
    assert outcome(last_build.restore(api=api)) == {
        "some/bp:both": "contents",
        "some/bp:built": "nothing",
        "some/bp:cached": "contents",
        "some/bp:launched": "metadata",
        "some/bp:plain": "metadata",
    }
    assert last_build.tree() == {
        "some_bp": None,
        "some_bp/both": None,
        "some_bp/both.toml": '[metadata]\n  v = "1"\n',
        "some_bp/both/bin": None,
        "some_bp/both/bin/tool": "x",
        "some_bp/cached": None,
        "some_bp/cached.toml": '[metadata]\n  n = 1.0\n  [metadata.t]\n    a = ["b"]\n',
        "some_bp/cached/file": "content of cached",
        "some_bp/launched.toml": '[metadata]\n  v = "2"\n',
        "some_bp/plain.toml": "",
    }
    assert [record.getMessage() for record in caplog.records if record.name == "lifecycle.phases.restore"] == [
        'Restoring metadata for "some/bp:both" from app image',
        'Restoring data for "some/bp:both" from cache',
        'Restoring metadata for "some/bp:cached" from cache',
        'Restoring data for "some/bp:cached" from cache',
        'Restoring metadata for "some/bp:launched" from app image',
        'Restoring metadata for "some/bp:plain" from app image',
    ]


@pytest.mark.requirement("PLAT-RES-020")
def test_other_buildpacks_than_those_of_the_group_get_nothing(last_build, api):
    last_build.layer("deps", bp="other", flags="launch cache")
    last_build.stores["other"] = {"a": "b"}
    assert last_build.restore(api=api) == {}
    assert last_build.tree() == {}


@pytest.mark.requirement("PLAT-RES-018", "PLAT-RES-019", "PLAT-RES-012", "BP-ANA-004")
@pytest.mark.parametrize("skip_layers", [False, True])
def test_stores_come_back_also_when_layers_are_skipped(last_build, api, caplog, skip_layers):
    caplog.set_level(logging.INFO)
    last_build.stores["some/bp"] = {"n": 1.0}
    last_build.layer("deps", flags="launch cache")
    account = last_build.restore(api=api, skip_layers=skip_layers)
    tree = last_build.tree()
    assert tree["some_bp/store.toml"] == "[metadata]\n  n = 1.0\n"
    assert ("some_bp/deps.toml" in tree) is not skip_layers
    assert (account == {}) is skip_layers
    assert ("Skipping buildpack layer analysis" in caplog.text) is skip_layers


@pytest.mark.requirement("PLAT-RES-023", "BP-ANA-002", "BP-LAYER-010")
def test_without_a_cache_no_contents_come_back(last_build, api):
    last_build.has_cache = False
    last_build.layer("both", flags="launch cache")
    last_build.layer("launched", flags="launch")
    assert outcome(last_build.restore(api=api)) == {"some/bp:both": "nothing", "some/bp:launched": "metadata"}
    assert set(last_build.tree()) == {"some_bp", "some_bp/launched.toml"}


@pytest.mark.requirement("BP-ANA-002")
def test_with_neither_image_nor_cache_nothing_comes_back(last_build, api):
    last_build.has_cache = False
    assert last_build.restore(api=api) == {}
    assert last_build.tree() == {}


@pytest.mark.requirement("BP-LAYER-008", "BP-LAYER-009")
def test_a_layer_whose_version_in_the_cache_is_another_is_removed(last_build, api, caplog):
    caplog.set_level(logging.INFO)
    layer = last_build.layer("both", flags="launch cache")
    last_build.in_image["some/bp"]["both"] = layer.model_copy(update={"sha": "sha256:" + "0" * 64})
    left_over = last_build.layers_dir / "some_bp" / "both"
    left_over.mkdir(parents=True)
    (left_over.parent / "both.toml").touch()
    (left_over.parent / "both.sha").touch()
    assert outcome(last_build.restore(api=api)) == {"some/bp:both": "nothing"}
    assert last_build.tree() == {"some_bp": None}
    assert 'Removing "some/bp:both", wrong sha' in caplog.text


@pytest.mark.requirement("BP-LAYER-011")
@pytest.mark.parametrize("damage", ["change", "cut", "remove"])
def test_of_a_broken_layer_neither_metadata_nor_contents_come_back(last_build, caplog, damage):
    layer = last_build.layer("deps", flags="cache", data={"v": "1"})
    last_build.layer("whole", flags="cache")
    last_build.write_cache()
    path = last_build.cache_dir / "committed" / f"{layer.sha}.tar"
    data = path.read_bytes()
    match damage:
        case "change":
            path.write_bytes(data.replace(b"content of", b"CONTENT OF"))
        case "cut":
            path.write_bytes(data[:-1024])
        case "remove":
            path.unlink()
    account = last_build.restore()
    assert outcome(account) == {"some/bp:deps": "nothing", "some/bp:whole": "contents"}
    assert account["some/bp:deps"].reason
    assert set(last_build.tree()) == {"some_bp", "some_bp/whole", "some_bp/whole/file", "some_bp/whole.toml"}
    assert "Skipping restore for layer some/bp:deps: " in caplog.text


@pytest.mark.parametrize(
    "entries",
    [
        [("/layers/some_bp/other/file", tarfile.REGTYPE, "x")],
        [("/layers/some_bp/deps/../../../outside", tarfile.REGTYPE, "x")],
        [("/etc/passwd", tarfile.REGTYPE, "x")],
        [
            ("/layers/some_bp/deps/link", tarfile.SYMTYPE, "/tmp"),
            ("/layers/some_bp/deps/link/x", tarfile.REGTYPE, "x"),
        ],
        [("/layers/some_bp/deps", tarfile.SYMTYPE, "/tmp")],
        [("/layers/some_bp/deps/hard", tarfile.LNKTYPE, "/etc/passwd")],
    ],
)
def test_a_cache_can_not_write_outside_the_directory_of_the_layer(last_build, make_tar, tmp_path, caplog, entries):
    data, sha = make_tar(("/layers/some_bp", tarfile.DIRTYPE, ""), *entries)
    layer = last_build.layer("deps", flags="cache")
    last_build.in_cache["some/bp"]["deps"] = (
        BuildpackLayer(sha=sha, cache=True),
        type("Source", (), {"chunks": lambda _: iter([data])})(),
    )
    assert layer.sha != sha
    before = {path.name for path in tmp_path.iterdir()}
    assert outcome(last_build.restore()) == {"some/bp:deps": "nothing"}
    assert last_build.tree() in ({}, {"some_bp": None})
    assert {path.name for path in tmp_path.iterdir()} - before <= {"layers", "cache"}
    assert "Skipping restore for layer some/bp:deps" in caplog.text


def test_a_left_over_directory_is_replaced_by_the_cached_one(last_build):
    last_build.layer("deps", flags="cache")
    left_over = last_build.layers_dir / "some_bp" / "deps"
    left_over.mkdir(parents=True)
    (left_over / "stale").write_text("x")
    last_build.restore()
    assert set(last_build.tree()) == {"some_bp", "some_bp/deps", "some_bp/deps/file", "some_bp/deps.toml"}


def test_links_and_modes_of_a_layer_survive(last_build):
    path = last_build.old_layers_dir / "some_bp" / "deps"
    path.mkdir(parents=True)
    (path / "tool").write_text("x")
    (path / "tool").chmod(0o4750)
    (path / "locked").mkdir(mode=0o550)
    (path / "link").symlink_to("/layers/some_bp/deps/tool")
    path.chmod(0o2775)
    source = last_build.source(path)
    from lifecycle.layers.source import diff_id

    layer = BuildpackLayer(sha=diff_id(source)[0], cache=True)
    last_build.in_cache["some/bp"] = {"deps": (layer, source)}
    last_build.restore()
    restored = last_build.layers_dir / "some_bp" / "deps"
    assert (restored / "tool").stat().st_mode & 0o7777 == 0o4750
    assert (restored / "locked").stat().st_mode & 0o7777 == 0o550
    assert restored.stat().st_mode & 0o7777 == 0o2775
    assert str((restored / "link").readlink()) == "/layers/some_bp/deps/tool"


@pytest.mark.parametrize("data", [["not", "a", "table"], "text", {"list": ["a", None]}])
def test_metadata_that_no_toml_file_can_hold_is_a_reason_to_restore_nothing(last_build, caplog, data):
    last_build.layer("odd", flags="launch", data=data)
    last_build.layer("fine", flags="launch")
    assert outcome(last_build.restore()) == {"some/bp:fine": "metadata", "some/bp:odd": "nothing"}
    assert set(last_build.tree()) == {"some_bp", "some_bp/fine.toml"}
    assert "Skipping restore for layer some/bp:odd" in caplog.text


def test_many_layers_come_back_at_once(last_build):
    names = [f"layer-{n:02}" for n in range(25)]
    for name in names:
        last_build.layer(name, flags="cache", files={f"f{n}": name * 999 for n in range(20)})
    account = last_build.restore()
    assert list(account) == [f"some/bp:{name}" for name in names]
    assert {layer.restored for layer in account.values()} == {Restored.CONTENTS}
    for name in names:
        assert (last_build.layers_dir / "some_bp" / name / "f19").read_text() == name * 999


def test_a_buildpack_of_an_unsupported_api_is_refused(tmp_path):
    inputs = RestoreInputs(
        api=LATEST_PLATFORM_API,
        layers_dir=tmp_path,
        buildpacks=(GroupElement(id="a", version="1", api="0.1"),),
        metadata=LifecycleMetadata(),
    )
    with pytest.raises(BuildpackApiError, match="failed to set API for Buildpack 'a@1'"):
        restore(inputs, cache=None)


def test_a_layers_directory_that_can_not_be_written_is_an_error(last_build):
    last_build.layer("deps", flags="cache")
    last_build.layers_dir.write_text("a file in the way")
    with pytest.raises(LifecycleError, match="can't be written"):
        last_build.restore()


@pytest.mark.requirement("PLAT-RES-021")
def test_a_cache_out_of_reach_costs_layers_and_not_the_build(registry_store, tmp_path, caplog):
    unreachable = ImageCache("127.0.0.1:1/some/cache", images=registry_store, work_dir=tmp_path)
    group = (GroupElement(id="some/bp", version="1", api="0.10"),)
    inputs = RestoreInputs(
        api=LATEST_PLATFORM_API,
        layers_dir=tmp_path / "layers",
        buildpacks=group,
        metadata=LifecycleMetadata(
            buildpacks=(
                BuildpackLayers(key="some/bp", layers={"launched": BuildpackLayer(sha="sha256:1", launch=True)}),
            )
        ),
    )
    account = restore(inputs, cache=unreachable)
    assert {layer.name: layer.restored for layer in account.layers} == {"launched": Restored.METADATA}
    assert "Skipping restore from cache '127.0.0.1:1/some/cache'" in caplog.text
