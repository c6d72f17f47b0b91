"""launch.toml of all buildpacks becomes metadata.toml."""

from __future__ import annotations

import json
import tomllib

import pytest

from lifecycle.errors import BuildError
from lifecycle.files.build_metadata import metadata_path
from lifecycle.files.codec import load
from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, PlatformApi
from lifecycle.model.build_metadata import BuildMetadata

BUILDPACKS = pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
PLATFORMS = pytest.mark.parametrize("api", [PlatformApi(version) for version in PLATFORM_APIS], ids=str)


def launch(toml: str) -> str:
    """Return a script that writes launch.toml."""
    return f"cat > \"$L/launch.toml\" <<'END'\n{toml}\nEND"


def process(name: str, *, default: bool = False, api: str = "0.12") -> str:
    command = f"['{name}-command']" if api == "0.12" else f"'{name}-command'"
    return f"[[processes]]\ntype = '{name}'\ncommand = {command}\n" + ("default = true\n" if default else "")


EVERYTHING = """
[[labels]]
key = "k"
value = "v"
[[processes]]
type = "web"
command = ["java", "-jar", "<&>"]
args = ["<app>.jar"]
default = true
working-dir = "/x"
exec-env = ["production"]
[[processes]]
type = "task"
command = ["run"]
[[slices]]
paths = ["public/*"]
"""


@pytest.mark.requirement("PLAT-FILE-013", "PLAT-FILE-016", "PLAT-FILE-017", "PLAT-FILE-018", "BP-LTOML-001")
@pytest.mark.requirement("BP-LTOML-003", "BP-LTOML-004", "BP-LTOML-005", "PLAT-BLD-016", "PLAT-BLD-017")
@pytest.mark.requirement("PLAT-BLD-019")
def test_metadata_toml_has_the_bytes_of_the_reference(builder):
    builder.buildpack("samples/java", launch(EVERYTHING))
    text = builder.metadata_toml(extensions=[{"id": "some/ext", "version": "2", "api": "0.10", "optional": True}])
    assert text == (
        'buildpack-default-process-type = "web"\n'
        '\n[[buildpacks]]\n  id = "samples/java"\n  version = "1"\n  api = "0.12"\n'
        '\n[[extensions]]\n  id = "some/ext"\n  version = "2"\n  api = "0.10"\n'
        '\n[[labels]]\n  key = "k"\n  value = "v"\n'
        '\n[[processes]]\n  type = "task"\n  command = ["run"]\n  direct = true\n  buildpack-id = "samples/java"\n'
        '\n[[processes]]\n  type = "web"\n  command = ["java", "-jar", "\\u003c\\u0026\\u003e"]\n'
        '  args = ["<app>.jar"]\n  direct = true\n  buildpack-id = "samples/java"\n'
        '  working-dir = "/x"\n  exec-env = ["production"]\n'
        '\n[[slices]]\n  paths = ["public/*"]\n'
    )


def test_a_slice_without_paths_stays_without_and_one_with_none_stays_so(builder):
    builder.buildpack("a/1", launch("[[slices]]\n[[slices]]\npaths = []\n"))
    assert builder.metadata_toml().endswith("\n[[slices]]\n\n[[slices]]\n  paths = []\n")


@pytest.mark.requirement("PLAT-BLD-016")
@PLATFORMS
def test_buildpacks_that_write_nothing_are_listed(builder, api):
    builder.buildpack("b/1")
    builder.buildpack("a/2", api="0.7")
    assert builder.metadata_toml(api=api) == (
        "processes = []\n"
        '\n[[buildpacks]]\n  id = "b/1"\n  version = "1"\n  api = "0.12"\n'
        '\n[[buildpacks]]\n  id = "a/2"\n  version = "1"\n  api = "0.7"\n'
    )


@pytest.mark.requirement("PLAT-FILE-015", "PLAT-FILE-016")
@PLATFORMS
def test_the_platform_api_decides_whether_a_command_is_a_string(builder, api):
    builder.buildpack("a/b", launch("[[processes]]\ntype='w'\ncommand=['a', 'b']\nargs=['c']"))
    text = builder.metadata_toml(api=api)
    expected = (
        '  command = ["a", "b"]\n  args = ["c"]\n'
        if api.version.minor >= 10
        else '  command = "a"\n  args = ["b", "c"]\n'
    )
    assert f'[[processes]]\n  type = "w"\n{expected}  direct = true\n' in text
    read = load(BuildMetadata, metadata_path(builder.layers_dir))
    assert [(each.type, each.command[0]) for each in read.processes] == [("w", "a")]


