"""What becomes of the program when somebody hangs up on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

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
