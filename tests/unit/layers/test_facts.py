"""What is known of a layer's members once its tar has passed."""

import hashlib
import io
import tarfile
import time
import tracemalloc

import pytest

from lifecycle.errors import UnsafeArchiveError, VerificationError
from lifecycle.layers.facts import HEAD, Heads, read_facts
from lifecycle.layers.tar import BLOCK, MAX_RECORDS


def tar(*members, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def facts_of(data, **options):
    with Heads() as heads:
        return [(facts, heads.read(facts.head)) for facts in read_facts([data], heads, where="layer", **options)]


def test_a_member_is_told_with_all_that_its_header_says():
    fields = {
        "mode": 0o4751, "uid": 3_000_000, "gid": 7, "uname": "ü", "gname": "staff", "mtime": 1.5,
        "pax_headers": {"SCHILY.xattr.user.k": "v", "atime": "2.25"},
    }  # fmt: skip
    ((facts, head),) = facts_of(tar(("./a//b", b"text", fields)))
    assert facts.name == b"./a//b"
    assert facts.path == b"/a/b"
    assert (facts.kind, facts.mode, facts.uid, facts.gid) == ("0", 0o4751, 3_000_000, 7)
    assert (facts.uname.decode(), facts.gname) == ("ü", b"staff")
    assert (facts.mtime, facts.atime, facts.ctime) == (1_500_000_000, 2_250_000_000, None)
    assert ("SCHILY.xattr.user.k", b"v") in facts.records
    assert facts.content == hashlib.sha256(b"text").digest()
    assert facts.format == "pax"
    assert head == b"text"


@pytest.mark.parametrize(("form", "name"), [(tarfile.USTAR_FORMAT, "ustar"), (tarfile.GNU_FORMAT, "gnu")])
def test_plain_headers_have_times_and_names_too(form, name):
    ((facts, _),) = facts_of(tar(("a", b"", {"mtime": 12, "uname": "me", "gname": "us"}), form=form))
    assert (facts.mtime, facts.uname, facts.gname, facts.format) == (12_000_000_000, b"me", b"us", name)


def test_links_and_devices_have_no_content():
    link = ("l", b"", {"type": tarfile.SYMTYPE, "linkname": "to"})
    device = ("d", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})
    (one, _), (other, _) = facts_of(tar(link, device))
    assert (one.linkname, one.content) == (b"to", b"")
    assert (other.device, other.content) == ((1, 3), b"")


def test_only_wanted_beginnings_are_kept():
    data = tar(("a", b"a", {}), ("b", b"b", {}))
    assert [head for _, head in facts_of(data, wanted=lambda facts: facts.path == b"/b")] == [None, b"b"]


def test_a_large_file_takes_no_more_memory_than_a_small_one():
    size = 64 << 20
    info = tarfile.TarInfo("large")
    info.size = size

    def chunks():
        yield info.tobuf()
        for _ in range(size >> 18):
            yield bytes(1 << 18)
        yield bytes(1024)

    with Heads() as heads:
        tracemalloc.start()
        try:
            (facts,) = read_facts(chunks(), heads, where="layer")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert facts.size == size
        assert len(heads.read(facts.head)) == HEAD
    assert peak < 4 << 20


def test_a_broken_tar_is_refused():
    data = tar(("a", b"content", {}))
    with pytest.raises(VerificationError):
        facts_of(data[:700])
    with pytest.raises(UnsafeArchiveError):
        facts_of(b"x" * 1024)


def test_a_block_of_very_many_pax_records_is_read_in_a_time_that_grows_with_its_size_alone():
    """Each may be five bytes long, and such blocks are packed to nearly nothing."""
    records = b"5 a=\n" * (MAX_RECORDS // 5)
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, len(records)
    data = extended.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % BLOCK)
    data += tarfile.TarInfo("file").tobuf(tarfile.USTAR_FORMAT) + bytes(2 * BLOCK)
    started = time.process_time()
    ((facts, _),) = facts_of(data)
    assert time.process_time() - started < 8
    assert facts.name == b"file"
