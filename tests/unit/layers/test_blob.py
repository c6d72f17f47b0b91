from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError, ExportError, UnsafeArchiveError, VerificationError
from lifecycle.layers.blob import Compression, decompressed, write_blob
from lifecycle.oci.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAR = b"tar" * 400_000


@dataclass(frozen=True)
class Bytes:
    data: bytes
    fails: bool = False

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 100_000):
            yield self.data[at : at + 100_000]
        if self.fails:
            raise ExportError("broke off")


def test_a_blob_is_named_by_the_digest_of_its_gzip_stream(tmp_path: Path) -> None:
    blob = write_blob(Bytes(TAR), tmp_path)

    stored = blob.path.read_bytes()
    assert blob.path == tmp_path / hashlib.sha256(stored).hexdigest()
    assert (blob.digest, blob.size) == (digest_of(stored), len(stored))
    assert (str(blob.diff_id), blob.uncompressed_size) == (digest_of(TAR), len(TAR))
    assert gzip.decompress(stored) == TAR
    assert [each.name for each in tmp_path.iterdir()] == [blob.path.name]
    assert blob.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.requirement("PLAT-REPRO-002")
def test_the_same_tar_gives_the_same_blob_whose_header_tells_nothing(tmp_path: Path) -> None:
    first = write_blob(Bytes(TAR), tmp_path)
    second = write_blob(Bytes(TAR), tmp_path)

    assert first == second
    assert first.path.read_bytes()[:10] == bytes.fromhex("1f8b08000000000004ff")


def test_a_blob_can_be_left_uncompressed(tmp_path: Path) -> None:
    blob = write_blob(Bytes(TAR), tmp_path, compression="none")

    assert {str(blob.digest), str(blob.diff_id)} == {digest_of(TAR)}
    assert blob.path.read_bytes() == TAR


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_a_blob_yields_its_tar_again(tmp_path: Path, compression: Compression) -> None:
    blob = write_blob(Bytes(TAR), tmp_path, compression=compression)

    assert b"".join(blob.uncompressed()) == TAR


def test_a_changed_blob_is_noticed(tmp_path: Path) -> None:
    blob = write_blob(Bytes(TAR), tmp_path, compression="none")
    blob.path.write_bytes(TAR.replace(b"t", b"x", 1))

    with pytest.raises(VerificationError):
        list(blob.uncompressed())


def test_a_failing_source_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="broke off"):
        write_blob(Bytes(TAR, fails=True), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_an_expected_failure(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="can't be written"):
        write_blob(Bytes(TAR), tmp_path / "missing")


@given(
    members=st.lists(st.binary(max_size=2000), min_size=1, max_size=4),
    size=st.integers(1, 50),
)
def test_a_gzip_stream_of_several_members_in_any_pieces_is_read_whole(members: list[bytes], size: int) -> None:
    stored = b"".join(gzip.compress(each, mtime=0) for each in members)

    found = b"".join(decompressed(stored[at : at + size] for at in range(0, len(stored), size)))

    assert found == b"".join(members)


@given(st.binary(max_size=600).filter(lambda data: data[:1] not in {b"\x1f", b"\x28"}))
def test_what_is_not_compressed_passes_as_it_is(data: bytes) -> None:
    assert b"".join(decompressed(data[at : at + 3] for at in range(0, len(data), 3))) == data


def test_a_large_expansion_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    assert max(len(each) for each in decompressed([bomb])) <= 1 << 20


def test_more_than_the_limit_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    seen = 0

    with pytest.raises(UnsafeArchiveError, match="more than 1000000 bytes"):  # noqa: PT012  # counts what came before
        for chunk in decompressed([bomb], limit=1_000_000):
            seen += len(chunk)

    assert seen <= 1_000_000


def test_the_limit_holds_for_what_is_not_compressed() -> None:
    with pytest.raises(UnsafeArchiveError, match="more than 3 bytes"):
        list(decompressed([b"data"], limit=3))


@pytest.mark.parametrize("cut", [1, 5, 12, 200])
def test_a_truncated_stream_is_refused(cut: int) -> None:
    with pytest.raises(CorruptImageError, match="truncated"):
        list(decompressed([gzip.compress(TAR)[:-cut]]))


def test_a_stream_cut_in_its_magic_is_no_tar_but_passes_for_the_digest_to_tell() -> None:
    assert b"".join(decompressed([b"\x1f"])) == b"\x1f"


@pytest.mark.parametrize("position", [3, 30, -6])
def test_a_damaged_stream_is_refused(position: int) -> None:
    data = bytearray(gzip.compress(bytes(range(256)) * 50))
    data[position] ^= 0xFF

    with pytest.raises(CorruptImageError):
        list(decompressed([bytes(data)]))


def test_rubbish_after_the_stream_is_refused() -> None:
    with pytest.raises(CorruptImageError, match="not a valid gzip stream"):
        list(decompressed([gzip.compress(b"x") + b"rubbish"]))


def test_levels_of_zlib_are_respected(tmp_path: Path) -> None:
    stored = write_blob(Bytes(TAR), tmp_path, level=9).path.read_bytes()

    expected = zlib.compressobj(9, zlib.DEFLATED, -15)
    assert stored[10:-8] == b"".join(expected.compress(each) for each in Bytes(TAR).chunks()) + expected.flush()
