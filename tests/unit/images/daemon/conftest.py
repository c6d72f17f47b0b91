"""Real daemons as stores of images."""

import itertools
import os

import pytest

from lifecycle.images.daemon.store import DaemonStore

NUMBERS = itertools.count()


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
