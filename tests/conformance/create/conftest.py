"""Builds by phases as processes, with images in a real registry."""

import itertools

import pytest

from parts.builds import Builds, found

_NUMBERS = itertools.count()


@pytest.fixture(name="found")
def found_fixture():
    return found


@pytest.fixture
def builds(place, registry, registry_store) -> Builds:
    return Builds(place, registry_store, f"{registry.host}/create-{next(_NUMBERS)}")
