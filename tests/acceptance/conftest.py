"""The program as a person starts it."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def lifecycle(tmp_path):
    def run(*arguments, check=True, home="home", **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home), **variables}
        (tmp_path / home).mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "lifecycle", *map(str, arguments)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=check, timeout=60,
        )  # fmt: skip

    return run
