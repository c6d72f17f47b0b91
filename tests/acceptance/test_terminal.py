"""``lifecycle build`` on a terminal."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

BUILDPACK = Path(__file__).parents[1] / "fixtures" / "buildpacks" / "hello-processes"
COLUMNS = 70


def on_terminal(command, **environment):
    """Return what a command writes to its terminal and to its standard output, which is none."""
    master, slave = os.openpty()
    with subprocess.Popen(command, stderr=slave, stdout=subprocess.PIPE, env=environment) as process:
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            written += chunk
        assert process.stdout is not None
        output = process.stdout.read()
    os.close(master)
    assert process.returncode == 0, written
    return written.decode(), output.decode()


@pytest.mark.parametrize(
    ("streams", "status", "said"),
    [
        (">/dev/full", 1, "error: standard output can't be written: No space left on device\n"),
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
def test_standard_streams_may_be_full_or_closed(tmp_path, streams, status, said):
    command = f'exec "$0" -m lifecycle build app -b "$1" -o "$PWD/image" --quiet {streams}'
    (tmp_path / "app").mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, BUILDPACK],
        check=False,
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == status
    assert done.stderr.endswith(said)
    assert "Traceback" not in done.stderr
    assert (tmp_path / "image" / "index.json").exists()


def test_packing_a_big_app_shows_a_line_that_moves_and_goes(tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    # Bytes of four kinds shrink, and take their time.
    four_kinds = bytes(range(4)) * 64
    (app / "big").write_bytes(random.Random(1).randbytes(96_000_000).translate(four_kinds))
    written, output = on_terminal(
        [sys.executable, "-m", "lifecycle", "build", app, "-b", BUILDPACK, "-t", "app", "-o", tmp_path / "image"],
        HOME=str(tmp_path), PATH=os.environ["PATH"], TERM="xterm", COLUMNS=str(COLUMNS), NO_COLOR="1",
    )  # fmt: skip
    drawn = re.findall(r"\r\x1b\[2K([^\r\x1b]+)", written)
    lines = [line for line in drawn if line.startswith("    ") and "packing slice-1" in line]
    assert lines
    assert all(len(line) < COLUMNS for line in lines)
    assert all(re.match(r"    #*\.* +\d+%  \d+\.\d MB of 96\.0 MB", line) for line in lines)
    screen = [line.rpartition("\r\x1b[2K")[2] for line in written.split("\r\n")]
    assert not any("packing slice-1" in line for line in screen)
    assert any(re.fullmatch(r"    added +96\.0 MB  slice-1: new layer", line) for line in screen)
    assert screen[-2].startswith("==> Built in ")
    assert "\x1b" not in output
