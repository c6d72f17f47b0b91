"""Phases as processes, for every area."""

import pytest

from parts.phases import running_phases, temporary_place


@pytest.fixture(scope="session")
def phase(tmp_path_factory):
    """Run phases in processes of their own, in a clean environment."""
    with running_phases(tmp_path_factory.mktemp("phases") / "output") as phases:
        yield phases


@pytest.fixture
def place(phase):
    """Give a test the directories of a build."""
    with temporary_place(phase) as made:
        yield made
