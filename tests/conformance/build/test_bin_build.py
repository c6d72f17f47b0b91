"""How bin/build is run, and what its end means."""

from __future__ import annotations

import logging

import pytest

from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import BuildError, BuildpackApiError, BuildpackBuildError
from lifecycle.executables.process import run_process
from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, PlatformApi
from lifecycle.model.target import Distro, TargetData
from lifecycle.phases.build import build

TARGET = TargetData(os="linux", arch="arm64", arch_variant="v8", distro=Distro(name="ubuntu", version="24.04"))
APIS = pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)


@pytest.mark.requirement("BP-BLD-001", "BP-BLD-002", "BP-BLD-004", "BP-BLD-005")
@APIS
def test_bin_build_runs_in_the_app_with_its_three_arguments(builder, api):
    script = 'pwd > "$L/cwd"; echo "$0" "$@" > "$L/argv"; echo "$CNB_BUILDPACK_DIR" > "$L/root"; test -f "$3"'
    root = builder.buildpack("a/b", script, api=str(api))
    builder.build()
    own = builder.layers_dir / "a_b"
    argv = (own / "argv").read_text().split()
    assert argv[:3] == [str(root / "bin" / "build"), str(own), str(builder.platform_dir)]
    assert argv[3].startswith("/")
    assert len(argv) == 4
    assert (own / "cwd").read_text().strip() == str(builder.app_dir)
    assert (own / "root").read_text().strip() == str(root)


@pytest.mark.requirement("BP-BLD-003")
@APIS
def test_variables_tell_layers_platform_and_plan_from_buildpack_api_0_8(builder, dump, api):
    builder.buildpack("a/b", f'{dump}; echo "$@" > "$L/argv"', api=str(api))
    builder.build()
    env = builder.environment("a/b")
    argv = (builder.layers_dir / "a_b" / "argv").read_text().split()
    names = ("CNB_LAYERS_DIR", "CNB_PLATFORM_DIR", "CNB_BP_PLAN_PATH")
    assert {name: env[name] for name in names if name in env} == (
        dict(zip(names, argv, strict=True)) if api.minor >= 8 else {}
    )


@pytest.mark.requirement("BP-BLD-006")
@APIS
def test_the_execution_environment_is_told_from_buildpack_api_0_12(builder, dump, api):
    builder.buildpack("a/b", dump, api=str(api))
    builder.build(exec_env="test")
    assert builder.environment("a/b").get("CNB_EXEC_ENV") == ("test" if api.minor >= 12 else None)


@pytest.mark.requirement("PLAT-BLD-015")
@APIS
def test_the_target_is_told_from_buildpack_api_0_10(builder, dump, api):
    builder.buildpack("a/b", dump, api=str(api))
    builder.build(target=TARGET)
    told = {key: value for key, value in builder.environment("a/b").items() if key.startswith("CNB_TARGET_")}
    expected = {
        "CNB_TARGET_OS": "linux",
        "CNB_TARGET_ARCH": "arm64",
        "CNB_TARGET_ARCH_VARIANT": "v8",
        "CNB_TARGET_DISTRO_NAME": "ubuntu",
        "CNB_TARGET_DISTRO_VERSION": "24.04",
    }
    assert told == (expected if api.minor >= 10 else {})


def test_both_streams_are_handed_on_and_input_is_empty(builder):
    builder.buildpack("a/b", "echo to-out; echo to-err >&2; wc -c")
    builder.build()
    assert builder.printed.split() == [b"to-out", b"to-err", b"0"]


@pytest.mark.requirement("BP-BLD-010", "PLAT-BLD-014", "BP-BLD-007", "PLAT-BLD-021")
def test_all_buildpacks_run_in_order_in_one_app_with_layers_of_their_own(builder):
    for name in ("c/3", "a/1", "b/2"):
        builder.buildpack(name, f'echo {name} >> order; layer tool cache; file "$L/tool/file" {name}')
    builder.build()
    assert (builder.app_dir / "order").read_text().split() == ["c/3", "a/1", "b/2"]
    for name in ("c/3", "a/1", "b/2"):
        assert (builder.layers_dir / name.replace("/", "_") / "tool" / "file").read_text() == name


@pytest.mark.requirement("BP-BLD-009", "PLAT-BLD-012")
def test_a_failing_buildpack_ends_the_build_at_once(builder):
    builder.buildpack("a/1", "exit 7")
    builder.buildpack("b/2", "touch ran")
    with pytest.raises(BuildpackBuildError) as failure:
        builder.build()
    assert failure.value.message == "bin/build of buildpack a/1@1 exited with status 7"
    assert failure.value.remedy
    assert exit_code(failure.value, Phase.BUILDER) == 51
    assert not (builder.app_dir / "ran").exists()


