"""Runs of both lifecycles for the tests of parity."""

import shutil

import pytest

from parity import runner
from parts.temporary import let_others_enter


@pytest.fixture(scope="session", autouse=True)
def lifecycles(tmp_path_factory):
    """Say why nothing can be run here, if so; end the process that runs the lifecycles."""
    root = tmp_path_factory.mktemp("parity")
    problem = runner.obstacle(root)
    if problem:
        pytest.skip(f"runs need a view of the file system of their own, which this host refuses: {problem}")
    yield
    runner.stop()


@pytest.fixture
def new_root(tmp_path_factory):
    """Make directories for runs, and remove them with all that runs left."""
    made = []

    def make():
        root = tmp_path_factory.mktemp("root")
        let_others_enter(root, tmp_path_factory.getbasetemp())
        made.append(root)
        return root

    yield make
    for root in made:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def network():
    """Skip where no registry can be run in a network of its own."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed: apt-get install iproute2")
