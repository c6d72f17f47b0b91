"""COPY, ADD and WORKDIR, from a build context into the file system of an image."""

import gzip
import io
import os
import stat
import tarfile

import pytest
import zstandard

from lifecycle.errors import ExtendError
from lifecycle.rootfs.context import open_context
from lifecycle.rootfs.copy import copy_into, make_directory
from lifecycle.rules.extensions.dockerfile_steps import CopyAction, InlineFile

OWN = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "there").mkdir()
    (root / "file").write_text("old")
    return root


@pytest.fixture
def directory(tmp_path):
    """The build context."""
    directory = tmp_path / "context"
    for name in ("a.txt", "b.txt", "dir/one", "dir/sub/two", "other/[x]"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    (directory / "b.txt").chmod(0o750)
    (directory / "dir" / "link").symlink_to("../../outside")
    (directory / "to-dir").symlink_to("/dir")
    return directory


def do(root, directory, *sources, to, owner=OWN, mode=None, unpacks=False, inline=()):
    context = open_context(directory, dockerfile=directory.parent / "Dockerfile")
    action = CopyAction(tuple(sources), tuple(inline), to, owner, mode, unpacks)
    found = context.find(action.sources, where="Dockerfile:1")
    return sorted(os.fsdecode(path) for path in copy_into(root, action, found, context, where="Dockerfile:1"))


@pytest.mark.parametrize(
    ("sources", "to", "expected"),
    [
        (["a.txt"], "/new", ["/new"]),
        (["/a.txt"], "/file", ["/file"]),
        (["a.txt"], "/there", ["/there/a.txt"]),
        (["a.txt"], "/new/", ["/new", "/new/a.txt"]),
        (["a.txt"], "/new/deep/x", ["/new", "/new/deep", "/new/deep/x"]),
        (["*.txt"], "/there/", ["/there/a.txt", "/there/b.txt"]),
        (["?.txt", "dir/o*"], "/there/", ["/there/a.txt", "/there/b.txt", "/there/one"]),
        (["dir"], "/new", ["/new", "/new/link", "/new/one", "/new/sub", "/new/sub/two"]),
        (["dir/"], "/there", ["/there/link", "/there/one", "/there/sub", "/there/sub/two"]),
        (["to-dir/sub"], "/new", ["/new", "/new/two"]),
        (["a.txt"], "/lib/x", ["/usr/lib/x"]),
        (["other/[[]x]"], "/there/", ["/there/[x]"]),
    ],
)
def test_where_copies_go(root, directory, sources, to, expected):
    assert do(root, directory, *sources, to=to) == expected
    assert all((root / path[1:]).is_symlink() or (root / path[1:]).exists() for path in expected)


def test_files_keep_their_mode_and_links_their_target(root, directory):
    do(root, directory, "b.txt", to="/b")
    do(root, directory, "dir", to="/d")
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o750
    assert str((root / "d" / "link").readlink()) == "../../outside"
    do(root, directory, "b.txt", to="/b", mode=0o604)
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_copied_is_roots_unless_it_is_given_to_another(root, directory):
    os.chown(directory / "a.txt", 1000, 1000)
    do(root, directory, "a.txt", to="/a", owner="")
    do(root, directory, "a.txt", to="/new/b", owner="12:34")
    owners = [(root / name).stat() for name in ("a", "new", "new/b")]
    assert [(each.st_uid, each.st_gid) for each in owners] == [(0, 0), (12, 34), (12, 34)]


def test_files_of_the_dockerfile_itself(root, directory):
    written = do(root, directory, "a.txt", to="/there/", inline=[InlineFile("EOF", "text\n")])
    assert written == ["/there/EOF", "/there/a.txt"]
    assert (root / "there" / "EOF").read_text() == "text\n"
    do(root, directory, to="/script", mode=0o755, inline=[InlineFile("EOF", "#!/bin/sh\n")])
    assert os.access(root / "script", os.X_OK)


def test_dockerignore_leaves_files_out(root, directory):
    (directory / ".dockerignore").write_text("**/two\nb.txt\n.dockerignore\n")
    assert do(root, directory, "dir", to="/new") == ["/new", "/new/link", "/new/one", "/new/sub"]
    assert do(root, directory, "*.txt", to="/there/") == ["/there/a.txt"]
    with pytest.raises(ExtendError, match=r"there is no 'b\.txt' in the build context"):
        do(root, directory, "b.txt", to="/x")


@pytest.mark.parametrize(
    ("sources", "to", "problem"),
    [
        (["missing"], "/x", "there is no 'missing' in the build context"),
        (["*.none"], "/x", "there is no"),
        (["../outside"], "/x", "outside of the build context"),
        (["[a"], "/x", "malformed"),
        (["a.txt", "b.txt"], "/new", "is no directory, but there are several sources"),
        (["dir"], "/file", "is no directory"),
        (["a.txt"], "/file/x", "is no directory"),
    ],
)
def test_what_can_not_be_copied_is_told(root, directory, sources, to, problem):
    with pytest.raises(ExtendError, match=problem):
        do(root, directory, *sources, to=to)


def test_a_link_can_not_lead_a_copy_out_of_the_context(root, directory):
    (directory / "out").symlink_to("/../../../etc/passwd")
    with pytest.raises(ExtendError, match="there is no 'out'"):
        do(root, directory, "out", to="/x")


@pytest.fixture
def archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        entry = tarfile.TarInfo("sub/in")
        entry.size, entry.uid, entry.gid = 2, os.getuid(), os.getgid()
        made.addfile(entry, io.BytesIO(b"in"))
    return buffer.getvalue()


@pytest.mark.parametrize("packed", ["plain", "gzip", "zstd"])
def test_add_unpacks_archives_and_copy_does_not(root, directory, archive, packed):

    pack = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[packed]
    (directory / "x.tar").write_bytes(pack(archive))
    assert {"/new", "/new/sub", "/new/sub/in"} <= set(do(root, directory, "x.tar", to="/new", unpacks=True))
    assert do(root, directory, "x.tar", to="/as-it-is") == ["/as-it-is"]


def test_add_copies_what_is_no_archive(root, directory):
    for name, content in {"a.gz": b"\x1f\x8bnot", "short": b"x", "empty": b""}.items():
        (directory / name).write_bytes(content)
        assert do(root, directory, name, to=f"/{name}", unpacks=True) == [f"/{name}"]


def test_add_tells_what_it_can_not_unpack(root, directory):
    (directory / "x.bz2").write_bytes(b"BZh91AY")
    with pytest.raises(ExtendError, match="is packed with bzip2"):
        do(root, directory, "x.bz2", to="/x", unpacks=True)


def test_fingerprints_change_with_names_modes_and_contents(directory):
    context = open_context(directory, dockerfile=directory / "Dockerfile")

    def fingerprint():
        return context.fingerprint(context.find(["."], where=""))

    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    (directory / "a.txt").write_text("other")
    seen.append(fingerprint())
    (directory / "a.txt").chmod(0o600)
    seen.append(fingerprint())
    (directory / "a.txt").rename(directory / "c.txt")
    seen.append(fingerprint())
    (directory / "to-dir").unlink()
    seen.append(fingerprint())
    assert len(set(seen)) == len(seen)


def test_a_directory_is_made_with_those_above_it(root):
    owner = (os.getuid(), os.getgid())
    assert make_directory(root, "/lib/x/y", owner) == {b"/usr/lib/x", b"/usr/lib/x/y"}
    assert make_directory(root, "/lib/x/y", owner) == set()
    with pytest.raises(ExtendError, match="is no directory"):
        make_directory(root, "/file/x", owner)
