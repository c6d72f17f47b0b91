"""Digests of directories: names, kinds and contents count, nothing else, and nothing waits or leads astray."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError
from lifecycle.files.git_state import git_state
from lifecycle.files.merkle import module_digest, tree_digest

names = st.binary(min_size=1, max_size=6).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b"..", b".git"}
)
trees = st.recursive(st.binary(max_size=8), lambda each: st.dictionaries(names, each, max_size=4), max_leaves=8).filter(
    lambda each: isinstance(each, dict)
)


def _write(path: Path, tree) -> None:
    path.mkdir()
    for name, each in tree.items():
        child = path / os.fsdecode(name)
        if isinstance(each, dict):
            _write(child, each)
        else:
            child.write_bytes(each)


@given(trees, trees)
def test_two_directories_have_one_digest_exactly_when_they_hold_the_same(tmp_path_factory, one, other):
    root = tmp_path_factory.mktemp("trees")
    for name, tree in (("one", one), ("other", other)):
        _write(root / name, tree)
    assert (tree_digest(root / "one") == tree_digest(root / "other")) is (one == other)


def test_a_directory_that_is_missing_is_as_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    assert tree_digest(tmp_path / "missing") == tree_digest(tmp_path / "empty")


def test_depth_beyond_the_stack_of_python_is_no_problem(tmp_path):
    depth = sys.getrecursionlimit() + 50
    path = tmp_path / "top"
    path.mkdir()
    for _ in range(depth):
        path /= "d"
        path.mkdir()
    try:
        assert tree_digest(tmp_path).startswith("sha256:")
    finally:
        # What pytest uses to remove it is not so patient.
        subprocess.run(["rm", "-rf", tmp_path / "top"], check=True)


def test_a_named_pipe_is_told_apart_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with_pipe = tree_digest(tmp_path)
    (tmp_path / "pipe").unlink()
    (tmp_path / "pipe").write_text("")
    assert tree_digest(tmp_path) != with_pipe


def test_a_link_is_where_it_points_and_is_not_followed(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "target")
    before = tree_digest(tmp_path / "tree")
    (tmp_path / "target").mkdir()
    (tmp_path / "target/file").write_text("x")
    assert tree_digest(tmp_path / "tree") == before


def test_what_can_not_be_read_is_told_by_name(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root can read any file")
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0)
    with pytest.raises(InvalidFileError, match="can't be read") as refused:
        tree_digest(tmp_path)
    assert refused.value.where == str(tmp_path / "file")


COMMIT, OTHER = "1" * 40, "2" * 40


def _git(path, files):
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return git_state(path)


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": COMMIT, "refs/tags/v1": COMMIT, "refs/tags/v0": OTHER},
        {
            "HEAD": "ref: refs/heads/main\n",
            "packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n{OTHER} refs/tags/v0\n{COMMIT} refs/tags/v1\n",
        },
        {"HEAD": COMMIT, "packed-refs": f"{OTHER} refs/tags/v1\n^{COMMIT}\n", "index": "anything", "config": "too"},
        {"HEAD": COMMIT, "refs/tags/v1": COMMIT, "packed-refs": f"{OTHER} refs/tags/v1\n"},
    ],
    ids=["loose", "packed", "annotated", "moved"],
)
def test_a_commit_and_its_tags_are_read_wherever_git_keeps_them(tmp_path, files):
    assert _git(tmp_path, files) == f"commit {COMMIT}\ntag v1\n".encode()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_a_repository_is_nothing_and_stays_not_open(tmp_path, make):
    make(tmp_path / "HEAD")
    before = sorted(Path("/proc/self/fd").iterdir())
    assert git_state(tmp_path) == b"no commit\n"
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"HEAD": "nonsense"},
        {"HEAD": "ref: HEAD"},
        {"HEAD": "ref: ../../../etc/passwd"},
        {"HEAD": "ref: refs/heads/none"},
    ],
)
def test_a_repository_without_a_commit_has_none(tmp_path, files):
    assert _git(tmp_path, files) == b"no commit\n"


@pytest.fixture
def module(tmp_path):
    """A buildpack with links to a directory and a file that others share."""
    (tmp_path / "shared" / "more").mkdir(parents=True)
    (tmp_path / "shared" / "code.py").write_text("1")
    (tmp_path / "shared" / "more" / "file").write_text("1")
    (tmp_path / "file").write_text("1")
    lib = tmp_path / "buildpack" / "lib"
    lib.mkdir(parents=True)
    (lib / "shared").symlink_to("../../shared")
    (lib / "file").symlink_to("../../file")
    (lib / "inside").symlink_to("shared/code.py")
    (lib / "nowhere").symlink_to("../../missing")
    (tmp_path / "shared" / "more" / "loop").symlink_to("../../buildpack")
    return tmp_path / "buildpack"


@pytest.mark.parametrize("name", ["shared/code.py", "shared/more/file", "file"])
def test_what_links_that_leave_a_module_lead_to_is_part_of_it(module, name):
    plain, whole = tree_digest(module), module_digest(module)
    (module.parent / name).write_text("2")
    assert (tree_digest(module), module_digest(module)) != (plain, whole)
    assert tree_digest(module) == plain


def test_a_module_without_such_links_has_the_digest_of_its_directory(tmp_path):
    (tmp_path / "file").write_text("1")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "absolute").symlink_to("/etc")
    assert module_digest(tmp_path) == tree_digest(tmp_path)


def test_a_module_that_is_reached_by_a_link_is_the_same(module, tmp_path):
    (tmp_path / "by-link").symlink_to(module)
    assert module_digest(tmp_path / "by-link") == module_digest(module)


def test_what_python_compiles_while_a_module_runs_is_no_part_of_it(module):
    before = module_digest(module)
    for directory in (module / "lib", module.parent / "shared"):
        (directory / "__pycache__").mkdir()
        (directory / "__pycache__" / "code.pyc").touch()
    assert module_digest(module) == before
