"""What a command changed becomes a layer, which makes the same of the same file system."""

import io
import os
import shutil
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import ExtendError, UnsafeArchiveError, VerificationError
from lifecycle.rootfs.apply import apply_layer, unpack_archive
from lifecycle.rootfs.changes import ChangesLayer
from lifecycle.rootfs.snapshot import Changes, Snapshot, take_snapshot

NAMES = ("a", "b", "dir/a", "dir/b", "dir/sub/a", "new/a")
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return root


def write(path, text="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def changed_by(root, act, *, ignored=frozenset()):
    before = take_snapshot(root, ignored=ignored)
    act()
    return before.changes_to(take_snapshot(root, ignored=ignored))


def layer_of(root, act):
    return b"".join(ChangesLayer(root, changed_by(root, act)).chunks())


def members(layer):
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return {member.name: member for member in archive}


def tree(root):
    """Everything about the files below a directory but their times."""
    found, names = {}, {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        first = names.setdefault(status.st_ino, path) if status.st_nlink > 1 and path.is_file() else path
        owner = (status.st_uid, status.st_gid)
        found[str(path.relative_to(root))] = (status.st_mode, owner, content, str(first.relative_to(root)))
    return found


def test_new_changed_and_removed_files_are_told(root):
    for name in NAMES[:5]:
        write(root / name)

    def act():
        write(root / "a", "other")
        write(root / "new" / "a")
        (root / "b").chmod(0o600)
        (root / "dir" / "a").unlink()
        shutil.rmtree(root / "dir" / "sub")

    assert changed_by(root, act) == Changes((b"/a", b"/b", b"/new", b"/new/a"), (b"/dir/a", b"/dir/sub"))


def test_a_change_that_keeps_size_and_modification_time_is_seen(root):
    path = write(root / "a", "one")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns

    def act():
        path.write_text("two")
        os.utime(path, ns=times)

    assert changed_by(root, act).changed == (b"/a",)


def test_nothing_done_is_no_change_and_reading_is_none(root):
    path = write(root / "dir" / "a")
    assert not changed_by(root, lambda: (path.read_text(), write(root / "dir" / "b"), (root / "dir" / "b").unlink()))


def test_what_is_ignored_is_not_looked_at(root):
    write(root / "mounted" / "a")
    ignored = frozenset({b"/mounted", b"/etc/hosts"})
    found = changed_by(root, lambda: (write(root / "mounted" / "b"), write(root / "etc" / "hosts")), ignored=ignored)
    assert found == Changes((b"/etc",))


def test_a_snapshot_takes_note_of_paths_that_others_wrote(root):
    before = take_snapshot(root, ignored=frozenset())
    write(root / "dir" / "a")
    after = before.with_paths(root, [b"/dir", b"/dir/a"])
    assert after.changes_to(take_snapshot(root, ignored=frozenset())) == Changes()
    (root / "dir" / "a").unlink()
    assert after.with_paths(root, [b"/dir/a"]).states.keys() == {b"/dir"}


def test_a_directory_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ExtendError, match="can't be looked at"):
        take_snapshot(write(tmp_path / "file"), ignored=frozenset())


def test_the_layer_has_whiteouts_and_the_directories_above_a_change(root):
    write(root / "dir" / "sub" / "a")
    write(root / "gone")
    (root / "dir").chmod(0o750)
    layer = layer_of(root, lambda: (write(root / "dir" / "sub" / "b"), (root / "gone").unlink()))
    found = members(layer)
    assert list(found) == ["dir", "dir/sub", "dir/sub/b", ".wh.gone"]
    assert found["dir"].mode == 0o750
    assert {member.mtime for member in found.values()} == {315532801}


def test_equal_changes_make_equal_layers(tmp_path):
    layers = []
    for number in range(2):
        root = tmp_path / str(number)
        root.mkdir()
        layers.append(layer_of(root, lambda root=root: [write(root / name) for name in NAMES]))
    assert layers[0] == layers[1]


def test_a_file_with_two_names_is_in_the_layer_once(root):
    old = write(root / "z-old", "content")
    found = members(layer_of(root, lambda: (root / "a-new").hardlink_to(old)))
    assert found["z-old"].islnk()
    assert (found["z-old"].linkname, found["z-old"].size, found["a-new"].size) == ("a-new", 0, 7)


@pytest.mark.skipif(not AS_ROOT, reason="only root makes devices and gives capabilities and files away")
def test_owners_modes_devices_and_capabilities_come_back(root, tmp_path):
    capability = bytes.fromhex("0100000200040000000000000000000000000000")

    def act():
        os.mkfifo(root / "pipe", 0o640)
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path = write(root / "setuid")
        os.chown(path, 12, 2_500_000)
        path.chmod(0o4755)
        os.setxattr(write(root / "ping"), "security.capability", capability)
        (root / "link").symlink_to("nowhere")
        os.chown(root / "link", 5, 6, follow_symlinks=False)
        (root / ("long" * 60)).mkdir(mode=0o700)

    layer = layer_of(root, act)
    other = tmp_path / "other"
    other.mkdir()
    apply_layer([layer], other)
    assert tree(other) == tree(root)
    assert (other / "null").stat().st_rdev == os.makedev(1, 3)
    assert os.getxattr(other / "ping", "security.capability") == capability


def _edit(root, kind, name):
    path = root / name
    above = [each for each in path.parents if each != root and each.is_relative_to(root)]
    path = next((each for each in reversed(above) if each.is_symlink() or each.is_file()), path)
    match kind:
        case "remove" if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        case "remove":
            path.unlink(missing_ok=True)
        case "link" if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("somewhere")
        case "directory" if not path.is_dir():
            path.unlink(missing_ok=True)
            path.mkdir(parents=True)
        case "write" if path.is_symlink():
            path.unlink()
        case "write" if not path.is_dir():
            write(path, os.urandom(4).hex())
        case "chmod" if path.exists() and not path.is_symlink():
            path.chmod(0o711)


EDITS = st.lists(
    st.tuples(st.sampled_from(["remove", "link", "directory", "write", "chmod"]), st.sampled_from((*NAMES, "dir", "dir/sub"))),
    max_size=6,
)  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=EDITS, second=EDITS)
def test_the_layer_of_any_changes_makes_the_new_file_system_of_the_old_one(tmp_path_factory, first, second):
    place = tmp_path_factory.mktemp("any")
    root, copy = place / "root", place / "copy"
    root.mkdir()
    for edit in first:
        _edit(root, *edit)
    shutil.copytree(root, copy, symlinks=True)
    layer = layer_of(root, lambda: [_edit(root, *edit) for edit in second])
    apply_layer([layer], copy)
    assert tree(copy) == tree(root)
    shutil.rmtree(place)


