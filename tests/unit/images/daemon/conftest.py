"""Daemons for these tests, shared by all workers of a run."""

import itertools
import os

import pytest
from parts.dockerd import running_dockerd
from parts.podman import running_podman

from lifecycle.images.daemon.store import DaemonStore

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory):
    with running_dockerd(tmp_path_factory) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def podman(tmp_path_factory):
    with running_podman(tmp_path_factory) as daemon:
        yield daemon


@pytest.fixture(params=["dockerd", "podman"])
def daemon(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(daemon):
    return DaemonStore(daemon.client)


@pytest.fixture
def name():
    """Make names that no other test uses."""
    number = f"{os.getpid()}-{next(NUMBERS)}"
    return lambda text: f"test-{number}/{text}:1"
