"""Archives of any kind and intent, unpacked by the SDK."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnb_buildpack as bp


def entry(name, content=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def link(name, leads_to):
    return entry(name, type=tarfile.SYMTYPE, linkname=leads_to)


def twin(name, of):
    return entry(name, type=tarfile.LNKTYPE, linkname=of)


def directory(name):
    return entry(name, type=tarfile.DIRTYPE, mode=0o700)


def tar_of(*entries, fmt=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=fmt) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(*entries):
    """Return a zip of names with contents and modes as a Unix packs them, None for none."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0 if mode is None else mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.fixture
def unpacked(tmp_path):
    """Unpack bytes into a directory beside a file that nothing may touch; return what is there."""
    outside = tmp_path / "outside"
    outside.write_text("as it was")

    def unpack(content, **options):
        archive = tmp_path / "thing"
        archive.write_bytes(content)
        target = tmp_path / "layer"
        bp.unpack(archive, target, **options)
        return {
            str(path.relative_to(target)): str(path.readlink())
            if path.is_symlink()
            else f"{stat.S_IMODE(path.stat().st_mode):o}" + ("" if path.is_dir() else f" {path.read_text()}")
            for path in sorted(target.rglob("*"))
        }

    yield unpack
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in {"layer", "thing"}) == ["outside"]
    assert outside.read_text() == "as it was"