@pytest.mark.requirement("BP-LTOML-002", "BP-LTOML-003")
@BUILDPACKS
@pytest.mark.parametrize("direct", [None, True, False], ids=str)
@pytest.mark.parametrize("listed", [True, False], ids=["list", "string"])
def test_the_buildpack_api_decides_how_a_command_is_written(builder, api, direct, listed):
    key = "" if direct is None else f"direct = {str(direct).lower()}"
    command = "['a', 'b']" if listed else "'a b'"
    builder.buildpack("a/b", launch(f"[[processes]]\ntype='w'\ncommand={command}\n{key}"), api=str(api))
    if api.minor >= 9:
        if listed and direct is None:
            (found,) = builder.build().metadata.processes
            assert (found.command, found.direct) == (("a", "b"), True)
            return
        problem = "is a string" if not listed else "process.direct is not supported on this buildpack version"
    else:
        if not listed:
            (found,) = builder.build().metadata.processes
            assert (found.command, found.direct) == (("a b",), bool(direct))
            return
        problem = "is a list"
    with pytest.raises(BuildError, match=f"launch.toml: .*{problem}"):
        builder.build()


@pytest.mark.requirement("BP-LTOML-004")
@BUILDPACKS
def test_the_working_directory_is_known_from_buildpack_api_0_8(builder, api, caplog):
    command = "['a']" if api.minor >= 9 else "'a'"
    builder.buildpack("a/b", launch(f"[[processes]]\ntype='w'\ncommand={command}\nworking-dir='/x'"), api=str(api))
    (found,) = builder.build().metadata.processes
    assert found.working_dir == ("/x" if api.minor >= 8 else "")
    warning = (
        "process working directory isn't supported in this buildpack api version. "
        "Ignoring working directory for process 'w'"
    )
    assert caplog.messages == ([] if api.minor >= 8 else [warning])


@pytest.mark.requirement("BP-LTOML-007", "BP-EXP-006", "PLAT-FILE-014", "PLAT-BLD-017")
def test_the_last_definition_of_a_process_type_wins_and_slices_add_up(builder):
    builder.buildpack("a/1", launch(process("web") + process("a") + "[[slices]]\npaths = ['1']"))
    builder.buildpack("b/2", launch(process("web", api="0.8") + "[[slices]]\npaths = ['2']"), api="0.8")
    metadata = builder.build().metadata
    assert [(each.type, each.buildpack_id, each.direct) for each in metadata.processes] == [
        ("a", "a/1", True),
        ("web", "b/2", False),
    ]
    assert [each.paths for each in metadata.slices] == [("1",), ("2",)]


@pytest.mark.requirement("BP-LTOML-006", "PLAT-BLD-017")
def test_labels_add_up_in_the_order_of_the_buildpacks(builder):
    builder.buildpack("a/1", launch("[[labels]]\nkey='k'\nvalue='1'\n[[labels]]\nkey='other'\nvalue='1'"))
    builder.buildpack("b/2", launch("[[labels]]\nkey='k'\nvalue='2'"), api="0.8")
    labels = [(each.key, each.value) for each in builder.build().metadata.labels]
    assert labels == [("k", "1"), ("other", "1"), ("k", "2")]


@pytest.mark.requirement("BP-LTOML-011")
def test_of_equal_types_and_keys_in_one_buildpack_the_last_counts(builder):
    text = "[[processes]]\ntype='w'\ncommand=['1']\n[[processes]]\ntype='w'\ncommand=['2']\n"
    builder.buildpack("a/1", launch(text + "[[labels]]\nkey='k'\nvalue='1'\n[[labels]]\nkey='k'\nvalue='2'"))
    metadata = builder.build().metadata
    assert [(each.type, each.command) for each in metadata.processes] == [("w", ("2",))]
    assert [each.value for each in metadata.labels] == ["1", "2"]


@pytest.mark.requirement("BP-LTOML-008", "PLAT-BLD-019")
def test_the_last_default_is_the_default_and_no_process_carries_the_flag(builder):
    builder.buildpack("a/1", launch(process("one", default=True)))
    builder.buildpack("b/2", launch(process("web") + process("two", default=True)))
    builder.buildpack("c/3", launch(process("web")))
    metadata = builder.build().metadata
    assert metadata.default_process_type == "two"
    assert not any(each.default for each in metadata.processes)


def test_a_process_of_type_web_is_no_default_by_its_name(builder):
    builder.buildpack("a/1", launch(process("web")))
    assert builder.build().metadata.default_process_type == ""


@pytest.mark.requirement("BP-LTOML-009")
def test_a_default_that_is_redefined_without_default_is_lost_with_a_warning(builder, caplog):
    builder.buildpack("a/1", launch(process("web", default=True)))
    builder.buildpack("b/2", launch(process("web")))
    assert builder.build().metadata.default_process_type == ""
    assert caplog.messages == [
        "redefining the following default process type with a process not marked as default: web"
    ]


@pytest.mark.requirement("BP-LTOML-008", "BP-LTOML-011")
def test_a_buildpack_has_one_default_at_most(builder):
    builder.buildpack("a/1", launch(process("web", default=True) + process("two", default=True)))
    with pytest.raises(BuildError, match=r"launch\.toml: multiple default process types aren't allowed"):
        builder.build()


def test_keys_may_be_capitalised_and_unknown_ones_are_ignored(builder):
    builder.buildpack("a/b", launch("[[Labels]]\nKey='k'\nVALUE='v'\n[[slices]]\nPaths=['p']\n[other]\nx=1"))
    metadata = builder.build().metadata
    assert [(each.key, each.value) for each in metadata.labels] == [("k", "v")]
    assert metadata.slices[0].paths == ("p",)


