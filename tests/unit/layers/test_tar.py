from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import ExportError
from lifecycle.layers.tar import BLOCK, TRAILER, Entry, Kind, clean, format_time, header, padding

if TYPE_CHECKING:
    from pathlib import Path

# The sha256 of what Go's archive/tar 1.26 writes for the same header.
WRITTEN_BY_GO = [
    (Entry(b"/cnb", Kind.DIRECTORY, 0o755), "76fd3e8c8b2a0d46a6dd65097bacb580ada7cd34540762e0bf159a32f23e23a2"),
    (Entry(b"/" + b"n" * 99, Kind.FILE, 0o644, size=5), "c1d8b3d2b88716b108f0ae0dc862d9dc082ac21f08f36adb9b01a0b410493fb3"),
    (Entry(b"/layers/" + b"d" * 90 + b"/" + b"e" * 50 + b"/" + b"f" * 60, Kind.FILE, 0o644), "fe3d06e17c68247d64a08e9055a11450731162fa6a9a7331167b94672e7f65ab"),
    (Entry(b"/" + b"p" * 154 + b"/" + b"f" * 100, Kind.FILE, 0o644), "3d3de1519e6dd20c9ca986d198247710fcb7155a4192a8aee364d1d04ac0f59d"),
    (Entry(b"/" + b"p" * 155 + b"/" + b"f" * 10, Kind.FILE, 0o644), "b970b76a1dd5f44c9d72f3947b5876f289786b36c796a360c49f62e8362db54c"),
    (Entry(b"/layers/" + b"f" * 101, Kind.FILE, 0o644), "9b5d8c19088fd84748bd0ff8ec42534abe38ca9fad252b8646e7c46f247acbbc"),
    (Entry(b"/" + b"a" * 96 + b"///" + b"f" * 101, Kind.FILE, 0o644), "f0eba4a4c6912a9bab1fac9409d6ce2811fb9431e7f214af7661fb091d35d0e2"),
    (Entry("/layers/caf\u00e9".encode(), Kind.FILE, 0o644, size=1), "2b596cb6823c092d0e884d79a20fd6464fd61151ba1e0c90d34468b96a670e94"),
    (Entry(b"/layers/\xff\xfe", Kind.DIRECTORY, 0o2755), "cd55638f15d2dabe8a7250e4ad0596ee732c8a08077802aa48bd75ac4e95f23d"),
    (Entry(b"/" + b"x" * 89 + b"\xff", Kind.FILE, 0o644), "98b31d1a9ca2b0c68224f3e84d1bd8ac1e288a232c0cee5fd9c2367c61b8808b"),
    (Entry(b"/l", Kind.SYMLINK, 0o777, linkname=b"/" + b"t" * 100), "7d541a69c94424a60cfb8776e52205984a33be5d8919b0b547c5c9f67599b24c"),
    (Entry(b"/l", Kind.SYMLINK, 0o777, linkname=b"caf\xc3\xa9"), "f866a01fb65be320ca2d24ed0629c41dc88efe846cfa65188a83580ed139962f"),
    (Entry(b"/f", Kind.FILE, 0o644, uid=2097152, gid=4294967294), "31d2db976a1d77366ca91ddd54260e100121be10887d25cbc47a047821fc8602"),
    (Entry(b"/" + b"d" * 80 + b"/" + b"f" * 60, Kind.FILE, 0o644, uid=2097152), "f8d6ea06eea5b49e9ae8b78ee53193ca284217642e55b686e2ddc68038d2adcc"),
    (Entry(b"/f", Kind.FILE, 0o644, size=8 << 30), "90433fd011480a5c5ce9fabf998115092f9ab8e3ea182d4138e8a242ab8dff45"),
    (Entry(b"/dev/x", Kind.CHARACTER_DEVICE, 0o660, gid=5, devmajor=10, devminor=232), "b50e0066d7d7bc2a614d06828a3b9cabb67cc111fa8abb0003e84b3e9e954379"),
    (Entry(b"/dev/x", Kind.BLOCK_DEVICE, 0o660, devmajor=2097152, devminor=1), "4dc0091374ba6a129dd7a7ab2cc231f8bd8a86b5f956dba4b10d535f69ad770c"),
    (Entry(b"/dev/" + b"\xff" * 120, Kind.BLOCK_DEVICE, 0o660, devmajor=2097152, devminor=1), "3617edb8cbd424bf266b059e234884fa849a0f887f254ecb29b1b3894520dc93"),
    (Entry(b"/p", Kind.FIFO, 0o600), "92465dc6cd128461c1698f341fa1d47ac3599d5651d5443213656e49dc23559d"),
    (Entry(b"/s", Kind.FILE, 0o7755), "2fcccacbbdc1772b0cbf60aa248fecadbde347ffb522334a4159727df2f1d91e"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "expected"), WRITTEN_BY_GO)
