"""Phases as processes, for every area."""

import pytest

from parts.phases import run_phase, temporary_place


@pytest.fixture(scope="session")
def phase():
    """Run phases in processes of their own, in a clean environment."""
    return run_phase


@pytest.fixture
def place():
    """Give a test the directories of a build."""
    with temporary_place() as made:
        yield made
