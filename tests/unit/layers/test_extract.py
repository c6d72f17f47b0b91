# ruff: noqa: PTH101, PTH102, PTH115, PTH208, PTH211  # names here are bytes
from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import stat
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import LifecycleError, UnsafeArchiveError, VerificationError
from lifecycle.layers.extract import extract
from lifecycle.layers.source import PathMapping, directory_layer
from lifecycle.layers.tar import TRAILER, Entry, Kind, header, padding
from lifecycle.oci.digest import digest_of, verified

if TYPE_CHECKING:
    from collections.abc import Callable

    ForeignTar = Callable[..., bytes]

LAYER = PurePosixPath("/layers/bp/node")
FILE, DIRECTORY, SYMLINK, HARD_LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A place to unpack to, in a directory beside which nothing may appear."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "victim").write_text("untouched")
    return tmp_path / "inside" / "node"


def assert_untouched(target: Path) -> None:
    outside = target.parent.parent / "outside"
    assert [each.name for each in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "untouched"
    assert {each.name for each in target.parent.parent.iterdir()} == {"inside", "outside"}


def raw(*entries: Entry) -> bytes:
    """Make a tar with the product's own writer, whose names are taken as they are."""
    return b"".join(header(each) + bytes(each.content_size) + padding(each.content_size) for each in entries) + TRAILER


NAME = st.binary(min_size=1, max_size=12).filter(lambda each: not set(each) & {0, 47} and each not in {b".", b".."})
LONG = st.binary(min_size=90, max_size=200).filter(lambda each: not set(each) & {0, 47})
LEAF = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=1500), st.sampled_from([0o644, 0o400, 0o4755, 0o2711, 0o666])),
    st.tuples(st.just("link"), st.binary(min_size=1, max_size=150).filter(lambda each: 0 not in each), st.just(0)),
)


