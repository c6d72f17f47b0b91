"""The program as a person starts it."""

import os
import subprocess
import sys

import pytest

OF_HOST = ("this host forbids mount namespaces", "contains the path of this build")


@pytest.fixture
def lifecycle(tmp_path):
    def run(*arguments, check=True, home="home", **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home), **variables}
        (tmp_path / home).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "lifecycle", *map(str, arguments)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=check, timeout=60,
        )  # fmt: skip
        # Of the host, not of the build: other tests are about it.
        lines = done.stderr.splitlines(keepends=True)
        done.stderr = "".join(line for line in lines if not any(each in line for each in OF_HOST))
        done.paths_are_of_image = len(done.stderr.splitlines()) == len(lines)
        return done

    return run
