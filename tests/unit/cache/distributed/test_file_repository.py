"""What lies in a directory that builders share may be anything: another user can write there."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.open import open_unsigned
from lifecycle.cache.specification import read_repository
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import LARGEST_MANIFEST, OCI_MANIFEST, Descriptor

RECORD = b'{"schemaVersion": 2}'
TOO_LARGE = f"has a manifest of more than {LARGEST_MANIFEST} bytes"


@pytest.fixture
def repository(tmp_path):
    made = FileRepository(tmp_path)
    made.put_record(RECORD)
    made.put_tagged("o.tag", RECORD)
    return made


def _record_path(tmp_path):
    return tmp_path / "blobs" / "sha256" / digest_of(RECORD).removeprefix("sha256:")


def test_a_record_that_grew_beyond_all_manifests_is_not_read_whole(tmp_path, repository):
    with _record_path(tmp_path).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(CorruptImageError, match=TOO_LARGE):
        repository.record(digest_of(RECORD))


def test_a_tag_that_grew_beyond_all_manifests_is_not_read_whole(tmp_path, repository):
    with (tmp_path / "tags" / "o.tag").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(CorruptImageError, match=TOO_LARGE):
        repository.tagged("o.tag")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_a_record_or_tag_is_told_and_not_waited_for(tmp_path, repository, make):
    for path in (_record_path(tmp_path), tmp_path / "tags" / "o.tag"):
        path.unlink()
        make(path)
    with pytest.raises(CacheError, match="is not a file"):
        repository.record(digest_of(RECORD))
    with pytest.raises(CacheError, match="is not a file"):
        repository.tagged("o.tag")
    with pytest.raises(CacheError, match="is not a file"):
        list(repository.blob(Descriptor(OCI_MANIFEST, len(RECORD), digest_of(RECORD))))


def test_what_was_never_written_is_not_there(repository):
    assert repository.record(digest_of(b"other")) is None
    assert repository.tagged("o.other") is None


def test_a_cache_that_is_mounted_read_only_gives_its_blobs(tmp_path, repository, monkeypatch):
    def refuse(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(os, "utime", refuse)
    assert repository.has_blob(Descriptor(OCI_MANIFEST, len(RECORD), digest_of(RECORD)))


def test_builders_that_write_do_not_disturb_a_sweep(tmp_path, repository):
    failed = []

    def write():
        for number in range(400):
            data = str(number % 9).encode()
            try:
                repository.put_blob(Descriptor("x", 1, digest_of(data)), lambda data=data: iter((data,)))
            except CacheError as error:
                failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        repository.sweep(set, before=1)
    assert not failed


def test_two_sweeps_at_once_take_each_blob_once(tmp_path, repository):
    blobs = tmp_path / "blobs" / "sha256"
    for number in range(300):
        (blobs / f"{number:064}").write_text("x")
        os.utime(blobs / f"{number:064}", (1, 1))
    with ThreadPoolExecutor(2) as workers:
        done = [each.result() for each in [workers.submit(repository.sweep, set, before=2) for _ in range(2)]]
    assert sum(count for count, _ in done) == 300
    assert len(list(blobs.iterdir())) == 1


@pytest.mark.parametrize("path", ["", ",sync=file"])
def test_a_sweep_takes_what_a_killed_builder_left_beside_the_names(tmp_path, path, registry_client):
    tags = tmp_path / "names" / "tags" if not path else tmp_path / "names"
    code = (
        "import os\nfrom pathlib import Path\nfrom lifecycle.cache.distributed.file_log import FileLog\n"
        f"os.link = lambda *_: os.kill(os.getpid(), 9)\nFileLog(Path({str(tags)!r})).append('p.x')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (left,) = tags.iterdir()
    spec = f"r.example/team/x{path},path={tags}" if path else str(tmp_path / "names")
    opened = open_unsigned(read_repository(spec), lambda: registry_client)
    opened.sweep(set, before=time.time() - 3600)
    assert left.exists()
    os.utime(left, (1, 1))
    opened.sweep(set, before=time.time() - 3600)
    assert not left.exists()
