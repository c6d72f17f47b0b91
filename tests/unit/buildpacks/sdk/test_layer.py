"""Layers over two builds, the second of which gets back what the first left."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tomllib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp
from lifecycle.model.layer import LayerMetadata


@dataclasses.dataclass(frozen=True)
class Key:
    lock: str
    python_version: str = "3.11"
    extra: str | None = None


def toml(site, name="it"):
    return tomllib.loads((site.layers / f"{name}.toml").read_text())


def first_build(site, key=Key("a"), **arguments):
    context = site.build()
    layer = context.cached_layer("it", key=key, restored=bp.keep_if_same, **arguments)
    (layer.path / "contents").write_text("first")
    context.finish()
    return layer


def restore(site, name="it"):
    """Do what a lifecycle does between builds: metadata comes back without types."""
    metadata = toml(site, name).get("metadata", {})
    (site.layers / f"{name}.toml").write_text(bp.toml_text({"metadata": metadata}))


def test_a_new_layer_is_an_empty_directory_and_says_so(site, capsys):
    layer = first_build(site)
    assert (layer.restored, layer.cause, layer.previous) == (False, "none from an earlier build", None)
    assert capsys.readouterr().out == "Creating layer it: none from an earlier build\n"
    read = LayerMetadata.model_validate(toml(site))
    assert (read.types.build, read.types.launch, read.types.cache) == (True, True, True)
    assert read.metadata == {"lock": "a", "python-version": "3.11"}


@pytest.mark.parametrize(
    ("old", "new", "restored", "cause"),
    [
        (Key("3.x", extra="3.1"), Key("3.x"), True, "same lock, python-version as in the last build"),
        (
            Key("3.x", extra="3.1"),
            Key("3.x", extra="3.1"),
            True,
            "same lock, python-version, extra as in the last build",
        ),
        (Key("3.x", extra="3.1"), Key("3.x", extra="3.2"), False, "extra 3.1 → 3.2"),
        (Key("3.x", extra="3.1"), Key("4.x"), False, "lock 3.x → 4.x"),
    ],
)
def test_what_a_build_found_out_stays_until_the_wish_changes_or_the_next_build_knows_better(
    site, old, new, restored, cause
):
    first_build(site, old)
    restore(site)
    layer = site.build().cached_layer("it", key=new, restored=bp.keep_if_fits)
    assert (layer.restored, layer.cause) == (restored, cause)
    assert layer.metadata == (old if restored else new)


def test_a_tool_s_cache_comes_back_as_it_was_left_and_is_for_nobody_else(site):
    context = site.build()
    (context.tool_cache("downloads") / "kept").touch()
    context.finish()
    assert toml(site, "downloads") == {"types": {"cache": True}}
    restore(site, "downloads")
    assert (site.build().tool_cache("downloads") / "kept").exists()


@pytest.mark.parametrize(
    ("types", "flags"),
    [
        (bp.Types(0), {"cache": True}),
        (bp.BUILD, {"cache": True, "build": True}),
        (bp.LAUNCH, {"cache": True, "launch": True}),
    ],
)
def test_types_say_for_whom_a_cached_layer_is(site, types, flags):
    first_build(site, types=types)
    assert toml(site)["types"] == flags


def test_the_same_key_keeps_contents_and_says_why(site, capsys):
    first_build(site)
    restore(site)
    capsys.readouterr()
    context = site.build()
    layer = context.cached_layer("it", key=Key("a"), restored=bp.keep_if_same)
    assert (layer.restored, layer.previous) == (True, Key("a"))
    assert capsys.readouterr().out == "Reusing layer it: same lock, python-version as in the last build\n"
    context.finish()
    assert (layer.path / "contents").read_text() == "first"
    assert toml(site)["types"] == {"launch": True, "build": True, "cache": True}


def test_another_key_drops_the_contents_and_names_what_differs(site):
    first_build(site, Key("0" * 64, "3.11"))
    (site.layers / "it.sbom.cdx.json").write_text("{}")
    restore(site)
    layer = site.build().cached_layer("it", key=Key("1" * 64, "3.12", "yes"), restored=bp.keep_if_same)
    assert layer.cause == "lock changed, python-version 3.11 → 3.12, extra none → yes"
    assert list(layer.path.iterdir()) == []
    assert [path.name for path in site.layers.iterdir()] == ["it"]


def test_a_migration_keeps_contents_and_changes_metadata(site):
    first_build(site)
    restore(site)
    context = site.build()
    layer = context.cached_layer("it", key=Key("b"), restored=lambda old, new: bp.Migrate(new, f"{old.lock} was close"))
    assert (layer.restored, layer.cause, layer.metadata) == (True, "a was close", Key("b"))
    assert (layer.path / "contents").exists()
    context.finish()
    assert toml(site)["metadata"]["lock"] == "b"


def test_a_kept_layer_keeps_the_metadata_that_is_true_of_it(site):
    first_build(site)
    restore(site)
    context = site.build()
    layer = context.cached_layer("it", key=Key("b"), restored=lambda _old, _new: bp.Keep("good enough"))
    context.finish()
    assert layer.metadata == Key("a")
    assert toml(site)["metadata"]["lock"] == "a"


@pytest.mark.parametrize(
    "decide",
    [
        lambda old, new: bp.Keep("same"),
        lambda old, new: bp.Drop("other"),
        lambda old, new: bp.Migrate(new, "close"),
    ],
    ids=["keep", "drop", "migrate"],
)
def test_a_build_that_aborts_leaves_no_layer_with_types(site, decide):
    first_build(site)
    # The layers directory of the build before, as it is where nobody restores.
    assert "types" in toml(site)
    site.build().cached_layer("it", key=Key("a"), restored=decide)
    assert not (site.layers / "it.toml").exists() or "types" not in toml(site)


def test_metadata_goes_before_contents_are_removed(site, monkeypatch):
    first_build(site)

    def refuse(_path):
        raise OSError("interrupted")

    monkeypatch.setattr("pathlib.Path.rmdir", refuse)
    with pytest.raises(OSError, match="interrupted"):
        site.build().cached_layer("it", key=Key("b"), restored=bp.keep_if_same)
    assert not (site.layers / "it.toml").exists()


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ('lock = "a"\nnew = 1', "metadata has new"),
        ("", "metadata has no lock"),
        ("lock = 1", "metadata.lock is 1, not str"),
    ],
)
def test_metadata_of_another_shape_drops_the_layer_unless_its_author_says_otherwise(site, metadata, problem):
    (site.layers / "it").mkdir()
    (site.layers / "it.toml").write_text(f"[metadata]\n{metadata}\n")
    layer = site.build().cached_layer("it", key=Key("a"), restored=bp.keep_if_same)
    assert layer.cause == f"left by another version of the buildpack ({problem})"


def test_an_author_can_migrate_metadata_of_another_shape(site):
    (site.layers / "it").mkdir()
    (site.layers / "it" / "contents").touch()
    (site.layers / "it.toml").write_text("[metadata]\nchecksum = 'a'\n")
    layer = site.build().cached_layer(
        "it",
        key=Key("b"),
        restored=bp.keep_if_same,
        invalid=lambda raw, new: bp.Migrate(dataclasses.replace(new, lock=raw["checksum"]), "renamed"),
    )
    assert (layer.restored, layer.metadata.lock) == (True, "a")
    assert (layer.path / "contents").exists()


@pytest.mark.parametrize("content", [b"[metadata", b"\xff", b""], ids=["no toml", "no text", "no metadata"])
def test_unreadable_metadata_makes_a_new_layer(site, content):
    (site.layers / "it").mkdir()
    (site.layers / "it" / "stale").touch()
    (site.layers / "it.toml").write_bytes(content)
    layer = site.build().cached_layer("it", key=Key("a"), restored=bp.keep_if_same)
    assert not layer.restored
    assert list(layer.path.iterdir()) == []


def test_a_layer_in_which_nobody_may_write_can_be_dropped(site):
    layer = first_build(site)
    (layer.path / "module").mkdir()
    (layer.path / "module" / "file").touch()
    (layer.path / "module").chmod(0o555)
    assert not site.build().cached_layer("it", key=Key("b"), restored=bp.keep_if_same).restored
    assert list(layer.path.iterdir()) == []


def test_forgetting_what_a_callback_decides_is_an_error(site):
    first_build(site)
    with pytest.raises(bp.BuildpackError, match=r"None does not say what happens .* return Keep\(cause\)"):
        site.build().cached_layer("it", key=Key("a"), restored=lambda _old, _new: None)


def test_a_launch_layer_that_is_kept_has_no_directory_and_stays_in_the_image(site):
    context = site.build()
    context.launch_layer("it", key=Key("a"), restored=bp.keep_if_same)
    context.finish()
    restore(site)
    shutil.rmtree(site.layers / "it")
    context = site.build()
    layer = context.launch_layer("it", key=Key("a"), restored=bp.keep_if_same)
    assert (layer.restored, layer.in_image_only) == (True, True)
    layer.env.default("A", "b")
    with pytest.raises(bp.BuildpackError, match="is in the previous image only"):
        layer.exec_d("program", "#!/bin/sh\n")
    context.finish()
    assert not (site.layers / "it").exists()
    assert toml(site) == {"types": {"launch": True}, "metadata": {"lock": "a", "python-version": "3.11"}}


def test_a_launch_layer_with_another_key_is_made_anew(site):
    (site.layers / "it.toml").write_text('[metadata]\nlock = "a"\n')
    layer = site.build().launch_layer("it", key=Key("b"), restored=bp.keep_if_same)
    assert (layer.restored, layer.path.is_dir()) == (False, True)


def test_an_uncached_layer_is_empty_in_each_build(site):
    for _ in range(2):
        context = site.build()
        layer = context.uncached_layer("it", types=bp.BUILD, metadata={"a": 1})
        assert list(layer.path.iterdir()) == []
        (layer.path / "contents").touch()
        context.finish()
        assert toml(site) == {"types": {"build": True}, "metadata": {"a": 1}}


def test_a_layer_that_is_forgotten_is_not_there(site):
    context = site.build()
    context.uncached_layer("it", types=bp.BUILD).forget()
    context.finish()
    assert list(site.layers.iterdir()) == []


def test_variables_are_written_when_the_build_ends_and_replace_those_of_the_build_before(site):
    for name in ("OLD", "NEW"):
        context = site.build()
        layer = context.cached_layer("it", key=Key("a"), restored=bp.keep_if_same)
        layer.env.override(name, "1")
        layer.env.default(name, "2", scope=bp.LAUNCH)
        layer.env.append(name, "3", delim=":", process="web")
        context.finish()
    files = {str(path.relative_to(layer.path)): path.read_text() for path in layer.path.rglob("*") if path.is_file()}
    assert files == {
        "env/NEW.override": "1",
        "env.launch/NEW.default": "2",
        "env.launch/web/NEW.append": "3",
        "env.launch/web/NEW.delim": ":",
    }
    assert bp.LayerEnv.read(layer.path).files == layer.env.files


def test_a_restored_layer_that_declares_no_variables_keeps_those_it_has(site):
    context = site.build()
    context.cached_layer("it", key=Key("a"), restored=bp.keep_if_same).env.override("A", "1")
    context.finish()
    context = site.build()
    layer = context.cached_layer("it", key=Key("a"), restored=bp.keep_if_same)
    context.finish()
    assert (layer.path / "env/A.override").read_text() == "1"


def test_exec_d_programs_can_run(site, tmp_path):
    layer = site.build().uncached_layer("it", types=bp.LAUNCH)
    layer.exec_d("all", "#!/bin/sh\necho 'A = \"1\"' >&3\n")
    (tmp_path / "program").write_bytes(b"#!/bin/sh\n")
    layer.exec_d("one", tmp_path / "program", process="web")
    said = subprocess.check_output(["sh", "-c", f"{layer.path}/exec.d/all 3>&1"], text=True)
    assert said == 'A = "1"\n'
    assert os.access(layer.path / "exec.d/web/one", os.X_OK)
    with pytest.raises(bp.BuildpackError, match=r"exec\.d/two of layer it: .*/none is no file; name the program"):
        layer.exec_d("two", tmp_path / "none")


@pytest.mark.parametrize("form", [bp.CYCLONEDX, bp.SPDX, bp.SYFT], ids=lambda form: form.extension)
def test_bills_of_materials_are_written_as_values_or_text(site, form):
    context = site.build()
    layer = context.uncached_layer("it", types=bp.LAUNCH)
    layer.sbom(form, {"a": "ü"})
    context.launch_sbom(form, '{"b": 1}')
    context.build_sbom(form, b'{"c": 1}')
    texts = [(site.layers / f"{stem}.sbom.{form.extension}").read_text() for stem in ("it", "launch", "build")]
    assert texts == ['{\n  "a": "ü"\n}\n', '{"b": 1}', '{"c": 1}']


def test_an_undeclared_bill_of_materials_is_refused_with_the_line_to_add(new_site):
    context = new_site(declared="").build()
    with pytest.raises(bp.BuildpackError, match=r'add "application/spdx\+json" to buildpack.sbom-formats'):
        context.launch_sbom(bp.SPDX, {})


@pytest.mark.parametrize("name", ["launch", "build", "store", "", "..", "a/b", ".hidden", "a\nb"])
def test_names_that_no_layer_can_have_are_refused(site, name):
    with pytest.raises(bp.BuildpackError, match="can't be the name of a layer"):
        site.build().uncached_layer(name, types=bp.BUILD)


def test_a_layer_is_asked_for_once(site):
    context = site.build()
    context.uncached_layer("it", types=bp.BUILD)
    with pytest.raises(bp.BuildpackError, match="asked for twice"):
        context.cached_layer("it", key={}, restored=bp.keep_if_same)


def test_execution_environments_of_a_layer_are_in_its_metadata_and_no_part_of_the_key(site):
    first_build(site, exec_env=["test"])
    assert toml(site)["metadata"]["exec-env"] == ["test"]
    restore(site)
    assert site.build().cached_layer("it", key=Key("a"), restored=bp.keep_if_same, exec_env=["test"]).restored


def test_execution_environments_of_a_layer_need_an_api_that_has_them(new_site):
    with pytest.raises(bp.BuildpackError, match=r'needs Buildpack API 0\.12 or newer.* set api = "0\.12" in buildpack'):
        first_build(new_site(api="0.11"), exec_env=["test"])


def test_profile_d_is_written_for_an_api_that_sources_it(new_site):
    layer = new_site(api="0.8").build().uncached_layer("it", types=bp.LAUNCH)
    layer.profile_d("it.sh", "export A=1\n")
    assert (layer.path / "profile.d/it.sh").read_text() == "export A=1\n"


def test_profile_d_is_refused_for_an_api_without_it(site):
    layer = site.build().uncached_layer("it", types=bp.LAUNCH)
    with pytest.raises(bp.BuildpackError, match=r"profile.d script needs Buildpack API 0\.8 or older.*exec\.d"):
        layer.profile_d("it.sh", "export A=1\n")


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wide:
    text: str
    number: int
    ratio: float
    flag: bool
    kind: Literal["a", "b"]
    pair: tuple[int, str]
    names: list[str]
    table: dict[str, int]
    part: Part
    parts: tuple[Part, ...]
    perhaps: int | None = 7


@given(
    st.builds(
        Wide,
        text=st.text(),
        number=st.integers(-(2**63), 2**63 - 1),
        ratio=st.floats(allow_nan=False),
        kind=st.sampled_from(["a", "b"]),
        pair=st.tuples(st.integers(-9, 9), st.text()),
        part=st.builds(Part, name=st.text(), sizes=st.lists(st.integers(0, 9)).map(tuple)),
        parts=st.lists(st.builds(Part, name=st.text())).map(tuple),
        perhaps=st.none() | st.integers(0, 9),
    )
)
def test_a_key_of_any_shape_comes_back_equal(value):
    from cnb_buildpack.metadata import from_table, to_table

    assert from_table(Wide, tomllib.loads(bp.toml_text(to_table(value)))) == value


def test_a_key_can_be_a_dict(site):
    first_build(site, {"lock": "a", "parts": [1, 2]})
    restore(site)
    layer = site.build().cached_layer("it", key={"lock": "a", "parts": [1, 2]}, restored=bp.keep_if_same)
    assert layer.restored
