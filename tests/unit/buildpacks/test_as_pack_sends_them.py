"""A directory of this project's buildpacks as `pack build --buildpack DIRECTORY` sends it: its links lead nowhere."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

NAMES = ("apt", "ca-certificates", "java", "node", "procfile", "python-pip", "static")


def test_all_buildpacks_are_here(ours):
    assert tuple(sorted(each.parts[-3] for each in ours.glob("*/bin/detect"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_line_that_fails_says_what_to_run(ours, tmp_path, name):
    sent = shutil.copytree(ours / name, tmp_path / "buildpack", symlinks=True)
    # -I and -S: the Python of the tests knows the SDK.
    done = subprocess.run([sys.executable, "-IS", sent / "bin" / "detect"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run lifecycle buildpack package DIRECTORY" in done.stderr
    assert "No module named 'cnb_buildpack'" in done.stderr
