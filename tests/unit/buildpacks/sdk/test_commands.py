"""Programs that are run."""

from __future__ import annotations

import pytest

import cnb_buildpack as bp


def test_output_and_errors_of_a_program_are_indented_in_the_log(capsys):
    bp.run(["sh", "-c", "echo out; echo err >&2; printf 'no end \\377'"])
    assert capsys.readouterr().out == "  out\n  err\n  no end \ufffd\n"


def test_environment_and_directory_are_those_given(tmp_path, capsys):
    bp.run(["/bin/sh", "-c", 'echo "$A"; pwd'], env={"A": "b"}, cwd=tmp_path)
    assert capsys.readouterr().out == f"  b\n  {tmp_path}\n"


def test_a_program_gets_no_input():
    assert bp.capture(["cat"]) == ""


def test_what_a_program_says_is_captured_without_the_last_line_end():
    assert bp.capture(["printf", " a\\n\\nb\\n"]) == " a\n\nb"


@pytest.mark.parametrize("call", [bp.run, bp.capture])
@pytest.mark.parametrize(
    ("command", "status", "problem"),
    [
        (["sh", "-c", "exit 3", "hunter2"], 3, "sh failed with exit status 3"),
        (["sh", "-c", "kill -TERM $$", "hunter2"], -15, "sh was ended by SIGTERM"),
        (["/no/such/thing", "hunter2"], -1, "/no/such/thing can't be started: No such file or directory"),
    ],
)
def test_a_program_that_does_not_succeed_is_an_error_without_its_arguments(call, command, status, problem):
    with pytest.raises(bp.CommandError, match=problem) as raised:
        call(command)
    assert raised.value.status == status
    assert "hunter2" not in str(raised.value)


def test_an_error_has_the_name_and_the_fix_of_its_caller():
    with pytest.raises(bp.CommandError, match="npm ci failed with exit status 1: see its output above; look at it"):
        bp.run(["false"], name="npm ci", fix="look at it")


def test_what_was_captured_of_errors_is_told_by_its_last_line():
    with pytest.raises(bp.CommandError, match=r"sh failed with exit status 1: two$"):
        bp.capture(["sh", "-c", "echo one >&2; echo two >&2; exit 1"])