def test_a_header_has_the_bytes_that_go_writes(entry: Entry, expected: str) -> None:
    assert hashlib.sha256(header(entry)).hexdigest() == expected


@pytest.mark.requirement("PLAT-EXP-061")
def test_every_field_of_a_plain_header_is_where_ustar_has_it() -> None:
    block = header(Entry(b"/cnb", Kind.DIRECTORY, 0o755))

    assert len(block) == BLOCK
    assert block[:5] == b"/cnb\0"
    assert block[100:124] == b"0000755\x000000000\x000000000\x00"
    assert block[124:136] == b"00000000000\x00"
    assert block[136:148] == b"02263523001\x00"
    assert block[148:156] == b"007777\x00 "
    assert block[156:157] == b"5"
    assert block[257:265] == b"ustar\x0000"
    assert block[265:329] == bytes(64)
    assert block[329:345] == b"0000000\x00" * 2
    assert block[345:] == bytes(167)


def test_a_file_whose_name_ends_in_a_slash_is_refused() -> None:
    with pytest.raises(ExportError, match="ends in a slash"):
        header(Entry(b"/f/", Kind.FILE, 0o644))


def test_what_no_format_can_hold_is_refused() -> None:
    with pytest.raises(ExportError, match="no format"):
        header(Entry(b"/f", Kind.BLOCK_DEVICE, 0o644, uid=1 << 60, devmajor=1 << 30))


@given(
    name=st.binary(min_size=1, max_size=300),
    link=st.binary(max_size=150),
    uid=st.integers(0, 1 << 32),
    mode=st.integers(0, 0o7777),
    data=st.binary(max_size=1100),
    is_link=st.booleans(),
)
def test_another_reader_finds_what_was_written(
    *, name: bytes, link: bytes, uid: int, mode: int, data: bytes, is_link: bool
) -> None:
    path = b"/" + b"/".join(part for part in name.replace(b"\0", b"_").split(b"/") if part not in {b"", b".", b".."})
    if is_link:
        entry = Entry(path, Kind.SYMLINK, mode, uid=uid, linkname=link.replace(b"\0", b"_"))
        tar = header(entry) + TRAILER
    else:
        entry = Entry(path.rstrip(b"/") or b"x", Kind.FILE, mode, uid=uid, size=len(data))
        tar = header(entry) + data + padding(len(data)) + TRAILER

    with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8", errors="surrogateescape") as archive:
        (found,) = archive.getmembers()
        assert found.name.rstrip("/").encode("utf-8", "surrogateescape") == entry.name.rstrip(b"/")
        assert (found.uid, found.mode, found.mtime) == (uid, mode, 315532801)
        if is_link:
            assert found.linkname.encode("utf-8", "surrogateescape") == entry.linkname
        else:
            content = archive.extractfile(found)
            assert content is not None
            assert content.read() == data


def test_gnu_tar_lists_names_links_and_owners_whole(tmp_path: Path) -> None:
    split = b"/layers/" + b"d" * 90 + b"/" + b"f" * 90
    longer = b"/layers/" + b"g" * 200
    target = b"/" + b"t" * 150
    archive = tmp_path / "x.tar"
    archive.write_bytes(
        b"".join(
            header(each)
            for each in (
                Entry(split, Kind.FILE, 0o640, uid=1000, gid=2000),
                Entry(longer, Kind.FILE, 0o644, uid=3000000),
                Entry(b"/l", Kind.SYMLINK, 0o777, linkname=target),
            )
        )
        + TRAILER
    )

    listing = subprocess.run(
        ["tar", "-tvPf", str(archive), "--numeric-owner", "--utc"], capture_output=True, check=True
    )

    assert listing.stderr == b""
    assert [line.split() for line in listing.stdout.splitlines()] == [
        [b"-rw-r-----", b"1000/2000", b"0", b"1980-01-01", b"00:00", split],
        [b"-rw-r--r--", b"3000000/0", b"0", b"1980-01-01", b"00:00", longer],
        [b"lrwxrwxrwx", b"0/0", b"0", b"1980-01-01", b"00:00", b"/l", b"->", target],
    ]


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [(b"", b"."), (b"//a//b/", b"/a/b"), (b"a/../../b", b"../b"), (b"/../a", b"/a"), (b"./*/", b"*")],
)
def test_a_path_is_cleaned_lexically(path: bytes, cleaned: bytes) -> None:
    assert clean(path) == cleaned


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, b"0"),
        (12_500_000_000, b"12.5"),
        (-1_250_000_000, b"-1.25"),
        (7_000_000_000, b"7"),
        (10, b"0.00000001"),
    ],
)
def test_a_time_is_written_without_needless_digits(nanoseconds: int, text: bytes) -> None:
    assert format_time(nanoseconds) == text