def directories(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(
        st.just("dir"),
        st.dictionaries(st.one_of(NAME, LONG), inner, max_size=4),
        st.sampled_from([0o755, 0o700, 0o1777, 0o2775, 0o500]),
    )


DIRECTORY_TREE = directories(st.recursive(LEAF, directories, max_leaves=8))


def plant(path: bytes, node: tuple[str, Any, int]) -> None:
    kind, content, mode = node
    if kind == "link":
        os.symlink(content, path)
    elif kind == "file":
        Path(os.fsdecode(path)).write_bytes(content)
        os.chmod(path, mode)
    else:
        os.mkdir(path)
        for name, inner in content.items():
            plant(path + b"/" + name, inner)
        os.chmod(path, mode)


def tree(path: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Return mode and content of all that is at or below a path."""
    found = {}
    pending = [path]
    while pending:
        current = pending.pop()
        mode = os.lstat(current).st_mode
        if stat.S_ISLNK(mode):
            content = os.readlink(current)
        elif stat.S_ISDIR(mode):
            content = b""
            pending += [current + b"/" + name for name in os.listdir(current)]
        else:
            content = Path(os.fsdecode(current)).read_bytes()
        found[current[len(path) :]] = (mode, content)
    return found


@settings(max_examples=60, deadline=None)
@given(node=DIRECTORY_TREE, size=st.integers(1, 3000))
def test_what_was_put_in_a_layer_comes_out_again(
    tmp_path_factory: pytest.TempPathFactory, node: tuple[str, Any, int], size: int
) -> None:
    base = tmp_path_factory.mktemp("tree")
    original = base / "node"
    plant(os.fsencode(original), node)
    layer = directory_layer(original, uid=1, gid=2, mapping=PathMapping(base, PurePosixPath("/layers/bp"), True))
    data = b"".join(layer.chunks())
    copy = base / "copy"

    count = extract(
        (data[at : at + size] for at in range(0, len(data), size)),
        root=LAYER,
        target=copy,
    )

    expected = tree(os.fsencode(original))
    assert tree(os.fsencode(copy)) == expected
    assert count == len(expected) + 2
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        assert len(tar.getnames()) == count
    for directory, _, _ in os.walk(base):
        Path(directory).chmod(0o700)
    shutil.rmtree(base)


def test_modes_are_those_of_the_headers_whatever_the_umask(target: Path) -> None:
    old = os.umask(0o077)
    try:
        extract(
            [
                raw(
                    Entry(b"/layers/bp/node", Kind.DIRECTORY, 0o2775),
                    Entry(b"/layers/bp/node/f", Kind.FILE, 0o6755),
                )
            ],
            root=LAYER,
            target=target,
        )
    finally:
        os.umask(old)

    assert stat.S_IMODE(target.stat().st_mode) == 0o2775
    assert stat.S_IMODE((target / "f").stat().st_mode) == 0o6755


def test_a_directory_may_be_read_only_and_come_before_its_content(target: Path) -> None:
    entries = [(b"", 0o555), (b"/d", 0o555)]
    data = raw(
        *(Entry(b"/layers/bp/node" + name, Kind.DIRECTORY, mode) for name, mode in entries),
        Entry(b"/layers/bp/node/d/f", Kind.FILE, 0o444),
    )

    extract([data], root=LAYER, target=target)

    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o555
    assert (target / "d" / "f").exists()


def test_missing_directories_get_modes_from_the_umask(target: Path) -> None:
    old = os.umask(0o027)
    try:
        extract([raw(Entry(b"/layers/bp/node/d/f", Kind.FILE, 0o644))], root=LAYER, target=target)
    finally:
        os.umask(old)

    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o750


def test_what_exists_keeps_its_mode_and_gets_the_new_content(target: Path) -> None:
    target.mkdir(mode=0o700)
    (target / "f").write_text("old and longer")
    (target / "f").chmod(0o640)
    data = header(Entry(b"/layers/bp/node", Kind.DIRECTORY, 0o755)) + header(
        Entry(b"/layers/bp/node/f", Kind.FILE, 0o777, size=3)
    )

    extract([data + b"new" + padding(3) + TRAILER], root=LAYER, target=target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert (target / "f").read_text() == "new"
    assert stat.S_IMODE((target / "f").stat().st_mode) == 0o640


def test_a_later_entry_of_the_same_name_replaces_the_content(foreign_tar: ForeignTar, target: Path) -> None:
    data = foreign_tar(("/layers/bp/node/f", FILE, b"first"), ("/layers/bp/node/f", FILE, b"2nd"))

    extract([data], root=LAYER, target=target)

    assert (target / "f").read_bytes() == b"2nd"


def test_a_whole_layer_can_be_unpacked_with_another_root(foreign_tar: ForeignTar, target: Path) -> None:
    data = foreign_tar(("/layers", DIRECTORY, b""), ("/layers/bp", DIRECTORY, b""), ("layers/bp/./f", FILE, b"x"))

    extract([data], root=PurePosixPath("/"), target=target)

    assert (target / "layers" / "bp" / "f").read_bytes() == b"x"


def test_an_empty_tar_makes_an_empty_directory(target: Path) -> None:
    assert extract([TRAILER], root=LAYER, target=target) == 0
    assert list(target.iterdir()) == []


def test_records_for_all_entries_are_ignored(target: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", pax_headers={"comment": "all"}) as tar:
        tar.addfile(tarfile.TarInfo("/layers/bp/node/f"))

    assert extract([stream.getvalue()], root=LAYER, target=target) == 1
    assert (target / "f").exists()


@pytest.mark.parametrize("kind", [Kind.SYMLINK, Kind.FILE])
def test_a_layer_that_is_no_directory_is_refused(target: Path, kind: Kind) -> None:
    entry = Entry(b"/layers/bp/node", kind, 0o777, linkname=b"/opt/node" if kind is Kind.SYMLINK else b"")

    with pytest.raises(UnsafeArchiveError, match="no directory"):
        extract([raw(entry)], root=LAYER, target=target)

    assert not os.path.lexists(target)


def test_links_that_lead_out_are_kept_but_never_followed(foreign_tar: ForeignTar, target: Path) -> None:
    extract([foreign_tar(("/layers/bp/node/l", SYMLINK, b"/etc/passwd"))], root=LAYER, target=target)

    assert os.readlink(target / "l") == "/etc/passwd"


def test_hard_links_to_files_of_the_layer_are_made(foreign_tar: ForeignTar, target: Path) -> None:
    data = foreign_tar(("/layers/bp/node/d/a", FILE, b"x"), ("/layers/bp/node/e/b", HARD_LINK, b"/layers/bp/node/d/a"))

    extract([data], root=LAYER, target=target)

    assert (target / "e" / "b").samefile(target / "d" / "a")


OUT = "../../outside"
HOSTILE = {
    "parent directory": [("/layers/bp/node/../../../x", FILE, b"x")],
    "parent directory at the start": [("../outside/victim", FILE, b"x")],
    "beside the layer": [("/layers/bp/other/x", FILE, b"x")],
    "name that only begins like the layer": [("/layers/bp/node-other", FILE, b"x")],
    "file above the layer": [("/layers/bp", FILE, b"x")],
    "link above the layer": [("/layers", SYMLINK, b"/tmp")],
    "absolute name elsewhere": [("/etc/cron.d/x", FILE, b"x")],
    "file through a link": [("/layers/bp/node/l", SYMLINK, b"OUT"), ("/layers/bp/node/l/victim", FILE, b"x")],
    "new file through a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT"),
        ("/layers/bp/node/l/new", FILE, b"x"),
    ],
    "directory through a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT"),
        ("/layers/bp/node/l/d", DIRECTORY, b""),
    ],
    "directory in the place of a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT"),
        ("/layers/bp/node/l", DIRECTORY, b""),
    ],
    "file in the place of a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT/victim"),
        ("/layers/bp/node/l", FILE, b"x"),
    ],
    "link through a link": [("/layers/bp/node/l", SYMLINK, b"OUT"), ("/layers/bp/node/l/m", SYMLINK, b"x")],
    "layer that is a link": [("/layers/bp/node", SYMLINK, b"OUT"), ("/layers/bp/node/victim", FILE, b"x")],
    "hard link to elsewhere": [("/layers/bp/node/h", HARD_LINK, b"/etc/passwd")],
    "hard link upwards": [("/layers/bp/node/h", HARD_LINK, b"/layers/bp/node/../../../outside/victim")],
    "hard link through a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT"),
        ("/layers/bp/node/h", HARD_LINK, b"/layers/bp/node/l/victim"),
    ],
    "hard link to a link": [
        ("/layers/bp/node/l", SYMLINK, b"OUT/victim"),
        ("/layers/bp/node/h", HARD_LINK, b"/layers/bp/node/l"),
        ("/layers/bp/node/h", FILE, b"x"),
    ],
    "hard link to nothing": [("/layers/bp/node/h", HARD_LINK, b"/layers/bp/node/none")],
    "device": [("/layers/bp/node/c", tarfile.CHRTYPE, b"")],
    "block device": [("/layers/bp/node/b", tarfile.BLKTYPE, b"")],
    "pipe": [("/layers/bp/node/p", tarfile.FIFOTYPE, b"")],
    "unknown kind": [("/layers/bp/node/u", b"Z", b"")],
    "file below a file": [("/layers/bp/node/f", FILE, b"x"), ("/layers/bp/node/f/g", FILE, b"x")],
    "file in the place of a directory": [
        ("/layers/bp/node/d", DIRECTORY, b""),
        ("/layers/bp/node/d", FILE, b"x"),
    ],
    "two links": [("/layers/bp/node/l", SYMLINK, b"a"), ("/layers/bp/node/l", SYMLINK, b"b")],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_writes_nothing_outside(foreign_tar: ForeignTar, target: Path, case: str) -> None:
    outside = str(target.parent.parent / "outside").encode()
    data = foreign_tar(*((name, kind, content.replace(b"OUT", outside)) for name, kind, content in HOSTILE[case]))

    with pytest.raises(UnsafeArchiveError):
        extract([data], root=LAYER, target=target)

    assert_untouched(target)


def test_a_link_that_was_there_before_is_not_followed(foreign_tar: ForeignTar, target: Path) -> None:
    target.mkdir()
    (target / "d").symlink_to("../../outside")

    with pytest.raises(UnsafeArchiveError, match="link"):
        extract([foreign_tar(("/layers/bp/node/d/victim", FILE, b"x"))], root=LAYER, target=target)

    assert_untouched(target)


def test_a_pipe_that_was_there_before_does_not_block(foreign_tar: ForeignTar, target: Path) -> None:
    target.mkdir()
    os.mkfifo(target / "p")

    with pytest.raises(UnsafeArchiveError):
        extract([foreign_tar(("/layers/bp/node/p", FILE, b"x"))], root=LAYER, target=target)


@pytest.mark.parametrize(
    "entry",
    [
        ("/layers/bp/other/f", FILE, b"x"),
        ("/layers/bp/node", SYMLINK, b"/x"),
        ("/layers/bp", FILE, b"x"),
        ("/layers/bp/other", DIRECTORY, b""),
    ],
)
def test_only_allowed_names_are_unpacked(
    foreign_tar: ForeignTar, target: Path, entry: tuple[str, bytes, bytes]
) -> None:
    data = foreign_tar(("/layers/bp", DIRECTORY, b""), ("/layers/bp/node/sub/f", FILE, b"x"), entry)

    with pytest.raises(UnsafeArchiveError, match=r"not allowed|no directory"):
        extract([data], root=LAYER, target=target)

    assert (target / "sub" / "f").exists()
    assert not (target.parent / "other").exists()


def test_sizes_and_numbers_are_bounded(foreign_tar: ForeignTar, target: Path) -> None:
    data = foreign_tar(("/layers/bp/node/a", FILE, b"12345"), ("/layers/bp/node/b", FILE, b"12345"))

    with pytest.raises(UnsafeArchiveError, match="more than 9 bytes"):
        extract([data], root=LAYER, target=target, max_bytes=9)
    with pytest.raises(UnsafeArchiveError, match="more than 1 entries"):
        extract([data], root=LAYER, target=target, max_entries=1)
    assert extract([data], root=LAYER, target=target, max_bytes=10, max_entries=2) == 2


def test_a_huge_size_in_a_header_is_refused_before_anything_is_written(target: Path) -> None:
    data = header(Entry(b"/layers/bp/node/f", Kind.FILE, 0o644, size=1 << 50))

    with pytest.raises(UnsafeArchiveError, match="more than"):
        extract([data], root=LAYER, target=target)

    assert not target.exists()


@pytest.mark.parametrize("keep", [1, 511, 512, 513, 700, 1023])
def test_a_truncated_archive_is_refused(foreign_tar: ForeignTar, target: Path, keep: int) -> None:
    data = foreign_tar(("/layers/bp/node/f", FILE, b"x" * 300))

    with pytest.raises(VerificationError, match="ends within"):
        extract([data[:keep]], root=LAYER, target=target)


def test_bytes_that_are_no_tar_are_refused(target: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="not a valid tar"):
        extract([b"rubbish" * 1000], root=LAYER, target=target)


def test_bytes_after_the_end_of_the_archive_count_for_the_digest(foreign_tar: ForeignTar, target: Path) -> None:
    data = foreign_tar(("/layers/bp/node/f", FILE, b"x"))
    chunks = verified([data, b"more"], digest=digest_of(data), size=None, where="layer")
    with pytest.raises(VerificationError):
        extract(chunks, root=LAYER, target=target)


def test_a_missing_parent_is_an_expected_failure(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match="can't be unpacked"):
        extract([TRAILER], root=LAYER, target=tmp_path / "missing" / "node")


def test_nested_directories_need_few_descriptors(target: Path) -> None:
    deep = b"/layers/bp/node" + b"/d" * 200
    entries = [Entry(deep, Kind.DIRECTORY, 0o700), Entry(deep + b"/f", Kind.FILE, 0o600)]
    before = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(each) for each in os.listdir("/proc/self/fd")) + 10, hard))
    try:
        extract([raw(*entries)], root=LAYER, target=target)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert len(os.listdir("/proc/self/fd")) == before
    assert target.joinpath(*["d"] * 200, "f").exists()


def test_directories_nested_too_deep_to_be_removed_again_are_refused(target: Path) -> None:
    deep = Entry(b"/layers/bp/node" + b"/d" * 1500, Kind.DIRECTORY, 0o700)

    with pytest.raises(UnsafeArchiveError, match="nested deeper"):
        extract([raw(deep)], root=LAYER, target=target)

    assert not target.exists()


@settings(max_examples=150, deadline=None)
@given(
    entries=st.lists(
        st.tuples(
            st.lists(st.sampled_from([b"a", b"b", b"..", b".", b"", b"out"]), max_size=4),
            st.sampled_from([*Kind, "Z"]),
            st.sampled_from([b"..", b"a", b"/layers/bp/node/a", b"../..", b"/", b"../../outside/victim", b"b/a"]),
        ),
        max_size=8,
    )
)
def test_no_archive_writes_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[list[bytes], str, bytes]]
) -> None:
    base = tmp_path_factory.mktemp("any")
    (base / "inside").mkdir()
    (base / "outside").mkdir()
    (base / "outside" / "victim").write_text("untouched")
    target = base / "inside" / "node"
    data = raw(
        *(
            Entry(
                b"/layers/bp/node/" + b"/".join(parts) + b"x" * (not parts),
                kind,
                0o700,
                linkname=link,
                size=3,
            )
            for parts, kind, link in entries
            if not (parts and parts[-1] == b"")
        )
    )

    with contextlib.suppress(UnsafeArchiveError):
        extract([data], root=LAYER, target=target)

    assert_untouched(target)
    assert {each.name for each in (base / "inside").iterdir()} <= {"node"}
    shutil.rmtree(base)
