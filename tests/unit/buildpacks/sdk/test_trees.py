"""Digests of trees, and trees made equal."""

from __future__ import annotations

import os
import shutil

import pytest

import cnb_buildpack as bp


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "a" / "empty").mkdir(parents=True)
    (root / "a" / "file").write_text("x")
    (root / "link").symlink_to("a")
    return root


def test_a_copy_elsewhere_and_later_has_the_same_digest(tree, tmp_path):
    copy = tmp_path / "elsewhere" / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    os.utime(copy / "a" / "file", (1, 1))
    assert bp.tree_digest(copy) == bp.tree_digest(tree)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a/file").write_text("y"),
        lambda root: (root / "a/file").chmod(0o755),
        lambda root: (root / "a/file").rename(root / "a/other"),
        lambda root: (root / "a/empty").rmdir(),
        lambda root: (root / "a/empty/.new").touch(),
        lambda root: ((root / "link").unlink(), (root / "link").symlink_to("b")),
        lambda root: ((root / "link").unlink(), (root / "link").write_text("a")),
        shutil.rmtree,
    ],
    ids=["content", "mode", "name", "less", "more", "link", "kind", "gone"],
)
def test_any_change_changes_the_digest(tree, change):
    before = bp.tree_digest(tree)
    change(tree)
    assert bp.tree_digest(tree) != before


def test_a_missing_file_is_not_an_empty_one(tmp_path):
    missing = bp.tree_digest(tmp_path / "lock")
    (tmp_path / "lock").touch()
    assert bp.tree_digest(tmp_path / "lock") != missing


def test_bytecode_is_removed_and_nothing_else(tree):
    (tree / "a" / "__pycache__").mkdir()
    (tree / "a" / "__pycache__" / "m.pyc").touch()
    before = sorted(path.name for path in tree.rglob("*"))
    bp.remove_bytecode(tree)
    assert set(before) - {path.name for path in tree.rglob("*")} == {"__pycache__", "m.pyc"}


def test_modes_are_those_of_no_umask(tree):
    (tree / "a" / "file").chmod(0o600)
    (tree / "a" / "empty").chmod(0o700)
    (tree / "program").touch(0o700)
    bp.normalise_modes(tree)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tree, *tree.rglob("*")) if not path.is_symlink()}
    assert modes == {"tree": 0o755, "a": 0o755, "empty": 0o755, "file": 0o644, "program": 0o755}
