"""Layers of extensions in the volume that restorer and extender share."""

import json
import os
import time

import pytest

from lifecycle.cache.extension_steps import ExtensionCache, open_extension_cache
from lifecycle.layers.members import Members, made_directory

WEEK = 7 * 24 * 3600.0
LAYER = Members((made_directory(b"/made"),))


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache" / "extended"


def opened(directory, lifetime=WEEK):
    return open_extension_cache(directory, lifetime=lifetime)


def age(directory, key, seconds):
    path = directory / "steps" / f"{key}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "created": record["created"] - seconds}))


def test_what_a_step_made_is_found_again(directory):
    with opened(directory) as cache:
        made = cache.add("key", LAYER)
        assert cache.add("nothing", None).blob is None
    with opened(directory) as cache:
        found = cache.find("key")
        assert found.blob.diff_id == made.blob.diff_id
        assert b"".join(found.blob.uncompressed()) == b"".join(LAYER.chunks())
        assert cache.find("nothing").blob is None
        assert cache.find("other") is None


def test_what_is_too_old_is_not_found_and_goes(directory):
    with opened(directory) as cache:
        cache.add("old", LAYER)
        cache.add("new", None)
    age(directory, "old", WEEK + 1)
    (blob,) = (directory / "blobs").iterdir()
    os.utime(blob, (1, 1))
    with opened(directory) as cache:
        assert cache.find("old") is None
        assert cache.find("new") is not None
    assert [path.name for path in (directory / "steps").iterdir()] == ["new.json"]
    assert list((directory / "blobs").iterdir()) == []


def test_a_time_in_the_future_or_no_lifetime_is_too_old(directory):
    with opened(directory) as cache:
        cache.add("key", None)
    age(directory, "key", -100)
    with opened(directory) as cache:
        assert cache.find("key") is None
    with opened(directory, lifetime=-1.0) as cache:
        cache.add("key", None)
        assert cache.find("key") is None


def test_what_another_build_is_just_writing_stays(directory):
    with opened(directory) as cache:
        (directory / "blobs").mkdir()
        (directory / "blobs" / ".layer-x").touch()
        assert cache.keeps
    assert [path.name for path in (directory / "blobs").iterdir()] == [".layer-x"]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]])
def test_a_damaged_layer_is_not_used(directory, damage):
    with opened(directory) as cache:
        cache.add("key", LAYER)
    (blob,) = (directory / "blobs").iterdir()
    blob.write_bytes(damage(blob.read_bytes()))
    with opened(directory) as cache:
        assert cache.find("key") is None
        assert cache.add("key", LAYER).blob is not None
        assert cache.find("key") is not None


@pytest.mark.parametrize(
    "record",
    [
        "", "[]", "{", '{"version": 1}', '{"version": 2, "created": 1, "layer": null}',
        '{"version": 1, "created": "x", "layer": null}', '{"version": 1, "created": 1, "layer": {"digest": "../x"}}',
        '{"version": 1, "created": 1}',
    ],
)  # fmt: skip
def test_a_record_that_can_not_be_understood_is_none(directory, record):
    (directory / "steps").mkdir(parents=True)
    directory.chmod(0o700)
    (directory / "steps" / "key.json").write_text(record)
    with opened(directory, lifetime=time.time()) as cache:
        assert cache.find("key") is None


def test_without_a_place_in_the_volume_there_is_no_cache(tmp_path):
    (tmp_path / "file").touch()
    with opened(tmp_path / "file" / "extended") as cache:
        assert cache is None
    kept = ExtensionCache(tmp_path, WEEK, keeps=False)
    assert kept.add("key", LAYER).blob.path.is_file()
    assert kept.find("key") is None


def test_a_directory_that_others_may_write_to_is_made_anew(directory):
    with opened(directory) as cache:
        cache.add("key", None)
    directory.chmod(0o777)
    with opened(directory) as cache:
        assert cache.find("key") is None
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_another_user_is_made_anew(directory):
    with opened(directory) as cache:
        cache.add("key", None)
    os.chown(directory, 1000, 1000)
    with opened(directory) as cache:
        assert cache.find("key") is None


def test_a_link_in_the_place_of_the_cache_is_not_followed(directory, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    directory.parent.mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    with opened(directory) as cache:
        cache.add("key", None)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not directory.is_symlink()


def test_the_cache_stays_where_it_is_when_its_directory_is_exchanged(directory):
    with opened(directory) as cache:
        directory.rename(directory.with_name("moved"))
        directory.mkdir()
        cache.add("key", LAYER)
        assert cache.find("key") is not None
    assert list(directory.iterdir()) == []
