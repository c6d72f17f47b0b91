"""Working directories of builds."""

import fcntl
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lifecycle.cli.commands.build.workspace import (
    Workspace,
    app_key,
    cache_dir,
    discard,
    last_build,
    new_workspace,
    remember,
    remove_build,
    state_dir,
)
from lifecycle.errors import LaunchError, LifecycleError

OF_NOBODY = """
import sys, pathlib
from lifecycle.cli.commands.build.workspace import new_workspace
print(new_workspace(pathlib.Path(sys.argv[1])).path)
"""


def _build_of_an_ended_process(parent):
    done = subprocess.run([sys.executable, "-c", OF_NOBODY, parent], capture_output=True, text=True, check=True)
    return Workspace(Path(done.stdout.strip()))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.mark.parametrize(
    ("path", "readable"),
    [("/home/me/My App!", "my-app"), ("/app", "app"), ("/", "app"), ("/..ü..", "app"), ("/a_b.c", "a-b-c")],
)
def test_the_key_of_an_app_is_readable(path, readable):
    assert re.fullmatch(f"{readable}-[0-9a-f]{{12}}", app_key(Path(path)))


def test_the_key_differs_for_each_path():
    assert len({app_key(Path(path)) for path in ("/a/app", "/b/app", "/b/App")}) == 3
    assert app_key(Path("/a/app")) == app_key(Path("/a/app"))


def test_directories_lie_where_xdg_says(tmp_path):
    environment = {
        "XDG_STATE_HOME": str(tmp_path / "s"),
        "XDG_CACHE_HOME": str(tmp_path / "c"),
        "HOME": "/nowhere",
    }
    assert state_dir(environment) == tmp_path / "s/cnb-lifecycle"
    assert cache_dir(environment) == tmp_path / "c/cnb-lifecycle"
    assert state_dir({"HOME": str(tmp_path)}) == tmp_path / ".local/state/cnb-lifecycle"
    assert cache_dir({"HOME": str(tmp_path)}) == tmp_path / ".cache/cnb-lifecycle"


def test_without_a_home_there_is_a_private_directory_in_the_temporary_one(temporary, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for environment in ({}, {"HOME": ""}, {"HOME": str(file)}):
        path = state_dir(environment)
        assert path == temporary / f"cnb-lifecycle-{os.getuid()}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_private_directory_is_refused(temporary, tmp_path):
    (temporary / f"cnb-lifecycle-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(LifecycleError, match="belongs to somebody else"):
        state_dir({})


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_home_that_may_not_be_entered_or_written_is_passed_over(tmp_path, mode):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    code = (
        "import os, sys; from lifecycle.cli.commands.build.workspace import state_dir\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY); os.fchmod(fd, int(sys.argv[3]))\n"
        "if os.geteuid() == 0:\n"
        "    os.fchdir(os.open(sys.argv[2], os.O_RDONLY)); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "else:\n"
        "    os.chdir(sys.argv[2])\n"
        "import tempfile; tempfile.tempdir = '.'\n"
        "print(state_dir({'HOME': sys.argv[1]}))\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, home, elsewhere, str(mode)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        home.chmod(0o700)
    assert done.stderr == ""
    assert done.stdout.startswith("cnb-lifecycle-")


def test_a_new_workspace_has_its_directories(tmp_path):
    workspace = new_workspace(tmp_path / "builds")
    for path in (workspace.layers, workspace.app, workspace.platform / "env", workspace.cnb, workspace.root):
        assert path.is_dir()
    assert stat.S_IMODE(workspace.path.stat().st_mode) == 0o755
    assert new_workspace(tmp_path / "builds").path != workspace.path


def test_a_parent_that_can_not_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LifecycleError, match="set XDG_STATE_HOME"):
        new_workspace(tmp_path / "file" / "builds")


def test_the_last_build_is_remembered_with_its_facts(tmp_path):
    workspace = new_workspace(tmp_path / "builds")
    remember(workspace, tmp_path, {"process": "web"})
    found, facts = last_build(tmp_path)
    assert found == workspace
    assert facts["process"] == "web"


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"workspace": 5}', '{"workspace": "/not/there"}'])
def test_without_a_usable_last_build_there_is_nothing_to_run(tmp_path, text):
    if text is not None:
        (tmp_path / "last.json").write_text(text)
    with pytest.raises(LaunchError, match="build an app first"):
        last_build(tmp_path)


def test_builds_before_the_last_are_removed_unless_somebody_holds_them(tmp_path):
    builds = tmp_path / "builds"
    ended, held = _build_of_an_ended_process(builds), new_workspace(builds)
    (builds / "foreign").mkdir()
    last = new_workspace(builds)
    assert ended.path.is_dir()
    remember(last, tmp_path, {})
    assert {path.name for path in builds.iterdir()} == {held.path.name, last.path.name, "foreign"}


def test_a_build_that_runs_is_held(tmp_path):
    first = _build_of_an_ended_process(tmp_path / "builds")
    remember(first, tmp_path, {})
    last_build(tmp_path)
    remember(new_workspace(tmp_path / "builds"), tmp_path, {})
    assert first.layers.is_dir()


def test_a_failed_build_is_removed(tmp_path):
    workspace = new_workspace(tmp_path)
    (workspace.app / "file").touch()
    discard(workspace)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_removed_while_the_mount_point_shows_anything(tmp_path):
    workspace = new_workspace(tmp_path)
    (workspace.root / "host").mkdir()
    (workspace.app / "file").touch()
    discard(workspace)
    assert (workspace.root / "host").is_dir()
    assert (workspace.app / "file").is_file()


def test_an_old_build_whose_mount_point_shows_anything_stays(tmp_path):
    old = _build_of_an_ended_process(tmp_path / "builds")
    (old.root / "host").mkdir()
    remember(new_workspace(tmp_path / "builds"), tmp_path, {})
    assert (old.root / "host").is_dir()
    assert old.layers.is_dir()


def test_a_build_that_another_took_for_abandoned_begins_in_another_directory(tmp_path, monkeypatch):
    taken = []
    flock = fcntl.flock

    def late(descriptor, operation):
        if operation == fcntl.LOCK_SH and not taken:
            taken.extend(tmp_path.iterdir())
            assert remove_build(taken[0])
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    workspace = new_workspace(tmp_path)
    assert list(tmp_path.iterdir()) == [workspace.path] != taken
    assert not remove_build(workspace.path)
