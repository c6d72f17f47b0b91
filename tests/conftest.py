"""Real registries for all tests; each skips where its program isn't installed."""

from collections.abc import Iterator

import pytest
from parts.registry import RegistryServer


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Plain HTTP, no authentication, shared by the tests of a worker: use a repository name of your own."""
    with RegistryServer(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """As `registry`, of this test alone: to kill, restart or damage."""
    with RegistryServer(tmp_path_factory.mktemp("own-registry")) as started:
        yield started
