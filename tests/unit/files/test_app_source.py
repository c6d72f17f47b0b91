"""Copies of an app's source."""

import os
import stat

import pytest

from lifecycle.errors import InvalidFileError, LifecycleError
from lifecycle.files.app_source import copy_app


@pytest.fixture
def source(tmp_path):
    return _tree(
        tmp_path / "app",
        {
            "main.py": "print()",
            "src/a.py": "a",
            "src/deep/b.txt": "b",
            "log/x.log": "x",
            "log/keep.log": "k",
            ".git/HEAD": "ref",
            "vendor/dep/.git/HEAD": "ref",
        },
    )


def _tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _names(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


ALL = {"main.py", "src/a.py", "src/deep/b.txt", "log/x.log", "log/keep.log", "vendor/dep/.git/HEAD"}


@pytest.mark.parametrize(
    ("include", "exclude", "kept"),
    [
        (None, None, ALL),
        (None, [], ALL),
        (None, ["*.log"], ALL - {"log/x.log", "log/keep.log"}),
        (None, ["*.log", "!keep.log"], ALL - {"log/x.log"}),
        (None, ["/src"], ALL - {"src/a.py", "src/deep/b.txt"}),
        (None, ["log/"], ALL - {"log/x.log", "log/keep.log"}),
        (None, ["**/deep"], ALL - {"src/deep/b.txt"}),
        (None, ["# main.py", ""], ALL),
        (["*.py"], None, {"main.py", "src/a.py"}),
        (["src/"], None, {"src/a.py", "src/deep/b.txt"}),
        (["/main.py", "/.git"], None, {"main.py", ".git/HEAD"}),
        (["log", "!log/x.log"], None, {"log/keep.log"}),
        ([], None, set()),
    ],
)
def test_include_and_exclude_are_patterns_of_gitignore(source, tmp_path, include, exclude, kept):
    destination = tmp_path / "copy"
    destination.mkdir()
    assert copy_app(source, destination, include=include, exclude=exclude) == len(kept)
    assert _names(destination) == kept


def test_modes_follow_the_executable_bit_alone(tmp_path):
    source = _tree(tmp_path / "app", {"private": "", "script": "", "sub/x": ""})
    (source / "private").chmod(0o600)
    (source / "script").chmod(0o710)
    (source / "sub").chmod(0o700)
    copy = tmp_path / "copy"
    copy_app(source, copy)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in copy.rglob("*")}
    assert modes == {"private": 0o644, "script": 0o755, "sub": 0o755, "x": 0o644}


def test_symbolic_links_are_kept_as_they_are(source, tmp_path):
    (source / "to-dir").symlink_to("src")
    (source / "dangling").symlink_to("nowhere")
    (source / "absolute").symlink_to("/etc/hostname")
    copy = tmp_path / "copy"
    assert copy_app(source, copy) == len(ALL) + 3
    targets = {name: str((copy / name).readlink()) for name in ("to-dir", "dangling", "absolute")}
    assert targets == {"to-dir": "src", "dangling": "nowhere", "absolute": "/etc/hostname"}


def test_the_original_stays_as_it_was(source, tmp_path):
    def state():
        return {path: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in source.rglob("*")}

    before = state()
    copy = tmp_path / "copy"
    copy_app(source, copy)
    (copy / "main.py").write_text("changed")
    assert state() == before
    assert (source / "main.py").read_text() == "print()"


def test_empty_directories_are_copied_unless_only_some_files_are_included(tmp_path):
    source = _tree(tmp_path / "app", {"a": ""})
    (source / "empty").mkdir()
    copy_app(source, tmp_path / "all")
    copy_app(source, tmp_path / "some", include=["a"])
    assert (tmp_path / "all/empty").is_dir()
    assert not (tmp_path / "some/empty").exists()


def test_pipes_are_left_out(source, tmp_path):
    os.mkfifo(source / "pipe")
    copy = tmp_path / "copy"
    assert copy_app(source, copy) == len(ALL)
    assert _names(copy) == ALL


def test_a_destination_inside_the_source_is_not_copied_into_itself(source):
    copy = source / ".local/state/copy"
    copy.mkdir(parents=True)
    copy_app(source, copy)
    assert _names(copy) == ALL


def test_what_the_build_itself_writes_is_no_part_of_the_app(source, tmp_path):
    _tree(source, {"ci/cache/committed/layer.tar": "", "ci/report.json": "", "ci/keep": ""})
    own = [source / "ci/../ci/cache", source / "ci/report.json", tmp_path]
    assert copy_app(source, tmp_path / "copy", own=own) == len(ALL) + 1
    assert _names(tmp_path / "copy") == ALL | {"ci/keep"}


def test_a_name_that_is_no_utf_8_is_copied(tmp_path):
    source = tmp_path / "app"
    source.mkdir()
    name = os.fsdecode(b"\xff.txt")
    (source / name).write_text("x")
    copy = tmp_path / "copy"
    copy_app(source, copy, exclude=["*.log"])
    assert [path.name for path in copy.iterdir()] == [name]


def test_a_source_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LifecycleError, match="app: can't be read: No such file"):
        copy_app(tmp_path / "app", tmp_path / "copy")


def test_a_file_that_is_in_the_way_is_an_error_that_names_the_original(source, tmp_path):
    copy = tmp_path / "copy"
    (copy / "main.py").mkdir(parents=True)
    with pytest.raises(LifecycleError, match=r"app/main\.py: can't be copied"):
        copy_app(source, copy)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["main.py", "src"])
def test_what_may_not_be_read_is_an_error_that_names_it(source, tmp_path, name):
    (source / name).chmod(0)
    try:
        with pytest.raises(LifecycleError, match=f"{name}: can't be"):
            copy_app(source, tmp_path / "copy")
    finally:
        (source / name).chmod(0o755)


def test_a_pattern_that_gitignore_does_not_allow_is_an_error(source, tmp_path):
    with pytest.raises(InvalidFileError, match="pattern"):
        copy_app(source, tmp_path / "copy", exclude=["!"])
