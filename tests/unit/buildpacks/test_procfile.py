"""The buildpack procfile, run as a lifecycle runs it."""

from __future__ import annotations

import subprocess
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp


@pytest.fixture
def procfile(ours):
    return ours / "procfile"


def test_an_app_with_a_procfile_passes_detection(workspace, procfile):
    (workspace.app / "Procfile").write_text("web: true\n")
    assert workspace.detect(procfile).returncode == 0


def test_an_app_without_a_procfile_fails_detection(workspace, procfile):
    (workspace.app / "procfile.txt").write_text("web: true\n")
    assert workspace.detect(procfile).returncode == 100


@pytest.mark.parametrize("positional", [False, True], ids=["variables", "arguments"])
def test_each_line_becomes_a_process_and_web_the_default(new_workspace, procfile, positional):
    workspace = new_workspace(positional=positional)
    (workspace.app / "Procfile").write_text("# comment\n\nworker: ./work -n 3 | tee log\nweb:python3 app.py\n")
    built = workspace.build(procfile)
    assert (built.returncode, built.stderr) == (0, "")
    assert built.stdout == "worker: ./work -n 3 | tee log\nweb: python3 app.py\n"
    assert tomllib.loads((workspace.layers / "launch.toml").read_text()) == {
        "processes": [
            {"type": "worker", "command": ["sh", "-c", "./work -n 3 | tee log"]},
            {"type": "web", "command": ["sh", "-c", "exec python3 app.py"], "default": True},
        ]
    }


def test_a_process_runs_its_line_as_shell(workspace, procfile):
    (workspace.app / "Procfile").write_text('hello: printf \'%s\\n\' "$NAME" "it\'s" | tr a-z A-Z && echo done\n')
    workspace.build(procfile)
    [process] = tomllib.loads((workspace.layers / "launch.toml").read_text())["processes"]
    env = {"NAME": "bob", "PATH": "/usr/bin:/bin"}
    assert subprocess.check_output(process["command"], env=env, text=True) == "BOB\nIT'S\ndone\n"


def test_line_ends_and_byte_order_mark_of_windows_editors_are_read(workspace, procfile):
    (workspace.app / "Procfile").write_bytes(b"\xef\xbb\xbfweb: true\r\nworker: false\r\n")
    assert workspace.build(procfile).stdout == "web: true\nworker: false\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"web: true\n\npython3 app.py\n", "Procfile:3: expected '<process type>: <command>'"),
        (b"web:\n", "Procfile:1: expected"),
        (b"web server: true\n", "Procfile:1: expected"),
        (b"web: true\nweb: false\n", "Procfile:2: process type 'web' is already on a line above"),
        (b"# nothing\n", "Procfile: no process in it"),
        (b"web: \xff\n", "Procfile: not UTF-8 (byte 5)"),
    ],
    ids=["no type", "no command", "space in type", "type twice", "empty", "not UTF-8"],
)
def test_a_malformed_procfile_is_an_error_that_names_the_line(workspace, procfile, content, problem):
    (workspace.app / "Procfile").write_bytes(content)
    built = workspace.build(procfile)
    assert built.returncode == 1
    assert built.stderr.startswith(f"procfile: {problem}")
    assert built.stderr.count("\n") == 1
    assert not (workspace.layers / "launch.toml").exists()


@given(line=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_command_line_survives_launch_toml(load, ours, line):
    launch = bp.Launch(bp.Api.parse("0.10", where="buildpack.toml"))
    launch.process("web", ["sh", "-c", load(ours / "procfile/lib/buildpack.py").script(line)])
    written = tomllib.loads(bp.toml_text(launch.table()))
    assert written["processes"][0]["command"][2] in {line, f"exec {line}"}


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("python3 app.py --port $PORT", "exec python3 app.py --port $PORT"),
        ("cd web && ./serve", "cd web && ./serve"),
        ("./work | tee log", "./work | tee log"),
        ("PORT=1 ./serve", "PORT=1 ./serve"),
        ("exec ./serve", "exec ./serve"),
    ],
)
def test_a_single_program_takes_the_place_of_its_shell(load, ours, line, script):
    assert load(ours / "procfile/lib/buildpack.py").script(line) == script