@pytest.mark.requirement("PLAT-BLD-012")
def test_a_killed_buildpack_is_told_by_its_signal(builder):
    builder.buildpack("a/1", "kill -9 $$")
    with pytest.raises(BuildpackBuildError, match=r"a/1@1 was killed by signal 9 \(Killed\)"):
        builder.build()


@pytest.mark.requirement("PLAT-BLD-012")
def test_a_buildpack_without_executable_fails_as_one_whose_build_failed(builder):
    (builder.buildpack("a/1") / "bin" / "build").unlink()
    with pytest.raises(BuildpackBuildError, match=r"a/1@1 can't be started: No such file") as failure:
        builder.build()
    assert exit_code(failure.value, Phase.BUILDER) == 51


@pytest.mark.requirement("PLAT-BLD-013")
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            "echo 'launch = true' > $L/x.toml",
            "x.toml: the launch, cache and build flags should be in the types table",
        ),
        ("echo '[[' > $L/x.toml", "x.toml: "),
        ("echo '[[' > $L/build.toml", "build.toml: "),
        ("echo 'metadata = 1' > $L/store.toml", "store.toml: metadata: expected a table, found 1"),
        ("mkfifo $L/x.toml", "x.toml: is not a file"),
        ("ln -s launch.toml $L/launch.toml", "launch.toml: can't be read: Too many levels of symbolic links"),
        (
            "layer x; file $L/x/a 1; file $L/x.ignore/a 1",
            "x: can't be renamed to x.ignore: Directory not empty",
        ),
        ("layer x build; file $L/x/env/A=B 1", "A=B: the name of a variable can't hold '='"),
        ("rm -r $L", "a_b: can't be read: No such file or directory"),
    ],
)
def test_unusable_output_is_an_error_of_the_build_not_of_bin_build(builder, script, problem):
    builder.buildpack("a/b", script)
    with pytest.raises(BuildError) as failure:
        builder.build()
    assert problem in str(failure.value)
    assert not isinstance(failure.value, BuildpackBuildError)
    assert exit_code(failure.value, Phase.BUILDER) == 52


@pytest.mark.requirement("PLAT-BLD-013")
def test_a_missing_buildpack_is_found_before_the_first_one_runs(builder):
    builder.buildpack("a/1", "touch ran")
    (builder.buildpack("b/2") / "buildpack.toml").unlink()
    with pytest.raises(BuildError, match=r"b_2/1/buildpack.toml: does not exist") as failure:
        builder.build()
    assert exit_code(failure.value, Phase.BUILDER) == 52
    assert not (builder.app_dir / "ran").exists()


def test_an_unsupported_buildpack_api_is_found_before_the_first_one_runs(builder):
    builder.buildpack("a/1", "touch ran")
    builder.buildpack("b/2", api="0.3")
    with pytest.raises(BuildpackApiError) as failure:
        builder.build()
    assert exit_code(failure.value, Phase.BUILDER) == 12
    assert not (builder.app_dir / "ran").exists()


def test_the_start_of_each_buildpack_is_told_in_turn_and_the_end_of_all(builder):
    builder.buildpack("a/1", "echo said; layer deps cache; layer junk")
    builder.buildpack("b/2", "echo said")
    told = []
    built = build(
        builder.inputs(),
        run=run_process,
        output=lambda chunk: told.append(chunk.decode().strip()),
        on_buildpack_start=lambda buildpack: told.append(f"start {buildpack}"),
    )
    assert told == ["start a/1@1", "said", "start b/2@1", "said"]
    first, second = built.buildpacks
    assert [(layer.name, layer.types.cache, layer.ignored) for layer in first.layers] == [
        ("deps", True, False),
        ("junk", False, True),
    ]
    assert second.layers == ()
    assert first.seconds > 0


@pytest.mark.parametrize("api", PLATFORM_APIS, ids=str)
def test_sboms_of_the_last_build_are_removed_first(builder, api):
    builder.buildpack("a/b", 'test ! -e "$L/../sbom"')
    (builder.layers_dir / "sbom" / "launch").mkdir(parents=True)
    (builder.layers_dir / "sbom" / "launch" / "old").touch()
    builder.build(api=PlatformApi(api))
    assert "launch/old" not in builder.tree("sbom")


def test_the_log_names_each_buildpack(builder, caplog):
    caplog.set_level(logging.DEBUG, logger="lifecycle.phases.build")
    builder.buildpack("a/b")
    builder.build()
    assert "Running build for buildpack a/b@1" in caplog.messages
    assert "Finished running build for buildpack a/b@1" in caplog.messages
