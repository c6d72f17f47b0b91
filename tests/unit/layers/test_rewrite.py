from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from lifecycle.errors import ExportError, LifecycleError, UnsafeArchiveError, VerificationError
from lifecycle.layers.rewrite import normalised, normalised_layer
from lifecycle.layers.source import diff_id
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ForeignTar = Callable[..., bytes]

EXTENDED = [
    ("some", "fb54d2566824d6630d94db0b008d9a544a94d3547a424f52e2fd282b648c0601"),
    ("some-other", "1018c7d3584c4f7fa3ef4486d1a6a11b93956b9d8bfe0898a3e0fbd248c984d8"),
]


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in {"mtime": 1707419476, "uname": "someone", "gname": "staff", **fields}.items():
        setattr(info, key, value)
    return info


def extended_like_the_fixture(prefix: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(member(f"/{prefix}-dir", tarfile.DIRTYPE, mode=0o755, uid=501, gid=20))
        for name in (f"/{prefix}-dir/some-file", f"/{prefix}-file"):
            tar.addfile(member(name, mode=0o644, uid=501, gid=20, size=10), io.BytesIO(b"some-data\n"))
    return stream.getvalue()


@pytest.mark.parametrize(("prefix", "expected"), EXTENDED)
@pytest.mark.parametrize("compressed", [True, False])
def test_a_layer_as_in_the_reference_fixture_has_its_diff_id(
    tmp_path: Path, prefix: str, expected: str, compressed: bool
) -> None:
    data = extended_like_the_fixture(prefix)
    stored = gzip.compress(data) if compressed else data
    path = tmp_path / "layer"
    path.write_bytes(stored)

    layer = normalised_layer(path, Descriptor("application/x", len(stored), digest_of(stored)))

    assert diff_id(layer) == (f"sha256:{expected}", 3584)
    assert diff_id(layer)[0] == f"sha256:{expected}"


def test_a_layer_that_is_not_what_its_descriptor_says_is_refused(tmp_path: Path) -> None:
    data = extended_like_the_fixture("some")
    (tmp_path / "layer").write_bytes(data)

    with pytest.raises(VerificationError):
        list(normalised_layer(tmp_path / "layer", Descriptor("application/x", len(data), digest_of(b"x"))).chunks())


# The sha256 of what Go 1.26 makes of the same tar with archive/tar, the time and no owners' names.
MADE_BY_GO = {
    "gnu, long name and link": (
        [member("/" + "n" * 120, uid=3000000), member("/l", tarfile.SYMTYPE, linkname="t" * 130)],
        tarfile.GNU_FORMAT,
        "53d551588a50875cc30eef0d1fdcca3fd4aabda0db042d322bd7e42c98486f14",
    ),
    "ustar, split name": ([member("/" + "d" * 90 + "/" + "f" * 60, size=3)], tarfile.USTAR_FORMAT, "842ff66368244f4b26f8c74f4f19e159ff59545d30a7de60d79d3f71debd5ef7"),
    "pax, attributes and times": (
        [
            member("/a", pax_headers={"SCHILY.xattr.user.k": "v", "atime": "12.5", "comment": "é"}),
            member("/é", pax_headers={"ctime": "-1.25"}),
            member("/plain", mtime=1.5),
            member("/dir", tarfile.DIRTYPE, uid=1 << 30),
        ],
        tarfile.PAX_FORMAT,
        "1e363039470ba215d3ade88cf108bbb948000ba93ff82f971aaf6a525f7d90eb",
    ),
    "hard links": ([member("/a", size=2), member("/b", tarfile.LNKTYPE, linkname="/a")], tarfile.USTAR_FORMAT, "f73481cf41fe09d7ca21f2ecc803232783cb8fc592c7b77c24e1b5b5fedaa03e"),
}  # fmt: skip


@pytest.mark.parametrize("case", MADE_BY_GO)
def test_a_rewritten_tar_has_the_bytes_that_go_writes(foreign_tar: ForeignTar, case: str) -> None:
    entries, form, expected = MADE_BY_GO[case]

    rewritten = b"".join(normalised([foreign_tar(*entries, form=form)]))

    assert hashlib.sha256(rewritten).hexdigest() == expected


def test_rewriting_twice_changes_nothing_more(foreign_tar: ForeignTar) -> None:
    entries, form, _ = MADE_BY_GO["pax, attributes and times"]
    once = b"".join(normalised([foreign_tar(*entries, form=form)]))

    assert b"".join(normalised(once[at : at + 700] for at in range(0, len(once), 700))) == once


def test_a_tar_of_unix_version_7_is_understood(foreign_tar: ForeignTar) -> None:
    block = bytearray(foreign_tar(("/file", tarfile.REGTYPE, b"data"), form=tarfile.USTAR_FORMAT))
    block[257:345] = bytes(88)
    block[156] = 0
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])

    rewritten = b"".join(normalised([bytes(block)]))

    assert rewritten[156:157] == b"0"
    assert rewritten[257:265] == b"ustar\x0000"
    assert rewritten[512:516] == b"data"


def test_global_records_are_refused_as_in_the_reference() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "all"}):
        pass

    with pytest.raises(ExportError, match="for all its entries"):
        list(normalised([stream.getvalue()]))


def test_sparse_files_are_refused(foreign_tar: ForeignTar) -> None:
    sparse = member("/s", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})

    with pytest.raises(UnsafeArchiveError, match="sparse"):
        list(normalised([foreign_tar(sparse)]))


@pytest.mark.parametrize("offset", range(0, 512, 7))
def test_a_damaged_header_is_an_expected_failure(foreign_tar: ForeignTar, offset: int) -> None:
    data = bytearray(foreign_tar(("/file", tarfile.REGTYPE, b"data"), form=tarfile.GNU_FORMAT))
    data[offset] ^= 0x41

    with pytest.raises(LifecycleError):
        list(normalised([bytes(data)]))
