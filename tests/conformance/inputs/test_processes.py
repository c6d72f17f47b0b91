"""What phases do, as processes, before and while they read their inputs.

Spec: platform.md "Platform API Compatibility", "Usage", "Experimental Features" and "Exit Code" of each phase.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle import __file__ as package
from lifecycle import __version__

PHASES = ["analyzer", "detector", "restorer", "builder", "exporter", "creator"]
WRONG_APIS = ["", "0.6", "0.16", "0.99", "1", "1.0", "7", "x", "0.x", "0.7.1", "-0.7"]
ARGUMENT = "reg.example/app"


@pytest.mark.requirement("PLAT-API-003", "PLAT-API-004")
@pytest.mark.parametrize("name", PHASES)
def test_an_unsupported_platform_api_precedes_a_bad_flag(phase, name):
    done = phase(name, "-no-such-flag", api="0.6")
    assert done.code == 11
    assert len(done.errors) == 1
    assert "0.6" in done.errors[0]


@pytest.mark.requirement("PLAT-API-003", "PLAT-API-004")
@pytest.mark.parametrize("api", [None, *WRONG_APIS])
def test_a_platform_api_that_is_missing_wrong_or_unreadable_is_refused(phase, api):
    done = phase("analyzer", "-uid", "no number", api=api)
    assert done.code == 11
    assert len(done.errors) == 1


@pytest.mark.requirement("PLAT-ANA-034", "PLAT-DET-016", "PLAT-BLD-011")
@pytest.mark.parametrize("name", PHASES)
def test_a_flag_that_is_not_defined_is_a_usage_error(phase, name):
    done = phase(name, "-no-such-flag")
    assert done.code == 2
    assert done.output.startswith(f"flag provided but not defined: -no-such-flag\nUsage of {name}:\n")


@pytest.mark.requirement("PLAT-API-001")
@pytest.mark.parametrize(
    ("api", "told"), [("1", "incompatible"), ("1.0", "incompatible"), ("x", "parse"), ("0.7.1", "parse")]
)
def test_a_platform_api_is_major_and_minor_or_major_alone(phase, api, told):
    assert told in phase("analyzer", api=api).errors[0]


@pytest.mark.requirement("PLAT-API-003", "PLAT-API-004")
@pytest.mark.parametrize("name", PHASES)
def test_the_module_runs_phases_too(name):
    environment = {"PYTHONPATH": str(Path(package).parents[1]), "CNB_PLATFORM_API": "0.99"}
    command = [sys.executable, "-m", "lifecycle", name, "-no-such-flag"]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 11
    assert "0.99" in done.stdout + done.stderr


def test_the_version_is_told_without_reading_other_inputs(phase):
    done = phase("exporter", "-version")
    assert (done.code, done.output) == (0, f"{__version__}\n")


@pytest.mark.requirement(
    "PLAT-ANA-009",
    "PLAT-ANA-019",
    "PLAT-ANA-020",
    "PLAT-ANA-021",
    "PLAT-EXP-027",
    "PLAT-EXP-028",
    "PLAT-EXP-029",
)
@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("analyzer", [], "received 0 arguments, but expected 1"),
        ("analyzer", [ARGUMENT, "reg.example/other"], "received 2 arguments, but expected 1"),
        ("analyzer", ["Not A Name"], "Not A Name"),
        ("analyzer", ["-tag", "Not A Name", ARGUMENT], "Not A Name"),
        ("analyzer", ["-tag", "other.example/app", ARGUMENT], "multiple registries"),
        ("creator", [], "received 0 arguments, but expected 1"),
        ("detector", [ARGUMENT], "unexpected"),
        ("restorer", [ARGUMENT], "unexpected"),
        ("builder", [ARGUMENT], "unexpected"),
        ("exporter", [], "at least one image argument is required"),
        ("exporter", [ARGUMENT, "Not A Name"], "Not A Name"),
        ("exporter", [f"{ARGUMENT}@sha256:{'0' * 64}"], "sha256"),
        ("exporter", [ARGUMENT, "other.example/app"], "multiple registries"),
    ],
)
def test_wrong_arguments_are_refused(phase, name, arguments, told):
    done = phase(name, *arguments)
    assert done.code == 3
    assert len(done.errors) == 1
    assert told in done.errors[0]


@pytest.mark.requirement("PLAT-ANA-022")
def test_a_previous_image_that_is_no_reference_is_refused(phase):
    done = phase("analyzer", "-previous-image", "Not A Name", ARGUMENT)
    assert done.code == 3
    assert "Not A Name" in done.errors[0]


@pytest.mark.requirement("PLAT-API-011")
@pytest.mark.parametrize("name", ["detector", "builder"])
def test_an_execution_environment_with_a_slash_is_refused(place, name):
    place.buildpack()
    done = place.run(name, CNB_EXEC_ENV="pro/duction")
    assert done.code == 3
    assert len(done.errors) == 1
    assert "pro/duction" in done.errors[0]
    assert place.run(name, CNB_EXEC_ENV="pro/duction", api="0.14").code == 0


def analyze(place, **more):
    place.run_image("reg.example/run")
    return place.run("analyzer", "-layout", "-run-image", "reg.example/run", ARGUMENT, **more)


FEATURE = "Platform requested experimental feature 'export to OCI layout format'"


@pytest.mark.requirement("PLAT-EXPERIMENTAL-001", "PLAT-EXPERIMENTAL-003", "PLAT-EXPERIMENTAL-006")
@pytest.mark.parametrize("mode", [{}, {"CNB_EXPERIMENTAL_MODE": ""}, {"CNB_EXPERIMENTAL_MODE": "error"}])
@pytest.mark.parametrize("api", ["0.12", "0.15"])
def test_an_experimental_feature_fails_unless_the_platform_allows_it(place, mode, api):
    done = analyze(place, api=api, **mode)
    assert done.code == 1
    assert f"ERROR: {FEATURE}" in done.errors
    assert not (place.layers / "analyzed.toml").exists()


@pytest.mark.requirement("PLAT-EXPERIMENTAL-006")
@pytest.mark.parametrize("name", ["exporter", "creator"])
def test_export_to_a_layout_is_experimental(place, name):
    place.buildpack()
    done = place.run(name, "-layout", ARGUMENT)
    assert done.code == 1
    assert f"ERROR: {FEATURE}" in done.errors


@pytest.mark.requirement(
    "PLAT-EXPERIMENTAL-002", "PLAT-EXPERIMENTAL-004", "PLAT-ANA-034", "PLAT-ANA-007", "PLAT-ANA-008"
)
@pytest.mark.parametrize(("mode", "warned"), [("warn", True), ("silent", False)])
def test_an_experimental_feature_works_with_or_without_a_warning(place, mode, warned):
    done = analyze(place, CNB_EXPERIMENTAL_MODE=mode)
    assert done.code == 0, done.output
    assert (f"Warning: {FEATURE}" in done.output) is warned
    assert "run-image" in (place.layers / "analyzed.toml").read_text()


@pytest.mark.requirement("PLAT-ANA-032")
def test_a_layout_needs_a_directory(place):
    done = analyze(place, CNB_EXPERIMENTAL_MODE="silent", CNB_LAYOUT_DIR="")
    assert done.code == 3
    assert "-layout-dir" in done.errors[0]


@pytest.mark.requirement("PLAT-DET-016", "PLAT-DET-017", "PLAT-DET-018", "PLAT-DET-022", "PLAT-DET-023")
@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 100", 20), ("exit 1", 21), ("exit 99", 21)])
def test_the_exit_code_of_the_detector_tells_why_no_group_was_found(place, script, code):
    place.buildpack(detect=script)
    found = ("-group", place.layers / "found.toml", "-plan", place.layers / "found-plan.toml")
    done = place.run("detector", *found)
    assert done.code == code, done.output
    if code == 0:
        assert "a/b" in (place.layers / "found.toml").read_text()
    assert (place.layers / "found-plan.toml").exists() is (code == 0)
    assert bool(done.errors) is (code != 0)


@pytest.mark.requirement("PLAT-DET-019")
def test_other_failures_of_the_detector_are_22(place):
    composite = '[[order]]\n[[order.group]]\nid = "none"\nversion = "1"\n'
    place.buildpack(toml=f'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\n{composite}')
    done = place.run("detector")
    assert done.code == 22
    assert len(done.errors) == 1
    assert "none@1" in done.errors[0]


@pytest.mark.parametrize("name", ["detector", "restorer", "builder", "exporter"])
def test_a_missing_file_of_the_platform_is_1_because_no_phase_has_begun(place, name):
    place.buildpack()
    for file in ("order", "group", "plan"):
        (place.layers / f"{file}.toml").unlink(missing_ok=True)
    more = {"detector": ("-order", place.root / "missing.toml"), "exporter": LAYOUT}
    done = place.run(name, *more.get(name, ()), CNB_EXPERIMENTAL_MODE="silent")
    assert done.code == 1, done.output
    assert len(done.errors) == 1


def test_the_restorer_goes_on_without_analyzed_toml_that_it_can_t_read(place):
    place.buildpack()
    place.write("layers/analyzed.toml", BROKEN)
    done = place.run("restorer")
    assert done.code == 0, done.output
    assert "Not using analyzed data" in done.output


@pytest.mark.parametrize("name", ["restorer", "exporter"])
def test_every_phase_checks_the_apis_of_group_toml(place, name):
    place.buildpack()
    place.write("layers/group.toml", '[[group]]\nid = "a/b"\nversion = "1"\napi = "9.9"\n')
    place.write("layers/analyzed.toml", "[run-image]\nreference = 'x'\n")
    done = place.run(name, *((*LAYOUT,) if name == "exporter" else ()), CNB_EXPERIMENTAL_MODE="silent")
    assert done.code == 12, done.output


@pytest.mark.requirement("PLAT-BLD-011", "PLAT-BLD-012")
@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 1", 51), ("exit 100", 51)])
def test_the_exit_code_of_the_builder_tells_that_a_buildpack_failed(place, script, code):
    place.buildpack(build=script)
    done = place.run("builder")
    assert done.code == code, done.output
    assert (place.layers / "config/metadata.toml").exists() is (code == 0)


@pytest.mark.requirement("PLAT-DET-016", "PLAT-BLD-011")
@pytest.mark.parametrize("name", ["detector", "builder"])
def test_an_unsupported_buildpack_api_is_12(place, name):
    place.buildpack(toml='api = "9.9"\n[buildpack]\nid = "a/b"\nversion = "1"\n')
    place.write("layers/group.toml", '[[group]]\nid = "a/b"\nversion = "1"\napi = "9.9"\n')
    done = place.run(name)
    assert done.code == 12, done.output
    assert "9.9" in done.errors[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("name", "verb"), [("detector", "detect"), ("builder", "build")])
def test_buildpacks_are_not_run_as_root(place, name, verb):
    place.buildpack()
    done = place.run(name, as_root=True)
    assert done.code == 1
    assert len(done.errors) == 1
    assert f"failed to {verb}: refusing to run as root" in done.errors[0]


BROKEN = "[[[broken\n"
LAYOUT = ("-layout", ARGUMENT)
FILES = [
    ("detector", "layers/order.toml", (), 1),
    ("detector", "layers/analyzed.toml", (), 1),
    ("detector", "system.toml", (), 1),
    ("detector", "buildpacks/a_b/1/buildpack.toml", (), 1),
    ("restorer", "layers/group.toml", (), 1),
    ("builder", "layers/group.toml", (), 1),
    ("builder", "layers/plan.toml", (), 1),
    ("builder", "layers/analyzed.toml", (), 1),
    ("builder", "buildpacks/a_b/1/buildpack.toml", (), 52),
    ("analyzer", "run.toml", LAYOUT, 3),
    ("exporter", "layers/group.toml", LAYOUT, 1),
    ("exporter", "layers/analyzed.toml", LAYOUT, 3),
    ("exporter", "layers/config/metadata.toml", LAYOUT, 1),
]


@pytest.mark.requirement("PLAT-ANA-035", "PLAT-DET-019", "PLAT-RES-017", "PLAT-BLD-013", "PLAT-EXP-014", "PLAT-EXP-032")
@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("text", [BROKEN, "\x00"], ids=["syntax", "binary"])
def test_a_broken_file_is_told_in_one_line(place, case, text):
    name, file, arguments, code = case
    place.buildpack()
    place.write(file, text)
    done = place.run(name, *arguments, CNB_EXPERIMENTAL_MODE="silent")
    assert done.code == code, done.output
    assert len(done.errors) == 1, done.output
    assert Path(file).name in done.errors[0]


@pytest.mark.requirement("PLAT-BLD-013")
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("$CNB_LAYERS_DIR/deps.toml", "deps.toml"),
        ("$CNB_LAYERS_DIR/launch.toml", "launch.toml"),
        ("$CNB_LAYERS_DIR/build.toml", "build.toml"),
        ("$CNB_LAYERS_DIR/store.toml", "store.toml"),
    ],
)
@pytest.mark.parametrize("text", ["[[[broken", "types = 1\nprocesses = 1\nunmet = 1\nmetadata = 1"])
def test_a_broken_file_of_a_buildpack_is_told_in_one_line(place, target, name, text):
    place.buildpack(build=f"cat > \"{target}\" <<'END'\n{text}\nEND")
    done = place.run("builder")
    assert done.code == 52, done.output
    assert len(done.errors) == 1, done.output
    assert name in done.errors[0]


@pytest.mark.parametrize("name", ["detector", "builder"])
def test_reading_the_distribution_from_this_host_is_told_once(place, name):
    place.buildpack()
    done = place.run(name)
    assert done.output.count("target distro name/version labels not found, reading /etc/os-release file") == 1
