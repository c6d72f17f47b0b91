"""Directories are removed unless something else shows in them."""

import subprocess
import sys

import pytest

from lifecycle.files.removal import remove_tree

REMOVE = """
import os, sys
from pathlib import Path
from lifecycle.errors import LifecycleError
from lifecycle.executables.mounts import Unshared, bind, make_private, unshare
from lifecycle.files.removal import remove_tree
top = Path(sys.argv[1])
try:
    unshare(Unshared.MOUNTS if os.geteuid() == 0 else Unshared.USERS | Unshared.MOUNTS, step="unshare")
    make_private()
except LifecycleError as error:
    print("forbidden", error)
    sys.exit()
bind(top / "precious", top / "tree" / "a" / "shown")
try:
    remove_tree(top / "link" / "a")
except LifecycleError as error:
    print(error)
"""


def test_a_directory_is_removed_and_a_missing_one_is_none(tmp_path):
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside")
    for _ in range(2):
        remove_tree(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_nothing_is_removed_where_something_is_mounted(tmp_path):
    (tmp_path / "tree" / "a" / "shown").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")
    (tmp_path / "link").symlink_to("tree")
    done = subprocess.run([sys.executable, "-c", REMOVE, tmp_path], capture_output=True, text=True, check=True)
    if done.stdout.startswith("forbidden"):
        pytest.skip(done.stdout)
    assert "is not removed, because something is mounted there" in done.stdout
    assert (tmp_path / "precious" / "file").exists()