ENTRIES = (
    entry("top/bin/tool", b"run", mode=0o4700),
    entry("./top/read.me", b"read", mode=0o600),
    link("top/lib/tool.so", "../bin/tool"),
    twin("top/other", "top/bin/tool"),
    directory("top/empty"),
)
EXPECTED = {
    "bin": "755",
    "bin/tool": "755 run",
    "empty": "755",
    "lib": "755",
    "lib/tool.so": "../bin/tool",
    "other": "755 run",
    "read.me": "644 read",
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_are_unpacked_whatever_the_umask_and_their_modes(unpacked, compress, fmt):
    umask = os.umask(0o077)
    try:
        assert unpacked(compress(tar_of(*ENTRIES, fmt=fmt)), strip=1) == EXPECTED
    finally:
        os.umask(umask)


def test_zips_are_unpacked_with_the_links_and_modes_that_they_have(unpacked):
    content = zip_of(
        ("top/", "", 0o40700),
        ("top/bin/tool", "run", stat.S_IFREG | 0o700),
        ("top/link", "bin/tool", stat.S_IFLNK | 0o777),
        ("top/plain", "text", None),
    )
    expected = {"bin": "755", "bin/tool": "755 run", "link": "bin/tool", "plain": "644 text"}
    assert unpacked(content, strip=1) == expected


def test_a_jar_that_is_a_script_too_is_unpacked(unpacked):
    assert unpacked(b"#!/bin/sh\nexec java -jar $0\n" + zip_of(("a", "b", None))) == {"a": "644 b"}


def test_what_has_no_name_left_is_left_out(unpacked):
    assert unpacked(tar_of(entry("read.me"), entry("a/b/c", b"text")), strip=2) == {"c": "644 text"}


def test_long_names_are_kept(unpacked):
    name = "/".join(["d" * 100] * 9)
    for fmt in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert unpacked(tar_of(entry(name, b"x"), fmt=fmt))[name] == "644 x"


def test_of_two_entries_with_a_name_the_last_counts_and_a_link_is_not_followed(unpacked):
    content = tar_of(entry("a", b"first"), link("b", "a"), entry("b", b"second"))
    assert unpacked(content) == {"a": "644 first", "b": "644 second"}


def test_links_may_lead_nowhere_and_in_circles_within(unpacked):
    links = {"gone": "none/such", "one": "other", "other": "one", "up/there": ".."}
    found = unpacked(tar_of(*(link(name, leads_to) for name, leads_to in links.items())))
    assert found.items() >= links.items()


HOSTILE = {
    "a name that climbs": tar_of(entry("../outside", b"bad")),
    "a name that climbs within": tar_of(entry("a/../../outside", b"bad")),
    "an absolute name": tar_of(entry("/outside", b"bad")),
    "a link that climbs": tar_of(link("a", "../outside"), entry("a", b"bad"), link("b", "../outside")),
    "an absolute link": tar_of(link("a", "/etc/passwd")),
    "a link to a directory, and a file in it": tar_of(link("a", "."), entry("a/outside", b"bad")),
    "a link that climbs, and a file in it": tar_of(link("a", ".."), entry("a/outside", b"bad")),
    "a link that climbs, and a directory in it": tar_of(link("a", ".."), directory("a/other")),
    "a directory in the place of a link": tar_of(link("a", "b"), directory("a")),
    "links that climb together": tar_of(directory("a/b"), link("a/b/c", "../.."), link("d", "a/b/c/..")),
    "a link that climbs once another is changed": tar_of(
        directory("a/b"), link("c", "a/b/../.."), link("c", "a/../..")
    ),
    "a twin of a file outside": tar_of(twin("a", "../outside")),
    "a twin by an absolute name": tar_of(twin("a", "/etc/passwd")),
    "a twin through a link": tar_of(link("a", ".."), twin("b", "a/outside"), entry("b", b"bad")),
    "a twin of a link": tar_of(link("a", "b"), twin("c", "a")),
    "a twin of nothing": tar_of(twin("a", "b")),
    "a twin of a directory": tar_of(directory("a"), twin("b", "a")),
    "a device": tar_of(entry("a", type=tarfile.CHRTYPE)),
    "a pipe": tar_of(entry("a", type=tarfile.FIFOTYPE)),
    "a file below a file": tar_of(entry("a", b""), entry("a/b", b"")),
    "a file in the place of a directory": tar_of(entry("a/b", b""), entry("a", b"")),
    "a link in the place of a directory": tar_of(entry("a/b", b""), link("a", "..")),
    "a zip with a name that climbs": zip_of(("../outside", "bad", None)),
    "a zip with an absolute name": zip_of(("/outside", "bad", None)),
    "a zip with a link that climbs": zip_of(("a", "../outside", stat.S_IFLNK | 0o777)),
    "a zip with a file below a link": zip_of(("a", "..", stat.S_IFLNK | 0o777), ("a/outside", "bad", None)),
    "a zip with a pipe": zip_of(("a", "", stat.S_IFIFO | 0o644)),
    "no archive": b"<html>not found</html>",
    "nothing": b"",
    "a cut tar": tar_of(entry("a", b"x" * 5000))[:2000],
    "a cut gzip": gzip.compress(tar_of(entry("a", os.urandom(5000))))[:-1000],
    "a broken bzip2": b"BZh9" + bytes(100),
    "a broken xz": b"\xfd7zXZ\x00" + bytes(100),
    "a broken header": tar_of(entry("a", b"x"))[:1024] + b"\x01" * 512 + tar_of(entry("b")),
    "a gzip of no tar": gzip.compress(b"text" * 1000),
    "a cut zip": zip_of(("a", "b" * 1000, None))[:500],
    "a zip with a wrong checksum": zip_of(("a", "b" * 1000, None)).replace(b"bbb", b"bab"),
    "a name that is too long": tar_of(entry("n" * 300)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_or_broken_is_refused_in_one_line(unpacked, content):
    with pytest.raises(bp.ArchiveError) as refused:
        unpacked(content)
    text = str(refused.value)
    assert text.startswith("thing ")
    assert "; " in text
    assert "\n" not in text


def test_a_refusal_names_the_entry(unpacked):
    with pytest.raises(
        bp.ArchiveError, match=r"thing has '../outside', which is outside of the directory; use another"
    ):
        unpacked(HOSTILE["a name that climbs"])
    with pytest.raises(
        bp.ArchiveError, match=r"thing has 'd', which is a link to 'a/b/c/..', outside of the directory"
    ):
        unpacked(HOSTILE["links that climb together"])


@pytest.mark.parametrize("make", [lambda n: tar_of(*[entry(f"f{i}", b"abc") for i in range(n)]),
                                  lambda n: zip_of(*[(f"f{i}", "abc", None) for i in range(n)])])  # fmt: skip
def test_there_are_bounds(unpacked, make):
    assert len(unpacked(make(4), max_entries=4, max_bytes=12)) == 4
    with pytest.raises(bp.ArchiveError, match=r"thing has more than 4 entries"):
        unpacked(make(5), max_entries=4)
    with pytest.raises(bp.ArchiveError, match=r"thing has 'f4', which makes it unpack to more than 12 bytes"):
        unpacked(make(5), max_bytes=12)


def test_files_that_are_left_out_count(unpacked):
    with pytest.raises(bp.ArchiveError, match="more than 10 bytes"):
        unpacked(tar_of(entry("a", b"x" * 11)), strip=1, max_bytes=10)


def test_no_header_takes_more_memory_than_an_honest_one_needs(unpacked):
    for fmt in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        content = gzip.compress(tar_of(entry("n" * (2 << 20), b"x"), fmt=fmt))
        with pytest.raises(bp.ArchiveError, match="thing can't be unpacked: it has a header that is too long"):
            unpacked(content)


NAMES = st.sampled_from(["a", "b", "a/b", "b/a", "a/b/a", ".", "..", "../outside", "a/..", "/a", "b/../../outside"])
ANY = st.one_of(
    st.builds(lambda name: entry(name, b"bad"), NAMES),
    st.builds(directory, NAMES),
    st.builds(link, NAMES, NAMES),
    st.builds(twin, NAMES, NAMES),
)


@settings(deadline=None)
@given(st.lists(ANY, max_size=8), st.integers(0, 2))
def test_nothing_ever_leaves_the_directory(tmp_path_factory, entries, strip):
    tmp_path = tmp_path_factory.mktemp("any")
    (tmp_path / "outside").write_text("as it was")
    archive, target = tmp_path / "thing", tmp_path / "layer"
    archive.write_bytes(tar_of(*entries))
    with contextlib.suppress(bp.ArchiveError):
        bp.unpack(archive, target, strip=strip)
        for path in target.rglob("*"):
            assert os.path.realpath(path).startswith(os.path.realpath(target))
    assert (tmp_path / "outside").read_text() == "as it was"
    assert (tmp_path / "outside").stat().st_nlink == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "outside", "thing"]


def test_what_is_fetched_is_checked_and_unpacked_and_nothing_else_is_left(tmp_path, monkeypatch):
    content = gzip.compress(tar_of(*ENTRIES))
    (tmp_path / "thing.tgz").write_bytes(content)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    url, digest = (tmp_path / "thing.tgz").as_uri(), hashlib.sha256(content).hexdigest()
    bp.fetch_unpacked(url, tmp_path / "layer", sha256=digest, strip=1)
    assert sorted(path.name for path in (tmp_path / "layer").iterdir()) == ["bin", "empty", "lib", "other", "read.me"]
    with pytest.raises(bp.DownloadError, match="has SHA-256"):
        bp.fetch_unpacked(url, tmp_path / "none", sha256="0" * 64)
    assert not (tmp_path / "none").exists()
    assert not list((tmp_path / "temporary").iterdir())
