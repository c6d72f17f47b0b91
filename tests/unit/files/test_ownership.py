"""Directories that change hands, with the traps that a build may have left in them."""

import contextlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import LifecycleError
from lifecycle.files.ownership import Owner, give_directory

ME = Owner(1234, 1235)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def volume(tmp_path):
    directory = tmp_path / "volume"
    directory.mkdir(mode=0o755)
    return directory


@pytest.fixture
def precious(tmp_path):
    """A file outside, as /etc/shadow is."""
    path = tmp_path / "precious"
    path.write_text("of root")
    return path


def owner_of(path):
    status = os.lstat(path)
    return Owner(status.st_uid, status.st_gid)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def fill(directory):
    (directory / "a" / "b").mkdir(parents=True)
    for name in ("top", "a/file", "a/b/file", "a/with\nnewline", "a/\udcff"):
        (directory / name).touch()
    return [directory, *directory.rglob("*")]


def test_a_directory_is_given_with_all_in_it(volume):
    paths = fill(volume)
    give_directory(volume, ME)
    assert {owner_of(path) for path in paths} == {ME}
    assert len(paths) == 8


@pytest.mark.parametrize("to", ["/etc/passwd", "/etc", "missing", "."])
def test_a_link_is_given_but_not_what_it_points_to(volume, to):
    before = owner_of("/etc"), owner_of("/etc/passwd")
    (volume / "link").symlink_to(to)
    give_directory(volume, ME)
    assert owner_of(volume / "link") == ME
    assert (owner_of("/etc"), owner_of("/etc/passwd")) == before


def test_a_file_that_has_a_name_outside_stays_whose_it_is(volume, precious):
    precious.chmod(0o4755)
    (volume / "a").mkdir()
    os.link(precious, volume / "one")
    os.link(precious, volume / "a" / "two")
    give_directory(volume, ME)
    assert owner_of(precious) == Owner(0, 0)
    assert stat.S_IMODE(precious.stat().st_mode) == 0o4755
    assert owner_of(volume / "a") == ME


def test_a_file_whose_names_are_all_inside_is_given(volume):
    (volume / "a").mkdir()
    (volume / "one").touch()
    os.link(volume / "one", volume / "a" / "two")
    give_directory(volume, ME)
    assert owner_of(volume / "one") == ME


def test_a_link_with_several_names_is_judged_as_a_file_is(volume, tmp_path):
    (tmp_path / "link").symlink_to("x")
    os.link(tmp_path / "link", volume / "link", follow_symlinks=False)
    give_directory(volume, ME)
    assert owner_of(tmp_path / "link") == Owner(0, 0)


def test_set_user_id_is_lost_with_the_owner(volume):
    (volume / "program").touch()
    (volume / "program").chmod(0o4755)
    give_directory(volume, ME)
    assert stat.S_IMODE((volume / "program").stat().st_mode) == 0o755


def test_a_device_stays_whose_it_is(volume):
    try:
        os.mknod(volume / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices can't be made in this container")
    give_directory(volume, ME)
    assert owner_of(volume / "null") == Owner(0, 0)


@pytest.mark.parametrize("name", ["mounted", "with space", "back\\slash"])
def test_what_is_mounted_inside_stays_whose_it_is(volume, tmp_path, name):
    outside = tmp_path / "outside"
    (outside / "file").parent.mkdir()
    (outside / "file").touch()
    (volume / "a" / name).mkdir(parents=True)
    (volume / "a" / "file").touch()
    for source, target in ((outside, volume / "a" / name), (outside / "file", volume / "a" / "file")):
        mounted = subprocess.run(["mount", "--bind", source, target], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    try:
        give_directory(volume, ME)
        assert owner_of(outside) == owner_of(outside / "file") == Owner(0, 0)
        assert owner_of(volume / "a") == ME
    finally:
        subprocess.run(["umount", volume / "a" / name], check=True)
        subprocess.run(["umount", volume / "a" / "file"], check=True)


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "given_away"),
    [
        (0, 0, 0o755, True),
        (1234, 0, 0o555, False),
        (0, 1235, 0o775, False),
        (0, 1235, 0o755, True),
        (0, 0, 0o775, True),
        (0, 0, 0o777, False),
        (0, 0, 0o702, False),
    ],
)
def test_only_a_directory_that_the_user_may_not_write_to_is_given(volume, uid, gid, mode, given_away):
    (volume / "file").touch()
    os.chown(volume, uid, gid)
    volume.chmod(mode)
    give_directory(volume, ME)
    assert owner_of(volume) == (ME if given_away else Owner(uid, gid))
    assert owner_of(volume / "file") == (ME if given_away else Owner(0, 0))


