"""Layers from outside: unpacked within bounds, or refused."""

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError, ExportError, UnsafeArchiveError
from lifecycle.layers.blob import decompressed, write_blob
from lifecycle.layers.extract import extract
from lifecycle.layers.source import PathMapping, directory_layer

ROOT = PurePosixPath("/layers/bp/layer")


def entry(name, *, kind=tarfile.REGTYPE, link="", data=b"", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), mode
    return info, data


def tar(*entries):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def directory(name):
    return entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def test_a_layer_comes_back_as_it_was(tmp_path):
    layer = tmp_path / "layer"
    (layer / "bin").mkdir(parents=True)
    (layer / "bin" / "tool").write_text("x")
    (layer / "bin" / "tool").chmod(0o4711)
    (layer / "link").symlink_to("/usr/bin/env")
    (layer / "bin").chmod(0o2750)
    source = directory_layer(layer, uid=0, gid=0, mapping=PathMapping(layer, ROOT, normalise_ancestors=True))
    extract(source.chunks(), root=ROOT, target=tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "bin" / "tool").read_text() == "x"
    assert (out / "bin" / "tool").stat().st_mode & 0o7777 == 0o4711
    assert (out / "bin").stat().st_mode & 0o7777 == 0o2750
    assert str((out / "link").readlink()) == "/usr/bin/env"


@pytest.mark.parametrize(
    "entries",
    [
        [entry("/layers/bp/layer/../../../evil", data=b"x")],
        [entry("../evil", data=b"x")],
        [entry("/etc/evil", data=b"x")],
        [entry("/layers/bp/other/evil", data=b"x")],
        [entry("/layers/bp/layer/l", kind=tarfile.SYMTYPE, link="/tmp"), entry("/layers/bp/layer/l/evil", data=b"x")],
        [entry("/layers/bp/layer/l", kind=tarfile.SYMTYPE, link="/x"), entry("/layers/bp/layer/l", data=b"x")],
        [entry("/layers/bp/layer/l", kind=tarfile.SYMTYPE, link="/tmp"), directory("/layers/bp/layer/l")],
        [entry("/layers/bp/layer/h", kind=tarfile.LNKTYPE, link="/etc/passwd")],
        [entry("/layers/bp/layer/d", kind=tarfile.CHRTYPE)],
        [entry("/layers/bp/layer/p", kind=tarfile.FIFOTYPE)],
        [entry("/layers/bp/layer/f", data=b"1"), entry("/layers/bp/layer/f", data=b"2")],
        [entry("/layers/bp/layer", data=b"x")],
    ],
)
def test_a_hostile_layer_is_refused_and_writes_nothing_outside(tmp_path, entries):
    with pytest.raises(UnsafeArchiveError):
        extract([tar(*entries)], root=ROOT, target=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name != "out"] == []
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name == "evil"]


def test_a_layer_that_ends_early_is_refused(tmp_path):
    data = tar(entry("/layers/bp/layer/f", data=b"x" * 5000))
    with pytest.raises(UnsafeArchiveError):
        extract([data[:1500]], root=ROOT, target=tmp_path / "out")


def test_a_huge_extended_header_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 33
    with pytest.raises(UnsafeArchiveError):
        extract([info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)], root=ROOT, target=tmp_path / "out")


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=3000))
def test_no_bytes_crash_the_reader(tmp_path_factory, data):
    target = tmp_path_factory.mktemp("any") / "out"
    with contextlib.suppress(UnsafeArchiveError):
        extract([data], root=ROOT, target=target)
    assert [path.name for path in target.parent.iterdir()] in ([], ["out"])


def test_a_blob_is_what_its_digests_say_and_has_no_time(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(os.urandom(300_000))
    (tmp_path / "blobs").mkdir()
    source = directory_layer(tmp_path / "in", uid=0, gid=0)
    blob = write_blob(source, tmp_path / "blobs")
    stored = blob.path.read_bytes()
    assert stored[:10] == bytes.fromhex("1f8b08000000000004ff")
    assert blob.digest == "sha256:" + hashlib.sha256(stored).hexdigest()
    assert blob.diff_id == "sha256:" + hashlib.sha256(gzip.decompress(stored)).hexdigest()
    assert (blob.size, blob.uncompressed_size) == (len(stored), len(gzip.decompress(stored)))
    assert b"".join(decompressed([stored])) == b"".join(source.chunks())
    assert write_blob(source, tmp_path / "blobs") == blob
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [blob.digest.removeprefix("sha256:")]


def test_a_layer_that_cant_be_read_leaves_no_blob(tmp_path):
    class Broken:
        def chunks(self):
            yield b"x"
            raise ExportError("broken")

    with pytest.raises(ExportError):
        write_blob(Broken(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(parts=st.lists(st.binary(max_size=2000), max_size=4), cut=st.integers(1, 700))
def test_all_members_of_a_gzip_stream_are_read_in_any_chunks(parts, cut):
    stored = b"".join(gzip.compress(part) for part in parts)
    chunks = [stored[start : start + cut] for start in range(0, len(stored), cut)]
    assert b"".join(decompressed(chunks)) == b"".join(parts)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:20] + b"\xff" * 50 + data[70:]])
def test_a_damaged_gzip_stream_is_corrupt(damage):
    stored = gzip.compress(os.urandom(5000))
    with pytest.raises(CorruptImageError):
        b"".join(decompressed([damage(stored)]))


def test_a_stream_that_claims_the_impossible_is_a_bomb(monkeypatch):
    monkeypatch.setattr("lifecycle.layers.blob.MAX_LAYER", 100_000)
    with pytest.raises(UnsafeArchiveError):
        b"".join(decompressed([gzip.compress(bytes(1_000_000))]))


def test_zstd_is_named():
    with pytest.raises(CorruptImageError, match="zstd"):
        b"".join(decompressed([b"\x28\xb5\x2f\xfd rest"]))
