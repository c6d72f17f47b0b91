"""SBOM files of restored layers."""

import pytest

WITH_SBOM = ["0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"]


def sboms(last_build):
    return {name: text for name, text in last_build.tree().items() if ".sbom." in name}


@pytest.mark.requirement("PLAT-RES-022", "BP-ANA-003", "BP-LAYER-005", "BP-LAYER-007")
@pytest.mark.parametrize("api", WITH_SBOM)
def test_each_restored_layer_gets_the_files_of_who_remembers_it(last_build, api):
    last_build.layer("cached", flags="cache")
    last_build.layer("both", flags="launch cache")
    last_build.layer("launched", flags="launch")
    for ext in ("cdx", "spdx", "syft"):
        last_build.sbom("cached", f"cached {ext}", ext=ext)
    last_build.sbom("both", "from cache")
    last_build.sbom("both", "from image", where="launch")
    last_build.sbom("launched", "launched", where="launch")
    last_build.restore(api=api)
    assert sboms(last_build) == {
        "some_bp/cached.sbom.cdx.json": "cached cdx",
        "some_bp/cached.sbom.spdx.json": "cached spdx",
        "some_bp/cached.sbom.syft.json": "cached syft",
        "some_bp/both.sbom.cdx.json": "from image",
        "some_bp/launched.sbom.cdx.json": "launched",
    }
    assert "sbom" not in last_build.tree()


@pytest.mark.requirement("BP-LAYER-004", "BP-LAYER-011")
@pytest.mark.parametrize("api", WITH_SBOM)
def test_a_layer_that_does_not_come_back_gets_none(last_build, api):
    last_build.layer("built", flags="build launch")
    last_build.layer("gone", flags="launch cache", cache=False)
    last_build.sbom("built", where="launch")
    last_build.sbom("gone", where="launch")
    last_build.sbom("unknown", where="launch")
    last_build.sbom("other", bp="other", where="launch")
    last_build.restore(api=api)
    assert last_build.tree() == {}


@pytest.mark.requirement("BP-LAYER-013")
@pytest.mark.parametrize("api", WITH_SBOM)
def test_files_that_belong_to_no_layer_are_not_handed_out(last_build, api):
    last_build.layer("launched", flags="launch")
    for name in ("sbom.cdx.json", "launched/notes.txt"):
        path = last_build.layers_dir / "sbom/launch/some_bp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    last_build.restore(api=api)
    assert set(last_build.tree()) == {"some_bp", "some_bp/launched.toml"}


def test_before_platform_api_0_8_there_are_none(last_build):
    last_build.layer("cached", flags="cache")
    last_build.sbom("cached")
    last_build.restore(api="0.7")
    assert sboms(last_build) == {}


@pytest.mark.requirement("BP-LAYER-011")
def test_layers_of_a_cache_whose_sbom_files_are_broken_do_not_come_back(last_build, caplog):
    last_build.layer("cached", flags="cache")
    last_build.layer("launched", flags="launch")
    last_build.sbom("cached")
    last_build.write_cache()
    files = {path.read_bytes(): path for path in (last_build.cache_dir / "committed").glob("*.tar")}
    (broken,) = [path for data, path in files.items() if b"sbom/cache" in data]
    broken.write_bytes(b"x")
    account = last_build.restore()
    assert {name: str(layer.restored) for name, layer in account.items()} == {"some/bp:launched": "metadata"}
    assert set(last_build.tree()) == {"some_bp", "some_bp/launched.toml"}
    assert "whose SBOM files are unusable" in caplog.text
