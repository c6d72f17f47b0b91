"""The cache in a directory: its format, broken entries, killed processes and builds at the same time."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

from lifecycle.cache import directories
from lifecycle.cache.sources.volume import open_volume
from lifecycle.cache.volume import METADATA_NAME, VolumeCache
from lifecycle.errors import CacheEntryNotFoundError, CacheError, CorruptImageError, VerificationError
from lifecycle.model.layer import Store
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata, LayerSha
from lifecycle.oci.digest import DiffId


@dataclass
class Tar:
    data: bytes

    def chunks(self):
        yield self.data

    @property
    def diff_id(self):
        return DiffId("sha256:" + hashlib.sha256(self.data).hexdigest())


def described(tar):
    layers = {"deps": BuildpackLayer(sha=tar.diff_id, cache=True, build=True, data={"v": "<1>"})}
    return CacheMetadata(buildpacks=(BuildpackLayers(key="a/b", version="1.2", layers=layers),))


def fill(cache, tar):
    transaction = cache.begin()
    transaction.add(tar, tar.diff_id)
    transaction.commit(described(tar))


OLD, NEW = Tar(b"old" * 5000), Tar(b"new" * 5000)


def file_of(path, tar):
    return path / "committed" / f"{tar.diff_id}.tar"


def test_metadata_that_grew_beyond_all_labels_is_not_read_whole(tmp_path):
    cache = VolumeCache(tmp_path)
    fill(cache, OLD)
    with (tmp_path / "committed" / METADATA_NAME).open("r+b") as file:
        file.truncate(1 << 40)
    assert cache.metadata() == CacheMetadata()
    with pytest.raises(CorruptImageError, match="can't be understood"):
        open_volume(tmp_path)


def test_a_named_pipe_in_the_place_of_the_lock_is_told_by_who_writes(tmp_path):
    fill(VolumeCache(tmp_path), OLD)
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    cache = VolumeCache(tmp_path)
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data
    with pytest.raises(CacheError, match=r"/\.lock: can't be written: is not a file"):
        cache.begin()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_files_can_not_be_linked_a_layer_is_kept_as_a_copy(tmp_path, monkeypatch, code):
    def link(source, target, *, follow_symlinks):
        raise OSError(code, os.strerror(code), source, None, target)

    cache = VolumeCache(tmp_path)
    fill(cache, OLD)
    monkeypatch.setattr(os, "link", link)
    transaction = cache.begin()
    transaction.reuse(OLD.diff_id)
    with pytest.raises(CacheEntryNotFoundError):
        transaction.reuse(NEW.diff_id)
    transaction.commit(described(OLD))
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data


def test_a_named_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path):
    cache = VolumeCache(tmp_path)
    fill(cache, OLD)
    for path in (file_of(tmp_path, OLD), tmp_path / "committed" / METADATA_NAME):
        path.unlink()
        os.mkfifo(path)
    assert cache.metadata() == CacheMetadata()
    with pytest.raises(CacheError, match="is not a file"):
        list(cache.layer(OLD.diff_id))
    with pytest.raises(CacheError, match="is not a file"):
        cache.begin().reuse(OLD.diff_id)
    with pytest.raises(CacheError, match="is not a file"):
        open_volume(tmp_path)


@pytest.mark.requirement("PLAT-EXP-071", "PLAT-EXP-073")
def test_the_files_are_those_of_the_reference(tmp_path):
    fill(VolumeCache(tmp_path), OLD)
    assert sorted(path.name for path in (tmp_path / "committed").iterdir()) == [
        METADATA_NAME,
        f"{OLD.diff_id}.tar",
    ]
    assert file_of(tmp_path, OLD).read_bytes() == OLD.data
    assert (tmp_path / "committed" / METADATA_NAME).read_text() == (
        '{"sbom":{"sha":""},"buildpacks":[{"key":"a/b","version":"1.2","layers":{"deps":{"sha":"'
        + OLD.diff_id
        + '","data":{"v":"\\u003c1\\u003e"},"build":true,"launch":false,"cache":true}}}]}\n'
    )
    assert {path.name for path in tmp_path.iterdir()} == {"committed", ".lock"}


@pytest.mark.requirement("PLAT-RES-023")
def test_a_cache_of_the_reference_can_be_read(tmp_path):
    (tmp_path / "committed").mkdir()
    file_of(tmp_path, OLD).write_bytes(OLD.data)
    value = {
        "sbom": {"sha": "sha256:1"},
        "buildpacks": [
            {
                "key": "a/b",
                "version": "1",
                "layers": {"deps": {"sha": OLD.diff_id, "data": None, "cache": True}},
            },
            {"key": "c", "version": "2", "layers": None, "store": {"metadata": {"n": 1}}},
        ],
        "unknown": 1,
    }
    (tmp_path / "committed" / METADATA_NAME).write_text(json.dumps(value) + "\n")
    cache = VolumeCache(tmp_path)
    metadata = cache.metadata()
    assert metadata.sbom == LayerSha(sha="sha256:1")
    assert metadata.of("a/b").layers["deps"] == BuildpackLayer(sha=OLD.diff_id, cache=True)
    assert metadata.of("c").store == Store(metadata={"n": 1.0})
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data


@pytest.mark.parametrize("text", ["{", "[]", '{"buildpacks":[{"key":1}]}', "\udcff"])
def test_metadata_that_can_not_be_understood_counts_as_none_and_is_reported(tmp_path, caplog, text):
    cache = VolumeCache(tmp_path)
    (tmp_path / "committed" / METADATA_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert cache.metadata() == CacheMetadata()
    assert f"Ignoring cache '{tmp_path}' because its metadata is corrupt" in caplog.text


def test_a_broken_entry_is_noticed_by_readers_and_not_reused(tmp_path):
    cache = VolumeCache(tmp_path)
    fill(cache, OLD)
    file_of(tmp_path, OLD).write_bytes(NEW.data)
    expected = f"expected layer contents to have SHA '{OLD.diff_id}'; found '{NEW.diff_id}'"
    with pytest.raises(VerificationError, match=expected):
        list(cache.layer(OLD.diff_id))
    transaction = cache.begin()
    with pytest.raises(VerificationError, match=expected):
        transaction.reuse(OLD.diff_id)
    transaction.add(OLD, OLD.diff_id)
    transaction.commit(described(OLD))
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data


def test_reuse_does_not_copy(tmp_path):
    cache = VolumeCache(tmp_path)
    fill(cache, OLD)
    inode = file_of(tmp_path, OLD).stat().st_ino
    transaction = cache.begin()
    transaction.reuse(OLD.diff_id)
    transaction.commit(described(OLD))
    assert file_of(tmp_path, OLD).stat().st_ino == inode


def test_a_diff_id_that_would_leave_the_cache_is_not_found(tmp_path):
    with pytest.raises(CacheEntryNotFoundError):
        list(VolumeCache(tmp_path).layer(DiffId("sha256:../../secret")))


def test_a_missing_cache_directory_is_an_error_that_says_so(tmp_path):
    with pytest.raises(CacheError, match="none: is not a directory; create the cache directory"):
        VolumeCache(tmp_path / "none")


def test_content_that_a_killed_reference_lifecycle_set_aside_comes_back(tmp_path):
    fill(VolumeCache(tmp_path), OLD)
    (tmp_path / "committed").rename(tmp_path / "committed-backup")
    cache = VolumeCache(tmp_path)
    assert cache.metadata() == described(OLD)
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data


def test_a_leftover_backup_beside_whole_content_goes(tmp_path):
    fill(VolumeCache(tmp_path), OLD)
    (tmp_path / "committed-backup").mkdir()
    assert VolumeCache(tmp_path).metadata() == described(OLD)
    assert not (tmp_path / "committed-backup").exists()


def test_without_exchange_two_renames_do(tmp_path, monkeypatch):
    monkeypatch.setattr(directories, "_RENAMEAT2", None)
    fill(VolumeCache(tmp_path), OLD)
    fill(VolumeCache(tmp_path), NEW)
    assert VolumeCache(tmp_path).metadata() == described(NEW)
    assert {path.name for path in tmp_path.iterdir()} == {"committed", ".lock"}


def test_this_system_exchanges_in_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert directories.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "other").exists()


def test_staging_of_a_killed_build_goes_and_that_of_a_running_one_stays(tmp_path):
    cache = VolumeCache(tmp_path)
    running = cache.begin()
    running.add(OLD, OLD.diff_id)
    (tmp_path / "staging-killed").mkdir()
    fill(cache, NEW)
    assert not (tmp_path / "staging-killed").exists()
    running.commit(described(OLD))
    assert b"".join(cache.layer(OLD.diff_id)) == OLD.data


BUILD = textwrap.dedent(
    """
    import hashlib, os, signal, sys
    from pathlib import Path
    from lifecycle.cache import directories
    from lifecycle.cache.volume import VolumeCache
    from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata

    class Tar:
        def __init__(self, data): self.data = data
        def chunks(self): yield self.data
        diff_id = property(lambda self: "sha256:" + hashlib.sha256(self.data).hexdigest())

    def commit(path, text):
        tar = Tar(text.encode() * 5000)
        transaction = VolumeCache(path).begin()
        transaction.add(tar, tar.diff_id)
        layers = {"deps": BuildpackLayer(sha=tar.diff_id, cache=True, build=True, data={"v": "<1>"})}
        transaction.commit(CacheMetadata(buildpacks=(BuildpackLayers(key="a/b", version="1.2", layers=layers),)))

    def die_at(count, *, renameat2):
        # Kills this process just before its file system call number `count` of those that move or make things.
        left = [count]
        def guard(function):
            def call(*args, **kwargs):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return function(*args, **kwargs)
            return call
        for name in ("rename", "replace", "mkdir", "rmdir", "unlink", "fsync", "open"):
            setattr(os, name, guard(getattr(os, name)))
        directories._RENAMEAT2 = guard(directories._RENAMEAT2) if renameat2 else None

    path = Path(sys.argv[1])
    """
)


def run(script, *args):
    return subprocess.run(
        [sys.executable, "-c", BUILD + textwrap.dedent(script), *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
    )


def assert_whole(path, *possible):
    cache = VolumeCache(path)
    metadata = cache.metadata()
    assert metadata in [described(tar) for tar in possible]
    sha = metadata.of("a/b").layers["deps"].sha
    assert b"".join(cache.layer(sha)) in [tar.data for tar in possible]


@pytest.mark.parametrize("renameat2", [True, False])
def test_a_build_killed_at_any_call_leaves_the_old_or_the_new_cache(tmp_path, renameat2):
    fill(VolumeCache(tmp_path), OLD)
    # A fork for each point, since starting Python takes longest.
    script = f"""
        for count in range(500):
            child = os.fork()
            if child == 0:
                die_at(count, renameat2={renameat2})
                commit(path, "new")
                os._exit(0)
            _, status = os.waitpid(child, 0)
            cache = VolumeCache(path)
            [layer] = [layer for each in cache.metadata().buildpacks for layer in each.layers.values()]
            assert b"".join(cache.layer(layer.sha)) in (b"old" * 5000, b"new" * 5000)
            if status == 0:
                print("killed", count)
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
            if layer.sha != {OLD.diff_id!r}:
                commit(path, "old")
        """
    result = run(script, tmp_path)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.removeprefix("killed")) > 15
    assert_whole(tmp_path, NEW)
    fill(VolumeCache(tmp_path), NEW)
    assert {path.name for path in tmp_path.iterdir()} == {"committed", ".lock"}


def test_a_build_killed_at_random_times_leaves_a_whole_cache(tmp_path):
    fill(VolumeCache(tmp_path), OLD)
    script = """
        import random, time
        chance = random.Random(20)
        for _ in range(60):
            child = os.fork()
            if child == 0:
                while True:
                    commit(path, "new")
                    commit(path, "old")
            time.sleep(chance.uniform(0.001, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            cache = VolumeCache(path)
            [layer] = [layer for each in cache.metadata().buildpacks for layer in each.layers.values()]
            assert b"".join(cache.layer(layer.sha)) in (b"old" * 5000, b"new" * 5000)
        """
    result = run(script, tmp_path)
    assert result.returncode == 0, result.stderr
    assert_whole(tmp_path, OLD, NEW)


def test_builds_at_the_same_time_leave_the_cache_of_one_of_them(tmp_path):
    names = ["a", "b", "c"]
    script = """
        for _ in range(15):
            commit(path, sys.argv[2])
            cache = VolumeCache(path)
            [layer] = [layer for each in cache.metadata().buildpacks for layer in each.layers.values()]
            try:
                data = b"".join(cache.layer(layer.sha))
            except Exception as error:
                # Another build replaced the content between the two reads.
                assert type(error).__name__ == "CacheEntryNotFoundError", repr(error)
            else:
                assert data in (b"a" * 5000, b"b" * 5000, b"c" * 5000)
        """
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD + textwrap.dedent(script), str(tmp_path), name],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for build in builds:
        _, errors = build.communicate(timeout=240)
        assert build.returncode == 0, errors
    assert_whole(tmp_path, *(Tar(name.encode() * 5000) for name in names))
    assert {path.name for path in tmp_path.iterdir()} == {"committed", ".lock"}
