"""Phases from their inputs to exit status, output and files."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import cnb_buildpack as bp

SDK = Path(bp.__file__).parents[1]


def passes(context):
    return context.pass_(bp.BuildPlan(provides=["a"]))


def test_detection_that_passes_writes_the_plan(site):
    assert bp.run_phase("detect", env=site.env(), cwd=site.app, detect=passes) == 0
    assert tomllib.loads(site.plan_path.read_text()) == {"provides": [{"name": "a"}]}


def test_detection_that_fails_is_100_and_says_why(site, capsys):
    assert bp.run_phase("detect", env=site.env(), cwd=site.app, detect=lambda it: it.fail("no lock.txt")) == 100
    assert (capsys.readouterr().out, site.plan_path.read_text()) == ("no lock.txt\n", "")


def test_detection_without_an_answer_is_an_error_that_says_what_to_return(site, capsys):
    assert bp.run_phase("detect", env=site.env(), cwd=site.app, detect=lambda _: None) == 1
    assert capsys.readouterr().err.startswith("it: detect returned None; return context.pass_(plan) or")


@pytest.mark.parametrize("phase", ["detect", "build"])
def test_a_phase_without_a_function_succeeds(site, phase):
    assert bp.run_phase(phase, env=site.env(), cwd=site.app) == 0


@pytest.mark.parametrize("by_argument", [False, True], ids=["variables", "arguments"])
def test_inputs_are_variables_or_as_in_api_0_7_arguments(new_site, by_argument):
    site = new_site(api="0.7")
    site.plan_path.write_text('[[entries]]\nname = "a"\n')
    seen = []
    arguments = [str(path) for path in (site.layers, site.platform, site.plan_path)] if by_argument else []
    env = {"CNB_BUILDPACK_DIR": str(site.root)} if by_argument else site.env()
    assert bp.run_phase("build", argv=arguments, env=env, cwd=site.app, build=seen.append) == 0
    [context] = seen
    assert (context.app_dir, context.layers_dir, context.platform.dir) == (site.app, site.layers, site.platform)
    assert [entry.name for entry in context.plan] == ["a"]


@pytest.mark.parametrize("name", ["CNB_LAYERS_DIR", "CNB_PLATFORM_DIR", "CNB_BP_PLAN_PATH"])
def test_a_missing_input_is_named(site, capsys, name):
    env = site.env()
    del env[name]
    assert bp.run_phase("build", env=env, cwd=site.app) == 1
    assert capsys.readouterr().err == f"it: {name} is not set; let a lifecycle run the buildpack, or set it\n"


def test_a_build_leaves_processes_store_and_what_is_unmet(site):
    site.plan_path.write_text('[[entries]]\nname = "a"\n[[entries]]\nname = "b"\n')
    (site.layers / "store.toml").write_text("[metadata]\nbuilds = 1\n")

    def build(context):
        context.launch.process("web", ["true"])
        context.store["builds"] += 1
        context.unmet("b")
        context.unmet("b")

    assert bp.run_phase("build", env=site.env(), cwd=site.app, build=build) == 0
    assert {path.name: tomllib.loads(path.read_text()) for path in site.layers.iterdir()} == {
        "launch.toml": {"processes": [{"type": "web", "command": ["true"]}]},
        "store.toml": {"metadata": {"builds": 2}},
        "build.toml": {"unmet": [{"name": "b"}]},
    }


def test_files_of_the_build_before_do_not_stay(site):
    for name in ("launch.toml", "build.toml"):
        (site.layers / name).write_text("")
    assert bp.run_phase("build", env=site.env(), cwd=site.app) == 0
    assert list(site.layers.iterdir()) == []


def test_only_what_the_plan_asks_for_can_be_unmet(site):
    with pytest.raises(bp.BuildpackError, match="a can't be left unmet: the plan asks for nothing"):
        site.build().unmet("a")


def test_an_expected_failure_is_one_line_and_1_and_leaves_no_layer(site, capfd):
    def build(context):
        context.uncached_layer("it", types=bp.LAUNCH)
        context.launch.process("web", ["true"])
        raise bp.BuildpackError("no such thing", fix="make it")

    assert bp.run_phase("build", env=site.env(), cwd=site.app, build=build) == 1
    assert capfd.readouterr().err == "it: no such thing; make it\n"
    assert not list(site.layers.glob("*.toml"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("several\nlines"), "it: unexpected ValueError: several lines (test_program.py:"),
        (PermissionError(13, "Permission denied", "/x"), "it: [Errno 13] Permission denied: '/x' (test_program.py:"),
    ],
)
@pytest.mark.parametrize("variable", [None, ("BP_LOG_LEVEL", "debug"), ("CNB_DEBUG", "1")], ids=str)
def test_an_unexpected_failure_is_one_line_and_2_and_its_traceback_is_for_debugging(
    site, capfd, monkeypatch, error, text, variable
):
    if variable:
        monkeypatch.setenv(*variable)

    def build(_context):
        raise error

    assert bp.run_phase("build", env=site.env(), cwd=site.app, build=build) == 2
    said = capfd.readouterr().err
    assert said.startswith(text)
    assert ("Traceback" in said) is (variable is not None)
    assert variable or said.count("\n") == 1


@pytest.mark.parametrize("fails", [lambda: bp.toml_text({"a": object()}), lambda: bp.BUILD / 1], ids=["sdk", "own"])
def test_an_unexpected_failure_names_the_last_line_of_the_buildpack(site, capfd, fails):
    def build(_context):
        fails()

    assert bp.run_phase("build", env=site.env(), cwd=site.app, build=build) == 2
    assert f"(test_program.py:{fails.__code__.co_firstlineno})" in capfd.readouterr().err


def test_an_extension_generates_with_its_own_variables(new_site):
    site = new_site(kind="extension")
    env = {**site.env(), "CNB_EXTENSION_DIR": str(site.root)}
    del env["CNB_BUILDPACK_DIR"]
    generated = bp.run_phase(
        "generate", env=env, cwd=site.app, generate=lambda context: context.run_dockerfile("FROM scratch\n")
    )
    assert (generated, (site.path / "output/run.Dockerfile").read_text()) == (0, "FROM scratch\n")


@pytest.mark.parametrize("phase", ["release", "buildpack.py"])
def test_another_name_is_no_phase(site, capsys, phase):
    assert bp.run_phase(phase, env=site.env(), cwd=site.app) == 1
    assert "call the buildpack as detect, build or generate" in capsys.readouterr().err


@pytest.fixture
def one_file(site):
    """A buildpack of one file, whose SDK is a link that leads out of it."""
    lib = site.root / "lib"
    lib.mkdir()
    (lib / "cnb_buildpack").symlink_to(SDK / "cnb_buildpack")
    (lib / "buildpack.py").write_text(
        f"#!{sys.executable}\n"
        + textwrap.dedent("""\
            import os, sys
            import cnb_buildpack as bp

            def detect(context):
                loaded = {"subprocess", "urllib.request", "cnb_buildpack.layer"} & set(sys.modules)
                return context.fail(f"{context.root.name} {sorted(loaded)}")

            def build(context):
                bp.run(["sh", "-c", "echo to err >&2; umask"])
                print("from here \\ud800")
                bp.log.warning("careful")

            if __name__ == "__main__":
                bp.main(detect=detect, build=build)
            """)
    )
    (lib / "buildpack.py").chmod(0o755)
    (site.root / "bin").mkdir()
    for phase in ("detect", "build"):
        (site.root / "bin" / phase).symlink_to("../lib/buildpack.py")
    return site


@pytest.mark.parametrize("tell", [True, False], ids=["told where it is", "not told"])
def test_links_to_one_file_are_its_phases_and_detection_loads_little(one_file, tell):
    env = one_file.env()
    if not tell:
        del env["CNB_BUILDPACK_DIR"]
    done = subprocess.run(
        [one_file.root / "bin/detect"], env=env, cwd=one_file.app, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (100, "buildpack []\n", "")


def test_lines_of_programs_and_of_the_buildpack_come_in_their_order(one_file):
    done = subprocess.run(
        [one_file.root / "bin/build"],
        env={**one_file.env(), "PATH": "/usr/bin:/bin"},
        cwd=one_file.app,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        umask=0o077,
    )
    assert done.stdout == "  to err\n  0022\nfrom here \\ud800\nwarning: careful\n"


def test_a_buildpack_that_is_run_writes_no_bytecode_of_its_own(one_file):
    subprocess.run([one_file.root / "bin/detect"], env=one_file.env(), cwd=one_file.app, check=False)
    assert sorted(path.name for path in (one_file.root / "lib").iterdir()) == ["buildpack.py", "cnb_buildpack"]
