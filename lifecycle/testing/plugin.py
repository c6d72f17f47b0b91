"""The pytest plugin: fixtures for tests of buildpacks, and the contract on the command line.

Every pytest run of an environment loads this module, so nothing else is imported before a fixture is used.
"""

from __future__ import annotations

import gc
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from lifecycle.testing.cnb import Cnb
    from lifecycle.testing.contracts.runs import Runs

_CONTRACT = Path(__file__).parent / "contracts" / "command_line.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that put a buildpack through the contract."""
    group = parser.getgroup("cnb", "Cloud Native Buildpacks")
    group.addoption(
        "--cnb-buildpack",
        action="append",
        default=[],
        metavar="DIR",
        help="put the buildpack in DIR through the contract of the specification (repeatable)",
    )
    group.addoption("--cnb-app", metavar="DIR", help="the app that the buildpacks of --cnb-buildpack build")
    group.addoption(
        "--cnb-env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the user for --cnb-buildpack (repeatable)",
    )
    group.addoption(
        "--cnb-plan",
        action="append",
        default=None,
        metavar="NAME",
        help="build with a plan that requires NAME, where other buildpacks would require it (repeatable)",
    )


class _AsCompiled:
    """Finds the modules of this package as they were compiled when it was installed.

    pytest rewrites the assertions in all modules of a plugin's distribution, at each start where it may write no
    bytecode; there are none in these.  A meta path finder.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith("lifecycle.") else None


def pytest_configure(config: pytest.Config) -> None:
    """Collect the contract alone if a buildpack but no test is named."""
    sys.meta_path.insert(0, _AsCompiled)
    config.add_cleanup(lambda: sys.meta_path.remove(_AsCompiled))
    if config.getoption("--cnb-buildpack") and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(_CONTRACT)]


@pytest.fixture
def cnb(tmp_path: Path, request: pytest.FixtureRequest) -> Cnb:
    """Return what builds apps with buildpacks in a temporary directory: ``lifecycle.testing.cnb.Cnb``."""
    return _cnb(tmp_path / "cnb", request)


@pytest.fixture(scope="module")
def cnb_module(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Cnb:
    """Return as ``cnb``, for all tests of a module: for builds that several of them look at."""
    return _cnb(tmp_path_factory.mktemp("cnb"), request)


@pytest.fixture(scope="class")
def cnb_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Return the runs that the tests of a contract look at, each made once."""
    from lifecycle.testing.contracts.runs import Runs  # noqa: PLC0415  # see the module

    subject = request.param if hasattr(request, "param") else request.cls.subject
    return Runs(subject, tmp_path_factory.mktemp("contract"))


def _cnb(root: Path, request: pytest.FixtureRequest) -> Cnb:
    collects = gc.isenabled()
    gc.disable()  # modules are no garbage
    try:
        from lifecycle.testing.cnb import Cnb  # noqa: PLC0415  # see the module
    finally:
        if collects:
            gc.enable()
    return Cnb(root, redirects=request.config.getoption("capture") != "no")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the buildpacks printed in it."""
    report = yield
    if report.failed and "lifecycle.testing.log" in sys.modules:
        from lifecycle.testing.log import LogBook  # noqa: PLC0415  # loaded already

        for used in getattr(item, "funcargs", {}).values():
            logs = getattr(used, "logs", None)
            if isinstance(logs, LogBook):
                report.sections += [(f"log of {title}", log.tail) for title, log in logs.entries if log]
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show the end of a log that lacks a text, and not all of it in one line."""
    if op not in {"in", "not in"} or "lifecycle.testing.log" not in sys.modules:
        return None
    from lifecycle.testing.log import Log  # noqa: PLC0415  # loaded already

    if not isinstance(right, Log):
        return None
    return [f"{left!r} {op} the log of the buildpack", *right.tail.splitlines()]
