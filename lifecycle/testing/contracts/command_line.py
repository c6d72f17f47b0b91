"""The contract for ``pytest --cnb-buildpack DIR --cnb-app DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.testing.contracts.buildpack import BuildpackContract
from lifecycle.testing.contracts.subject import Subject

if TYPE_CHECKING:
    import pytest


class TestContract(BuildpackContract):
    """The contract of the buildpacks that the command line names."""

    __test__ = True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one contract for each buildpack that the command line names."""
    config = metafunc.config
    app = config.getoption("--cnb-app")
    pairs = [pair.partition("=") for pair in config.getoption("--cnb-env")]
    subjects = [
        Subject(
            buildpack=Path(root),
            app=None if app is None else Path(app),
            env={name: value for name, _, value in pairs},
            plan=config.getoption("--cnb-plan"),
        )
        for root in config.getoption("--cnb-buildpack")
    ]
    names = [each.buildpack.resolve().name for each in subjects]
    metafunc.parametrize("cnb_runs", subjects, ids=names, indirect=True, scope="class")