@pytest.mark.requirement("PLAT-BLD-018", "PLAT-FILE-019", "BP-SBOM-006")
@PLATFORMS
def test_the_launch_bom_is_in_metadata_toml_before_platform_api_0_9(builder, api):
    builder.buildpack("a/b", launch("[[bom]]\nname='dep'\n[bom.metadata]\nversion='1<2'"))
    text = builder.metadata_toml(api=api)
    table = (
        '[[bom]]\n  name = "dep"\n  [bom.metadata]\n    version = "1<2"\n'
        '  [bom.buildpack]\n    id = "a/b"\n    version = "1"\n\n'
    )
    assert (table in text) == (api.version.minor < 9)
    assert ("bom" in text) == (api.version.minor < 9)


@pytest.mark.requirement("PLAT-BLD-016", "PLAT-BLD-017", "PLAT-BLD-018", "PLAT-BLD-019")
@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_rows_of_all_buildpacks_are_in_metadata_toml_in_the_order_of_the_group(builder, api):
    for name in ("a/b", "c/d"):
        rows = (f"[[labels]]\nkey='{name}'\nvalue='v'", f"[[slices]]\npaths=['{name}']", process(name[0]))
        builder.buildpack(name, launch("\n".join((*rows, f"[[bom]]\nname='{name}'\n[[bom]]\nname='more'"))))
    metadata = tomllib.loads(builder.metadata_toml(api=PlatformApi.parse(api)))
    assert [(row["name"], row["buildpack"]["id"]) for row in metadata["bom"]] == [
        ("a/b", "a/b"), ("more", "a/b"), ("c/d", "c/d"), ("more", "c/d"),
    ]  # fmt: skip
    assert [row["key"] for row in metadata["labels"]] == ["a/b", "c/d"]
    assert [row["paths"] for row in metadata["slices"]] == [["a/b"], ["c/d"]]
    assert [row["type"] for row in metadata["processes"]] == ["a", "c"]


@pytest.mark.requirement("BP-SBOM-006", "PLAT-EXP-043", "PLAT-EXP-069")
def test_legacy_files_have_the_boms_of_all_buildpacks(builder):
    for name in ("a/b", "c/d"):
        row = f"[[bom]]\nname='{name}'"
        builder.buildpack(name, f'{launch(row)}\ncp "$L/launch.toml" "$L/build.toml"')
    builder.build(api=PlatformApi.parse("0.9"))
    for kind in ("launch", "build"):
        rows = json.loads((builder.layers_dir / "sbom" / kind / "sbom.legacy.json").read_text())
        assert [(row["name"], row["buildpack"]["id"]) for row in rows] == [("a/b", "a/b"), ("c/d", "c/d")]


@pytest.mark.requirement("BP-SBOM-006", "PLAT-EXP-043", "PLAT-EXP-069")
@PLATFORMS
def test_boms_are_in_legacy_files_from_platform_api_0_9(builder, api):
    builder.buildpack("a/b", launch("[[bom]]\nname='dep'\n[bom.metadata]\nversion='1<2'\n[[bom]]\nname='bare'"))
    builder.buildpack("c/d", 'printf \'[[bom]]\nname="tool"\n\' > "$L/build.toml"')
    builder.build(api=api)
    files = [name for name in builder.tree() if name.startswith("sbom")]
    if api.version.minor < 9:
        assert files == []
        return
    assert files == ["sbom/build/sbom.legacy.json", "sbom/launch/sbom.legacy.json"]
    source = '"buildpack":{"id":"%s","version":"1"}}'
    assert (builder.layers_dir / files[1]).read_text() == (
        '[{"name":"dep","metadata":{"version":"1\\u003c2"},' + source % "a/b" + ","
        '{"name":"bare","metadata":null,' + source % "a/b" + "]\n"
    )
    assert (builder.layers_dir / files[0]).read_text() == ('[{"name":"tool","metadata":null,' + source % "c/d" + "]\n")


def test_legacy_files_without_rows_hold_null(builder):
    builder.buildpack("a/b")
    builder.build()
    for kind in ("launch", "build"):
        assert (builder.layers_dir / "sbom" / kind / "sbom.legacy.json").read_text() == "null\n"


@pytest.mark.parametrize("file", ["launch.toml", "build.toml"])
def test_a_bom_row_with_a_version_is_refused(builder, file):
    builder.buildpack("a/b", f'printf \'[[bom]]\nname="x"\nversion="1"\n\' > "$L/{file}"')
    with pytest.raises(BuildError, match=f"{file}: bom entry 'x' has a top level version which is not allowed"):
        builder.build()


@pytest.mark.parametrize("migrating", [True, False])
def test_a_bom_is_deprecated_unless_there_are_sbom_files(builder, caplog, migrating, sbom_formats):
    sbom = 'echo "{}" > "$L/launch.sbom.cdx.json"' if migrating else ":"
    builder.buildpack("a/b", launch("[[bom]]\nname='dep'") + f"\n{sbom}", toml=sbom_formats)
    builder.build()
    assert [("a/b@1: [[bom]] is deprecated" in message) for message in caplog.messages] == ([] if migrating else [True])
