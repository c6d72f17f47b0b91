"""The build phase without processes: what it asks a runner to do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lifecycle.errors import BuildError, BuildpackBuildError, LifecycleError
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.group import Group
from lifecycle.model.plan import Plan
from lifecycle.phases.build import BuildInputs, build


@pytest.fixture
def inputs(tmp_path):
    root = tmp_path / "buildpacks" / "a_b" / "1"
    root.mkdir(parents=True)
    (root / "buildpack.toml").write_text("api = '0.12'\n[buildpack]\nid = 'a/b'\nversion = '1'\n")
    (tmp_path / "platform" / "env").mkdir(parents=True)
    (tmp_path / "platform" / "env" / "NAME.append").write_text("value")
    return BuildInputs(
        platform_api=LATEST_PLATFORM_API,
        app_dir=tmp_path / "app",
        layers_dir=tmp_path / "layers",
        buildpacks_dir=tmp_path / "buildpacks",
        platform_dir=tmp_path / "platform",
        build_config_dir=tmp_path / "build-config",
        group=Group.model_validate({"group": [{"id": "a/b", "version": "1", "api": "0.12"}]}),
        plan=Plan.model_validate({"entries": [{"providers": [{"id": "a/b"}], "requires": [{"name": "x"}]}]}),
        process_env={"HOME": "/h", "SECRET": "s"},
    )


def nowhere(_chunk: bytes) -> None:
    pass


def test_the_command_is_complete_and_its_plan_is_there_only_while_it_runs(inputs):
    seen = []

    def run(command, *, output):
        seen.append((command, tomllib.loads(Path(command.argv[3]).read_text())))
        return 0

    build(inputs, run=run, output=nowhere)
    ((command, plan),) = seen
    root = inputs.buildpacks_dir / "a_b" / "1"
    own = str(inputs.layers_dir / "a_b")
    assert command.cwd == inputs.app_dir
    assert command.argv[:3] == (str(root / "bin" / "build"), own, str(inputs.platform_dir))
    assert dict(command.env) == {
        "HOME": "/h",
        "NAME.append": "value",
        "CNB_BUILDPACK_DIR": str(root),
        "CNB_PLATFORM_DIR": str(inputs.platform_dir),
        "CNB_BP_PLAN_PATH": command.argv[3],
        "CNB_LAYERS_DIR": own,
        "CNB_EXEC_ENV": "production",
    }
    assert plan == {"entries": [{"name": "x"}]}
    assert not Path(command.argv[3]).exists()


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (1, "exited with status 1"),
        (255, "exited with status 255"),
        (-15, r"was killed by signal 15 \(Terminated\)"),
        (-64, "was killed by signal 64"),
    ],
)
def test_any_other_status_than_zero_fails_the_build(inputs, status, ending):
    def run(_command, *, output):
        return status

    with pytest.raises(BuildpackBuildError, match=f"^bin/build of buildpack a/b@1 {ending}"):
        build(inputs, run=run, output=nowhere)


def test_a_runner_that_can_not_start_it_fails_the_buildpack(inputs):
    def run(_command, *, output):
        raise LifecycleError("can't be started: no", where="/bp/bin/build", remedy="make it executable")

    with pytest.raises(BuildpackBuildError) as failure:
        build(inputs, run=run, output=nowhere)
    assert str(failure.value) == (
        "/bp/bin/build: bin/build of buildpack a/b@1 can't be started: no; make it executable"
    )


def test_an_empty_group_is_built_to_empty_metadata(inputs):
    empty = BuildInputs(**{**vars(inputs), "group": Group()})
    built = build(empty, run=lambda _command, *, output: 0, output=nowhere)
    assert built.metadata.struct(LATEST_PLATFORM_API) == {
        "bom": None,
        "buildpacks": [],
        "extensions": None,
        "labels": None,
        "processes": [],
        "slices": None,
        "buildpack-default-process-type": None,
    }
    assert built.plan == inputs.plan
    assert built.buildpacks == ()


@pytest.mark.parametrize("directory", ["platform", "build-config"])
def test_unreadable_variables_are_an_error_before_anything_runs(inputs, tmp_path, directory):
    env = tmp_path / directory / "env"
    env.mkdir(parents=True, exist_ok=True)
    (env / "BAD").write_bytes(b"\0")

    def run(_command, *, output):
        raise AssertionError

    with pytest.raises(BuildError, match="env/BAD: holds a NUL byte"):
        build(inputs, run=run, output=nowhere)
