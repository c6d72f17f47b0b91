"""What becomes of the program when who reads its output hangs up, or can't take it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_HANGS_UP = """
import socket, sys
from lifecycle.cli.main import main

sys.argv = ["lifecycle", "--version"]
try:
    main()
except SystemExit:
    ours, theirs = socket.socketpair()
    theirs.close()
    try:
        ours.sendall(b"a blob")
    except BrokenPipeError:
        sys.stderr.write("told as an error")
"""


def test_a_registry_that_hangs_up_is_an_error_that_can_be_told() -> None:
    done = subprocess.run([sys.executable, "-c", _HANGS_UP], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "told as an error")


@pytest.mark.parametrize("arguments", [("analyzer", "-version"), ("--help",)])
def test_a_reader_of_the_output_that_is_gone_ends_the_program_without_a_word(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "lifecycle", *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )

    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--help",), 1),
        (("doctor",), 1),
        (("buildpack", "lint", "buildpack"), 1),
        (("analyzer", "-help"), 0),
        (("detector", "-app", "."), 1),
    ],
)
def test_output_that_can_not_be_written_is_told_once(tmp_path, arguments: tuple[str, ...], status: int) -> None:
    (tmp_path / "buildpack").mkdir()
    (tmp_path / "buildpack/buildpack.toml").write_text('api = "0.12"\n[buildpack]\nid = "a"\nversion = "1"\n')
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lifecycle", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "CNB_PLATFORM_API": "0.15"},
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (
        status,
        "error: standard output can't be written: No space left on device\n",
    )
