"""A build's own view of the file system."""

import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.executables import namespace

ENTER = """
import json, os, sys
from pathlib import Path
from lifecycle.executables.namespace import enter
work = Path(sys.argv[1])
enter({"/layers": work / "layers", "/workspace": work / "app"}, work / "root")
Path("/layers/made").write_text("inside")
print(json.dumps({
    "root": os.listdir(work / "root"),
    "host": Path(sys.argv[2]).read_text(),
    "uid": os.getuid(),
    "mounts": [line.split()[1] for line in open("/proc/self/mounts")],
}))
"""


@pytest.fixture
def work(tmp_path):
    for name in ("layers", "app", "root"):
        (tmp_path / "work" / name).mkdir(parents=True)
    work = tmp_path / "work"
    problem = namespace.obstacle({"/layers": work / "layers", "/workspace": work / "app"}, work / "root")
    if problem:
        pytest.skip(f"this host forbids mount namespaces: {problem}")
    return work


@pytest.fixture
def inside(work, tmp_path):
    import json

    (tmp_path / "precious").write_text("of the host")
    output = subprocess.run(
        [sys.executable, "-c", ENTER, work, tmp_path / "precious"], capture_output=True, text=True, check=True
    ).stdout
    return json.loads(output)


def test_the_build_sees_its_directories_at_the_places_of_the_image(inside, work):
    assert (work / "layers" / "made").read_text() == "inside"


def test_the_host_stays_where_it_is(inside):
    assert inside["host"] == "of the host"


def test_nothing_of_the_host_shows_below_the_mount_point_which_is_removed_with_the_build(inside, work):
    assert inside["root"] == []
    assert not [mount for mount in inside["mounts"] if mount.startswith(str(work))]


def test_the_user_stays_the_same(inside):
    import os

    assert inside["uid"] == os.getuid()


def test_the_caller_is_not_moved_by_the_question_whether_it_could_be(work):
    assert not Path("/layers/made").exists()
    assert list((work / "root").iterdir()) == []
