"""The program with the arguments that a person gives."""

import os

import pytest

from parts.forks import Command, forks

OF_HOST = ("this host forbids mount namespaces", "contains the path of this build")


@pytest.fixture
def lifecycle(tmp_path):
    """Run the program in tmp_path, with a home that is new for the test; fail where it fails unless `check` is false."""

    def run(*arguments, check=True, home="home", **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home), **variables}
        (tmp_path / home).mkdir(exist_ok=True)
        done = forks().run(Command([*map(str, arguments)], environment, cwd=str(tmp_path)))
        assert not check or done.returncode == 0, done.stdout + done.stderr
        # Of the host, not of the build: other tests are about it.
        lines = done.stderr.splitlines(keepends=True)
        done.stderr = "".join(line for line in lines if not any(each in line for each in OF_HOST))
        done.paths_are_of_image = len(done.stderr.splitlines()) == len(lines)
        return done

    return run