def test_a_missing_directory_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    for path in ("none", "none/below", "file/below"):
        give_directory(tmp_path / path, ME)
    assert owner_of(tmp_path / "file") == Owner(0, 0)


def test_a_link_of_roots_leads_to_the_directory(volume, tmp_path):
    (tmp_path / "link").symlink_to("./volume")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    give_directory(tmp_path / "absolute", ME)
    assert owner_of(volume) == ME
    assert owner_of(tmp_path / "link") == Owner(0, 0)


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_link_of_another_user_is_not_followed(volume, tmp_path, below):
    (volume / "cache").mkdir()
    (tmp_path / "link").symlink_to(volume)
    os.lchown(tmp_path / "link", 1234, 1234)
    with pytest.raises(LifecycleError, match="leads through a link that belongs to user 1234; name the directory"):
        give_directory(tmp_path / "link" / below, ME)
    assert owner_of(volume) == owner_of(volume / "cache") == Owner(0, 0)


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(LifecycleError, match="leads through a link"):
        give_directory(tmp_path / "one", ME)


def test_the_top_is_given_last_so_an_interrupted_walk_is_made_good(volume, monkeypatch):
    paths = fill(volume)
    chown, left = os.chown, [3]

    def failing(*args):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "Input/output error")
        chown(*args)

    monkeypatch.setattr(os, "chown", failing)
    with pytest.raises(LifecycleError, match="can't be given to 1234:1235: Input/output error"):
        give_directory(volume, ME)
    assert owner_of(volume) == Owner(0, 0)
    monkeypatch.undo()
    give_directory(volume, ME)
    assert {owner_of(path) for path in paths} == {ME}


def test_no_descriptor_stays_open(volume):
    fill(volume)
    os.link(volume / "top", volume / "a" / "other")
    before = descriptors()
    give_directory(volume, ME)
    assert descriptors() == before


def test_a_tree_deeper_than_descriptors_go_is_told(volume):
    import resource

    deep = volume
    for _ in range(60):
        deep /= "d"
        deep.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 40, hard))
    try:
        with pytest.raises(LifecycleError, match="Too many open files"):
            give_directory(volume, ME)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


KINDS = st.sampled_from(["file", "directory", "link out", "link in", "name out", "fifo"])
TREES = st.dictionaries(st.text("ab", min_size=1, max_size=3), KINDS, max_size=8)


@given(tree=TREES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_build_left_nothing_outside_changes_hands(tmp_path_factory, tree):
    root = tmp_path_factory.mktemp("trees")
    outside, volume = root / "outside", root / "volume"
    (outside / "in").mkdir(parents=True)
    (outside / "in" / "file").touch()
    volume.mkdir()
    for name, kind in sorted(tree.items()):
        path = volume / "/".join(name)
        with contextlib.suppress(NotADirectoryError, FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) or path.parent.resolve() != path.parent or not path.parent.is_dir():
            continue
        if kind == "file":
            path.touch()
        elif kind == "directory":
            path.mkdir()
        elif kind == "link out":
            path.symlink_to(outside)
        elif kind == "link in":
            path.symlink_to(volume)
        elif kind == "name out":
            os.link(outside / "in" / "file", path)
        else:
            os.mkfifo(path)
    give_directory(volume, ME)
    assert {owner_of(path) for path in (outside, *outside.rglob("*"))} == {Owner(0, 0)}
    for path in (volume, *volume.rglob("*")):
        shared = stat.S_ISREG(path.lstat().st_mode) and path.samefile(outside / "in" / "file")
        assert owner_of(path) == (Owner(0, 0) if shared else ME)