def archive(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.uid, entry.gid = kind, target, 0o644, os.getuid(), os.getgid()
            made.addfile(entry)
    return buffer.getvalue()


@pytest.mark.skipif(not AS_ROOT, reason="directories that an archive leaves out are root's")
def test_an_archive_is_unpacked_below_its_directory_where_links_lead(root):
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    content = archive(("a/b", tarfile.REGTYPE, ""), ("lib/c", tarfile.REGTYPE, ""), ("d", tarfile.SYMTYPE, "x"))
    written = unpack_archive([content], root, "/", owner=None, where="test")
    assert {b"/a", b"/a/b", b"/usr/lib/c", b"/d"} <= written
    assert (root / "usr" / "lib" / "c").is_file()


@pytest.mark.parametrize(
    "entries",
    [
        [("../a", tarfile.REGTYPE, "")],
        [("a", tarfile.SYMTYPE, "/etc"), ("a/b", tarfile.REGTYPE, "")],
        [("a", tarfile.SYMTYPE, "../.."), ("a/b", tarfile.REGTYPE, "")],
        [("a", tarfile.LNKTYPE, "../etc/passwd")],
        [(".wh.x", tarfile.CONTTYPE, "")],
    ],
)
def test_an_archive_cannot_write_outside_its_directory(root, entries):
    (root / "etc").mkdir()
    (root / "into").mkdir()
    with pytest.raises(UnsafeArchiveError):
        unpack_archive([archive(*entries)], root, "/into", owner=None, where="test")
    assert list((root / "etc").iterdir()) == []


def test_a_layer_that_ends_too_early_is_noticed(root):
    layer = layer_of(root, lambda: write(root / "a", "x" * 2000))
    with pytest.raises(VerificationError):
        apply_layer([layer[:1500]], root)


def test_a_file_that_goes_before_it_is_in_the_layer_is_told(root):
    with pytest.raises(ExtendError, match="can't be put into a layer"):
        list(ChangesLayer(root, Changes((b"/missing",))).chunks())


def test_an_empty_snapshot_tells_all_as_new(root):
    write(root / "a")
    assert Snapshot().changes_to(take_snapshot(root, ignored=frozenset())).changed == (b"/a",)
    assert isinstance(root, Path)
