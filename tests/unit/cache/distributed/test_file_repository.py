"""What lies in a directory that builders share may be anything: another user can write there."""

import os
from pathlib import Path

import pytest

from lifecycle.cache.distributed.file_repository import FileRepository
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
