"""Layers of other programs are put onto a file system, and lead nowhere else."""

import io
import os
import stat
import tarfile

import pytest

from lifecycle.errors import UnsafeArchiveError
from lifecycle.rootfs.apply import apply_layer

DIRECTORY, FILE, LINK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outside" / "root"
    root.mkdir(parents=True)
    return root


def layer(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, kind, *more in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, 0o750 if kind == DIRECTORY else 0o640, 1234567890.5
            entry.uid, entry.gid = os.getuid(), os.getgid()
            for key, value in (more[0] if more else {}).items():
                setattr(entry, key, value)
            made.addfile(entry)
    return [buffer.getvalue()]


def names(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_whiteouts_remove_what_other_layers_put_there(root):
    apply_layer(
        layer(
            *((name, DIRECTORY) for name in ("d", "d/sub", "d/kept", "e")),
            *((name, FILE) for name in ("a", "d/x", "d/sub/y", "d/kept/old", "e/f")),
        ),
        root,
    )
    apply_layer(
        layer(
            (".wh.a", FILE), ("e/.wh.f", FILE), ("d", DIRECTORY), ("d/new", FILE), ("d/kept/new", FILE),
            ("d/.wh..wh..opq", FILE), (".wh..wh.plnk", FILE),
        ),
        root,
    )  # fmt: skip
    assert names(root) == ["d", "d/kept", "d/kept/new", "d/new", "e"]


@pytest.mark.parametrize("name", [".wh...", ".wh..", ".wh.", "a/.wh..."])
def test_a_whiteout_of_a_directory_above_removes_nothing(root, name):
    apply_layer(layer(("a", DIRECTORY), ("a/b", FILE)), root)
    (root.parent / "precious").write_text("")
    with pytest.raises(UnsafeArchiveError, match="has the whiteout"):
        apply_layer(layer((name, FILE)), root)
    assert names(root.parent) == ["precious", "root", "root/a", "root/a/b"]


def test_a_directory_that_becomes_a_link_gives_its_mode_to_nothing_outside(root):
    outside = root.parent / "directory"
    (outside / "b").mkdir(parents=True, mode=0o755)
    for trap in (str(outside), "../directory"):
        entries = [("a", DIRECTORY), ("a/b", DIRECTORY), ("a", LINK, {"linkname": trap})]
        apply_layer(layer(*entries), root)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (outside, outside / "b")] == [0o755, 0o755]


def test_times_are_kept_where_they_are_wanted(root):
    entries = layer(("d", DIRECTORY), ("d/f", FILE), ("l", LINK, {"linkname": "d"}))
    apply_layer(entries, root, keeps_times=True)
    assert {(root / name).lstat().st_mtime for name in ("d", "d/f", "l")} == {1234567890.5}
    apply_layer(entries, root)
    assert {(root / name).lstat().st_mtime for name in ("d", "d/f", "l")} == {315532801}
    for extreme in (-(1 << 62), 1 << 62):
        apply_layer(layer(("x", FILE, {"mtime": extreme})), root, keeps_times=True)


def test_an_owner_that_can_not_be_is_told(root):
    with pytest.raises(UnsafeArchiveError, match="an owner or device that can't be"):
        apply_layer(layer(("x", FILE, {"uid": 1 << 40})), root)
