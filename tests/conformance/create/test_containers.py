"""Phases that share nothing but the files of the build.  Spec: buildpack.md "Security Considerations"."""

import shutil
import subprocess

import pytest

from parity import building, runner
from parity.cases import CASES
from parts.temporary import let_others_enter

SHARED = ("layers", "workspace", "cache", "layout", "platform", "cnb", "etc")
API = "0.15"


@pytest.fixture
def roots(tmp_path, tmp_path_factory):
    """Make roots of containers, which the user of the build may enter."""
    let_others_enter(tmp_path, tmp_path_factory.getbasetemp())
    problem = runner.obstacle(tmp_path / "probe")
    if problem:
        pytest.skip(f"phases need a view of the file system of their own, which this host refuses: {problem}")
    yield lambda name: tmp_path / name
    runner.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.requirement("BP-SEC-002", "PLAT-CRE-001")
@pytest.mark.parametrize("name", ["sboms", "reuse-without-directory"])
def test_each_phase_runs_in_a_container_of_its_own_that_gets_copies_of_the_files(roots, name):
    case = next(each for each in CASES if each.name == name)
    place = building.Place.LAYOUT
    root = roots("start")
    building.prepare(case, place, root)
    number = 0
    for _ in range(2):
        for call in building.calls(case, API, place, creator=False):
            number += 1
            container = roots(f"container-{number}")
            container.mkdir()
            subprocess.run(["cp", "-a", *(root / each for each in SHARED), container], check=True)
            shutil.rmtree(root)
            root = container
            (result,) = runner.OURS.run(root, [call])
            assert result.code == 0, result.out + result.err
        apart = place.app(root)
        building.renew(case, place, root)
    together = building.build(case, API, place, roots("together"), runner.OURS)
    assert apart.config == together[-1].app.config
