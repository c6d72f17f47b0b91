"""How bin/detect is run, and what its exit status means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.cli.exit_codes import exit_code
from lifecycle.errors import BuildpackApiError, BuildpackDetectError, InvalidFileError, NoGroupDetectedError
from lifecycle.executables.process import run_process
from lifecycle.model.api import BUILDPACK_APIS, ApiVersion
from lifecycle.model.target import Distro, TargetData
from lifecycle.phases.detect import detect

DUMP = 'env > "$2.env"; cp "$2.env" {dump}; pwd > {dump}.cwd; echo "$0 $1 $2" > {dump}.argv; wc -c < "$2" > {dump}.size'
TARGET = TargetData(os="linux", arch="arm64", arch_variant="v8", distro=Distro(name="ubuntu", version="24.04"))


def dumped(builder, api, **given):
    """Run one buildpack and return its environment, directory and arguments."""
    dump = builder.root / "dump"
    root = builder.buildpack("a/b", DUMP.format(dump=dump), api=api)
    builder.detect("a/b", **given)
    lines = dump.read_text().splitlines()
    env = dict(line.partition("=")[::2] for line in lines if "=" in line)
    argv = (builder.root / "dump.argv").read_text().split()
    assert (builder.root / "dump.size").read_text().strip() == "0"
    return root, env, (builder.root / "dump.cwd").read_text().strip(), argv


@pytest.mark.requirement("BP-DET-001", "BP-DET-002", "BP-DET-004", "BP-DET-005")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_bin_detect_gets_its_directories(builder, api):
    root, env, cwd, argv = dumped(builder, str(api))
    assert argv[0] == str(root / "bin" / "detect")
    assert cwd == str(builder.app_dir)
    assert argv[1] == str(builder.root / "platform")
    assert env["CNB_BUILDPACK_DIR"] == str(root)
    assert "CNB_EXTENSION_DIR" not in env


@pytest.mark.requirement("BP-DET-003")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_variables_tell_platform_and_plan_from_buildpack_api_0_8(builder, api):
    _, env, _, argv = dumped(builder, str(api))
    given = {key: env[key] for key in ("CNB_PLATFORM_DIR", "CNB_BUILD_PLAN_PATH") if key in env}
    known = {"CNB_PLATFORM_DIR": argv[1], "CNB_BUILD_PLAN_PATH": argv[2]}
    assert given == (known if api.minor >= 8 else {})


@pytest.mark.requirement("BP-DET-006")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_the_execution_environment_is_told_from_buildpack_api_0_12(builder, api):
    _, env, _, _ = dumped(builder, str(api), exec_env="test")
    assert env.get("CNB_EXEC_ENV") == ("test" if api.minor >= 12 else None)


@pytest.mark.requirement("PLAT-DET-024", "BP-TGT-005", "BP-TGT-006")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_the_target_is_told_from_buildpack_api_0_10(builder, api):
    _, env, _, _ = dumped(builder, str(api), target=TARGET)
    told = {key: value for key, value in env.items() if key.startswith("CNB_TARGET_")}
    expected = {
        "CNB_TARGET_OS": "linux",
        "CNB_TARGET_ARCH": "arm64",
        "CNB_TARGET_ARCH_VARIANT": "v8",
        "CNB_TARGET_DISTRO_NAME": "ubuntu",
        "CNB_TARGET_DISTRO_VERSION": "24.04",
    }
    assert told == (expected if api.minor >= 10 else {})


@pytest.mark.requirement("BP-TGT-006")
def test_a_target_is_told_only_as_far_as_it_is_known(builder):
    _, env, _, _ = dumped(builder, "0.12", target=TargetData(os="linux", arch="amd64"))
    told = {key for key in env if key.startswith("CNB_TARGET_")}
    assert told == {"CNB_TARGET_OS", "CNB_TARGET_ARCH"}


@pytest.mark.requirement("BP-DET-017", "BP-DET-019")
def test_all_buildpacks_see_the_variables_of_the_user(builder):
    env_dir = builder.root / "platform" / "env"
    env_dir.mkdir(parents=True)
    (env_dir / "COLOUR").write_text("blue")
    for name in ("a", "b"):
        builder.buildpack(name, f'echo "$COLOUR$OUTSIDE" > {builder.root}/{name}.colour')
    builder.detect("a b")
    assert [(builder.root / f"{name}.colour").read_text() for name in ("a", "b")] == ["blue\n", "blue\n"]


@pytest.mark.requirement("BP-ENV-006", "BP-ENV-007")
@pytest.mark.parametrize("name", ["HOME", "BP_ANY", "CNB_STACK_ID"])
def test_what_belongs_to_the_user_or_the_image_is_not_overridden(builder, name):
    builder.buildpack("a", f'echo "${name}" > {builder.root}/value', api="0.9")
    if name == "BP_ANY":
        (builder.root / "platform/env").mkdir(parents=True)
        (builder.root / "platform/env/BP_ANY").write_text("given")
    inputs = builder.inputs("a")
    detect(replace(inputs, process_env={**inputs.process_env, name: "given"}), run=run_process)
    assert (builder.root / "value").read_text() == "given\n"


def test_a_buildpack_that_clears_the_environment_does_not_see_the_variables_of_the_user(builder):
    env_dir = builder.root / "platform" / "env"
    env_dir.mkdir(parents=True)
    (env_dir / "COLOUR").write_text("blue")
    builder.buildpack("a", f'echo "$COLOUR" > {builder.root}/colour', toml="clear-env = true")
    builder.detect("a")
    assert (builder.root / "colour").read_text() == "\n"


@pytest.mark.requirement("BP-DET-007")
def test_every_bin_detect_has_a_plan_file_of_its_own(builder):
    for name in ("a", "b"):
        builder.buildpack(name, f'echo "$2" > {builder.root}/{name}.plan; echo "$1" > {builder.root}/{name}.platform')
    builder.detect("a b")
    assert (builder.root / "a.platform").read_text() == (builder.root / "b.platform").read_text()
    assert (builder.root / "a.plan").read_text() != (builder.root / "b.plan").read_text()


@pytest.mark.requirement("BP-DET-008", "BP-DET-013", "BP-DET-016")
def test_status_0_takes_part_and_100_of_an_optional_buildpack_does_not(builder):
    builder.buildpack("a")
    builder.buildpack("b", "exit 100")
    builder.buildpack("c", "exit 7")
    builder.buildpack("d")
    assert builder.group("d b? c? a") == ["d", "a"]


@pytest.mark.requirement("BP-DET-008", "BP-DET-012", "PLAT-DET-017")
def test_status_100_of_a_required_buildpack_fails_its_group(builder):
    builder.buildpack("a")
    builder.buildpack("b", "exit 100")
    assert builder.group("a b", "a") == ["a"]
    with pytest.raises(NoGroupDetectedError, match=r"^no buildpacks participating$") as caught:
        builder.detect("a b", "b")
    assert exit_code(caught.value, None) == 20


@pytest.mark.requirement("BP-DET-008", "PLAT-DET-018")
@pytest.mark.parametrize(
    "script",
    ["exit 1", "exit 255", "kill -9 $$", 'echo "not toml" > "$2"', 'rm "$2"', 'rm "$2"; mkfifo "$2"'],
)
def test_any_other_end_is_an_error(builder, script):
    builder.buildpack("a")
    builder.buildpack("b", script)
    assert builder.group("b", "a") == ["a"]
    with pytest.raises(BuildpackDetectError, match=r"^buildpack\(s\) failed with err$") as caught:
        builder.detect("b", "a b")
    assert exit_code(caught.value, None) == 21


def test_an_error_of_an_optional_buildpack_counts_when_no_group_passes(builder):
    builder.buildpack("a", "exit 1")
    builder.buildpack("b", "exit 100")
    with pytest.raises(BuildpackDetectError):
        builder.detect("a? b")


@pytest.mark.requirement("BP-API-005")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_no_other_variable_of_that_prefix_is_set(builder, api):
    _, env, _, _ = dumped(builder, str(api), target=TARGET, exec_env="test")
    defined = {"CNB_BUILDPACK_DIR", "CNB_PLATFORM_DIR", "CNB_BUILD_PLAN_PATH", "CNB_EXEC_ENV"}
    others = {name for name in env if name.startswith("CNB_")} - defined
    assert {name for name in others if not name.startswith("CNB_TARGET_")} == set()


@pytest.mark.requirement("BP-API-001")
@pytest.mark.parametrize(
    ("text", "major", "minor"),
    [("0.10", 0, 10), ("1", 1, 0), ("2.0", 2, 0), (f"{2**64 - 1}.1", 2**64 - 1, 1)],
)
def test_an_api_version_is_major_and_minor_or_major_alone(text, major, minor):
    assert ApiVersion.parse(text) == ApiVersion(major, minor)
    for wrong in (f"-{text}", f"{text}.1.1", f" {text}", f"{text}x"):
        with pytest.raises(ValueError):
            ApiVersion.parse(wrong)


def test_a_buildpack_without_an_executable_is_an_error_of_it(builder):
    (builder.buildpack("a") / "bin" / "detect").unlink()
    with pytest.raises(BuildpackDetectError) as caught:
        builder.detect("a")
    assert "bin/detect: can't be started" in caught.value.attempts[0].elements[0].error


@pytest.mark.requirement("BP-DET-010", "BP-DET-018")
def test_every_bin_detect_runs_once_and_those_of_a_group_at_the_same_time(builder):
    barrier = "touch {root}/{me}; i=0; while ! [ -e {root}/{other} ]; do i=$((i+1)); [ $i -lt 6000 ] || exit 1; sleep 0.01; done"
    builder.buildpack("a", barrier.format(root=builder.root, me="x", other="y"))
    builder.buildpack("b", barrier.format(root=builder.root, me="y", other="x"))
    builder.buildpack("c", "exit 100")
    assert builder.group("a b c", "a c", "b a") == ["b", "a"]
    assert builder.called() == ["a@1", "b@1", "c@1"]


@pytest.mark.requirement("BP-DET-010")
def test_later_groups_are_not_tried_once_one_passed(builder):
    builder.buildpack("a")
    builder.buildpack("b")
    assert builder.group("a", "b") == ["a"]
    assert builder.called() == ["a@1"]


@pytest.mark.requirement("BP-DET-014")
def test_a_group_needs_a_buildpack_that_passes(builder):
    builder.buildpack("a", "exit 100")
    builder.extension("x")
    with pytest.raises(NoGroupDetectedError):
        builder.detect("a?", extensions=("x",))


@pytest.mark.requirement("BP-DET-015", "BP-DET-016")
def test_the_group_keeps_the_order_and_what_passed_is_no_longer_optional(builder):
    for name in "cab":
        builder.buildpack(name, api="0.10", toml=f"homepage = 'https://{name}'")
    group = builder.detect("c? a b?").group
    assert [element.struct() for element in group.group] == [
        {"id": name, "version": "1", "api": "0.10", "homepage": f"https://{name}", "optional": None} for name in "cab"
    ]


@pytest.mark.requirement("BP-API-002")
def test_buildpacks_of_one_group_may_have_different_apis(builder):
    for api in BUILDPACK_APIS:
        script = f'[ -z "$CNB_PLATFORM_DIR" ] || touch {builder.root}/{api}'
        builder.buildpack(f"bp{api.minor}", script, api=str(api))
    names = [f"bp{api.minor}" for api in BUILDPACK_APIS]
    assert builder.group(" ".join(names)) == names
    assert [(builder.root / str(api)).exists() for api in BUILDPACK_APIS] == [api.minor >= 8 for api in BUILDPACK_APIS]


@pytest.mark.requirement("BP-API-003")
@pytest.mark.parametrize("api", ["0.6", "0.99", "1.0", "", "x"])
def test_an_unsupported_api_is_refused_before_anything_runs(builder, api):
    builder.buildpack("a")
    builder.buildpack("b", api=api)
    with pytest.raises(BuildpackApiError):
        builder.detect("a", "b?")
    assert builder.called() == []


def test_an_unsupported_api_inside_of_a_composite_is_refused_too(builder):
    builder.buildpack("b", api="0.6")
    builder.composite("o", "b")
    with pytest.raises(BuildpackApiError):
        builder.detect("o")


def test_a_missing_buildpack_is_found_before_anything_runs(builder):
    builder.buildpack("a")
    with pytest.raises(InvalidFileError, match="buildpack gone@1 is not there"):
        builder.detect("a", "gone")
    assert builder.called() == []
