"""The fixture buildpacks do what the tests of phases rely on."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lifecycle.model.descriptor import BuildpackDescriptor

BUILDPACKS = Path(__file__).parents[2] / "fixtures" / "buildpacks"
STANDARD = sys.stdlib_module_names
NAMES = sorted(path.name for path in BUILDPACKS.iterdir())
EXITS = {"fails-detect": (100, 99), "errors-detect": (1, 99), "fails-build": (0, 7)}
COMBINATIONS = [
    "none",
    "launch",
    "cache",
    "cache-launch",
    "build",
    "build-launch",
    "build-cache",
    "build-cache-launch",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_fixture_is_a_buildpack_whose_executables_end_as_their_name_says(workspace, fixtures, name):
    buildpack = BUILDPACKS / name
    descriptor = BuildpackDescriptor.model_validate(tomllib.loads((buildpack / "buildpack.toml").read_text()))
    assert descriptor.buildpack.id.endswith(f"/{name}")
    shutil.copytree(fixtures / "apps" / "bash-script", workspace.app, dirs_exist_ok=True)
    assert (workspace.detect(buildpack).returncode, workspace.build(buildpack).returncode) == EXITS.get(name, (0, 0))


def test_hello_world_shows_its_platform_variables_and_plan(workspace, fixtures):
    (workspace.platform / "env" / "GREETING").write_text("good day")
    assert workspace.detect(fixtures / "buildpacks/hello-world").returncode == 0
    assert tomllib.loads(workspace.plan.read_text()) == {
        "provides": [{"name": "some-world"}],
        "requires": [{"name": "some-world"}],
    }
    output = workspace.build(fixtures / "buildpacks/hello-world").stdout
    assert output.startswith("---> Hello World buildpack\n")
    assert 'declare -x GREETING="good day"\n' in output
    assert '       name = "some-world"\n' in output
    assert output.endswith("\n---> Done\n")
    assert not list(workspace.layers.iterdir())


def test_hello_moon_requires_the_world_of_another(workspace, fixtures):
    workspace.detect(fixtures / "buildpacks/hello-moon")
    assert tomllib.loads(workspace.plan.read_text()) == {
        "requires": [{"name": "some-world", "metadata": {"world": "Earth-616"}}]
    }


def test_hello_processes_adds_a_process_in_a_launch_layer(workspace, fixtures):
    workspace.build(fixtures / "buildpacks/hello-processes")
    [process] = tomllib.loads((workspace.layers / "launch.toml").read_text())["processes"]
    assert process == {"type": "sys-info", "command": [f"{workspace.layers}/sys-info/sys-info.sh"]}
    shown = subprocess.check_output(process["command"], env={"PATH": os.environ["PATH"], "A": "b"}, text=True)
    assert 'declare -x A="b"' in shown
    assert tomllib.loads((workspace.layers / "sys-info.toml").read_text()) == {"types": {"launch": True}}


def test_a_script_wants_an_app_sh(workspace, fixtures):
    shutil.copytree(fixtures / "apps" / "plain", workspace.app, dirs_exist_ok=True)
    assert workspace.detect(fixtures / "buildpacks/a-script").returncode == 100


def test_layers_all_counts_metadata_and_contents_apart(workspace, fixtures):
    buildpack = fixtures / "buildpacks/layers-all"
    assert workspace.build(buildpack).stdout == "".join(f"{name}: metadata 0, contents 0\n" for name in COMBINATIONS)
    shutil.rmtree(workspace.layers / "launch")
    (workspace.layers / "cache.toml").unlink()
    output = workspace.build(buildpack).stdout
    assert "\nlaunch: metadata 1, contents 0\n" in output
    assert "\ncache: metadata 0, contents 1\n" in output
    assert "\nbuild-cache: metadata 1, contents 1\n" in output
    for name in COMBINATIONS:
        types = tomllib.loads((workspace.layers / f"{name}.toml").read_text())["types"]
        assert "-".join(kind for kind in ("build", "cache", "launch") if types[kind]) == name.removeprefix("none")


def test_layers_all_can_ask_for_reuse_by_metadata_alone(workspace, fixtures):
    workspace.build(fixtures / "buildpacks/layers-all")
    workspace.env = {"LAYERS_ALL_EMPTY": "1"}
    workspace.build(fixtures / "buildpacks/layers-all")
    assert sorted(path.name for path in workspace.layers.iterdir()) == sorted(f"{name}.toml" for name in COMBINATIONS)


def test_sbom_leaves_every_format_at_every_place(workspace, fixtures):
    workspace.build(fixtures / "buildpacks/sbom")
    found = {path.name: json.loads(path.read_text()) for path in workspace.layers.glob("*.sbom.*.json")}
    assert len(found) == 6 * 3
    assert found["launch.sbom.cdx.json"]["components"] == [{"type": "library", "name": "launch"}]


def test_env_dump_keeps_the_environment_of_the_build(workspace, fixtures):
    workspace.env = {"LINES": "a\nb"}
    workspace.build(fixtures / "buildpacks/env-dump")
    kept = (workspace.layers / "env-dump" / "environment").read_bytes().split(b"\0")
    assert b"LINES=a\nb" in kept
    assert f"CNB_LAYERS_DIR={workspace.layers}".encode() in kept


@pytest.mark.parametrize(
    ("name", "env", "plan"),
    [
        ("provides-x", {"PROVIDES_X": ""}, {"provides": [{"name": "x"}]}),
        (
            "provides-x",
            {"PROVIDES_X": "or"},
            {"provides": [{"name": "y"}], "or": [{"provides": [{"name": "x"}]}]},
        ),
        ("requires-x", {"REQUIRES_X": "version"}, {"requires": [{"name": "x", "version": "1.2"}]}),
        (
            "requires-x",
            {"REQUIRES_X": "or"},
            {
                "requires": [{"name": "nobody-provides-this"}],
                "or": [{"requires": [{"name": "x", "metadata": {"by": "requires-x"}}]}],
            },
        ),
    ],
)
def test_plans_follow_a_variable(workspace, fixtures, name, env, plan):
    workspace.env = env
    workspace.detect(fixtures / "buildpacks" / name)
    assert tomllib.loads(workspace.plan.read_text()) == plan


def test_our_buildpacks_are_python_3_11_and_import_only_the_sdk_and_the_standard_library(ours):
    own = {path.stem for path in ours.glob("*/lib/*")}
    files = [*ours.glob("*/lib/*.py"), *ours.glob("sdk/cnb_buildpack/*.py")]
    assert len(files) > 20
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 11))):
            match node:
                case ast.Import(names=names):
                    imported = {name.name.partition(".")[0] for name in names}
                case ast.ImportFrom(module=str(module)):
                    imported = {module.partition(".")[0]}
                case _:
                    continue
            assert imported <= own | STANDARD, f"{path} imports {imported}"
