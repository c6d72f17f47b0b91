"""Names of a build's directories where it has no view of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.cli.commands.build.paths import fixed_names
from lifecycle.cli.commands.build.workspace import Workspace

NAME = """
import sys
from pathlib import Path
from lifecycle.cli.commands.build.paths import fixed_names
from lifecycle.cli.commands.build.workspace import Workspace
paths = fixed_names(Workspace(Path(sys.argv[1])), Path(sys.argv[2]))
print(paths.layers, flush=True)
(paths.layers / "seen").write_text(sys.argv[1])
if len(sys.argv) > 3:
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def workspaces(tmp_path):
    made = []
    for name in ("one", "two"):
        workspace = Workspace(tmp_path / "cnb-lifecycle" / "builds" / "app" / name)
        for path in (workspace.layers, workspace.app, workspace.platform, workspace.cnb):
            path.mkdir(parents=True)
        made.append(workspace)
    return made


def named(workspace, root):
    """Return the name that a process gives to the layers directory of a build."""
    done = subprocess.run(
        [sys.executable, "-c", NAME, workspace.path, root], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def test_one_build_after_the_other_has_the_names_of_the_image(workspaces, root):
    for workspace in workspaces:
        assert named(workspace, root) == root / "layers"
        assert (workspace.layers / "seen").read_text() == str(workspace.path)
        assert (root / "workspace").resolve() == workspace.app


def test_directories_of_others_stay_theirs(workspaces, root):
    (root / "layers").mkdir()
    (root / "platform").symlink_to("/")
    for workspace in workspaces:
        assert named(workspace, root) == workspace.path.parent / "current" / "layers"
        assert (workspace.layers / "seen").exists()
    assert {path.name for path in root.iterdir()} == {"layers", "platform"}
    assert list((root / "layers").iterdir()) == []


def test_a_name_of_builders_is_left_alone(workspaces, root):
    paths = fixed_names(workspaces[0], root)
    assert (paths.layers, paths.cnb) == (root / "layers", workspaces[0].path.parent / "current" / "cnb")
    assert not (root / "cnb").exists()


def test_names_go_with_the_build_that_had_them(workspaces, root):
    fixed_names(workspaces[0], root).release()
    assert list(root.iterdir()) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_who_may_not_write_the_root_directory_gets_names_that_stay_the_same(workspaces):
    assert named(workspaces[0], Path("/")) == named(workspaces[1], Path("/"))


def test_a_build_does_not_take_the_names_of_one_that_runs(workspaces, root):
    one, two = workspaces
    command = [sys.executable, "-c", NAME, one.path, root, "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().strip() == str(root / "layers")
        assert named(two, root) == two.layers
        assert (root / "layers").resolve() == one.layers
        running.communicate("")
    assert named(two, root) == root / "layers"


def test_without_any_fixed_name_a_build_has_its_own(workspaces, root):
    (root / "layers").mkdir()
    (workspaces[0].path.parent / "current").mkdir()
    paths = fixed_names(workspaces[0], root)
    assert paths.layers == workspaces[0].layers
    assert paths.links == ()


def test_a_build_that_was_killed_while_it_linked_is_no_obstacle(workspaces, root):
    (root / ".cnb-lifecycle-layers").symlink_to("/nowhere/cnb-lifecycle")
    (root / "layers").symlink_to("/nowhere/cnb-lifecycle")
    assert named(workspaces[0], root) == root / "layers"
