"""One contract for all ways in which builders agree: `sync=tags`, `cas`, `lock`, `file`, and a directory.

CNB_SOAK=1 (`make soak`) takes more proposers and keys.
"""

import os
import time

import pytest

from lifecycle.cache.distributed import etcd_lock
from lifecycle.cache.distributed.etcd_lock import EtcdLockedLog
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.registry_log import EMPTY_BLOB, EMPTY_DATA, marker
from lifecycle.cache.distributed.tag_log import LockingLog
from lifecycle.cache.distributed.tags import Closed, Decided
from lifecycle.cache.specification import read_repository
from lifecycle.errors import CacheError, InvalidInputError
from lifecycle.oci.digest import digest_of
from parts.builders import Builders
from parts.crowd import Crowd
from parts.etcd import Etcd

SOAK = bool(os.environ.get("CNB_SOAK"))
PROPOSERS, KEYS, KILLED = (16, 60, 40) if SOAK else (5, 8, 6)
ONE, OTHER = digest_of(b"one"), digest_of(b"other")
RECORD = marker("of nothing")
WAYS = ["directory", "tags", "cas", "immutable", "lock", "file"]
every_way = pytest.mark.parametrize("place", WAYS, indirect=True)


@every_way
def test_the_first_proposal_stands_and_a_closed_generation_is_followed_by_another(place, log_of):
    log, key = log_of(place), digest_of(b"key")
    assert propose(log, key, ONE).value == ONE
    assert propose(log_of(place), key, OTHER).value == ONE
    assert Decided(key, 0, ONE).name in log.names()
    log.append(Closed(key, 0).name)
    again = propose(log_of(place), key, OTHER)
    assert (again.generation, again.value) == (1, OTHER)
    assert propose(log_of(place), key, ONE).value == OTHER
    assert propose(log, digest_of(b"another key"), OTHER).value == OTHER


@every_way
def test_an_acknowledged_name_is_in_every_later_listing_and_may_be_written_again(place, log_of):
    log = log_of(place)
    names = [Decided(digest_of(f"key {number}".encode()), number, ONE).name for number in range(5)]
    for name in (*names, *names):
        log.append(name)
        assert name in log_of(place).names()
    assert set(names) <= log.names()
    log.remove(names[0])
    assert names[0] not in log.names()
    assert abs(log.now() - time.time()) < 3600


@every_way
def test_processes_agree_while_some_are_killed(place, log_of, tmp_path):
    # Names of a directory stand in its directory "tags", which is what proposers are given.
    names = f"{place}/tags" if place.startswith("/") else place
    with Crowd(names, tmp_path / "answers", size=PROPOSERS, keys=KEYS) as crowd:
        crowd.disturb(["kill"], KILLED)
        crowd.finish()
    crowd.outcomes(log_of(place).names(), votes=",sync=cas" not in place)


def test_processes_agree_while_the_lock_server_is_killed_and_goes_away(registry, tmp_path, log_of):
    (tmp_path / "etcd").mkdir()
    place = f"{registry.host}/sync/dead-locks-{tmp_path.name.lower()}"
    with Etcd(tmp_path / "etcd") as own:
        locked = f"{place},sync=lock,url={own.url}"
        with Crowd(locked, tmp_path / "answers", size=PROPOSERS, keys=KEYS) as crowd:
            crowd.disturb([], 0)
            own.kill()
            crowd.disturb(["kill"], 1)
            own.start()
            crowd.disturb(["kill"], 1)
            own.kill()
            crowd.finish()
    crowd.outcomes(log_of(place).names())
    assert propose(log_of(place), digest_of(b"key 0"), ONE).value != ONE


def test_a_holder_that_was_stopped_beyond_its_lease_loses_to_the_next_and_both_agree(etcd, registry, log_of):
    """Builders without locks, and holders whose lease is over, vote by the same rules."""
    place = f"{registry.host}/sync/stopped-{time.monotonic_ns()}"
    key, log = digest_of(b"key"), log_of(f"{place},sync=lock,url={etcd.url}")
    assert isinstance(log, LockingLog)
    with log.holding(key) as first:
        etcd_log = EtcdLockedLog(log, etcd.url, "another-prefix")
        with etcd_log.holding(key) as second:
            assert second > first
        assert propose(log_of(place), key, OTHER).value == OTHER
    assert propose(log, key, ONE).value == OTHER


def test_who_waits_longer_than_a_lease_lasts_gets_the_lock_all_the_same(etcd, registry, log_of, monkeypatch, caplog):
    key, log = digest_of(b"key"), log_of(f"{registry.host}/sync/patient,sync=lock,url={etcd.url}")
    monkeypatch.setattr(etcd_lock, "LEASE", 6)
    with log.holding(key) as first:
        monkeypatch.setattr(etcd_lock, "LEASE", 2)
        with log.holding(key) as second:
            assert second > first > 1
    assert not caplog.text


def test_later_holders_open_higher_ballots(etcd, registry, log_of):
    place = f"{registry.host}/sync/fenced-{time.monotonic_ns()},sync=lock,url={etcd.url}"
    log, tokens = log_of(place), []
    for number in range(3):
        with log.holding(digest_of(b"key")) as token:
            tokens.append(token)
        propose(log, digest_of(f"key {number}".encode()), ONE)
    assert tokens == sorted(set(tokens))
    ballots = {name.split(".")[1]: int(name.split(".")[3], 36) for name in log.names() if name.startswith("p.")}
    assert min(ballots.values()) > tokens[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "REGISTRY"])
def test_without_its_lock_server_a_builder_goes_on(registry, log_of, url, caplog):
    url = registry.url if url == "REGISTRY" else url
    place = f"{registry.host}/sync/no-locks-{time.monotonic_ns()},sync=lock,url={url}"
    assert propose(log_of(place), digest_of(b"key"), ONE).value == ONE
    assert "Going on without the locks of 127.0.0.1" in caplog.text


def test_a_registry_that_overwrites_tags_is_told_apart(registry, log_of):
    place = f"{registry.host}/sync/overwrites-{time.monotonic_ns()},sync=cas"
    with pytest.raises(CacheError, match="overwrites tags in spite of If-None-Match") as told:
        propose(log_of(place), digest_of(b"key"), ONE)
    assert "sync=tags" in (told.value.remedy or "")


@pytest.mark.parametrize(("first", "second"), [("", "cas"), ("cas", ""), ("", "file"), ("file", ""), ("file", "cas")])
def test_who_agrees_in_another_way_than_others_is_refused_and_disturbs_nobody(
    conditional, repository_of, tmp_path, first, second
):
    ways = {"": "", "cas": ",sync=cas", "file": f",sync=file,path={tmp_path / 'names'}"}
    place = f"{conditional.host}/sync/mixed-{time.monotonic_ns()}"

    def share(way, name, value):
        repository = repository_of(place + ways[way])
        # A record is stored before anybody votes for it.
        repository.put_record(RECORD)
        return propose(repository.log, digest_of(name), value).value

    repository_of(place).put_blob(EMPTY_BLOB, lambda: iter((EMPTY_DATA,)))
    assert share(first, b"key", ONE) == ONE
    with pytest.raises(CacheError, match=r"sync=(cas|file)"):
        share(second, b"other key", OTHER)
    assert share(first, b"other key", ONE) == ONE


@pytest.mark.parametrize("place", ["cas", "lock", "file"], indirect=True)
def test_builders_that_agree_in_this_way_end_with_one_image(place, tmp_path):
    builders = Builders(tmp_path / "builders", place)
    one, other = builders.build("one"), builders.build("other")
    if not (one.paths_are_of_image and other.paths_are_of_image):
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")
    assert one.digest == other.digest
    assert {row["outcome"] for row in one.settled.values()} == {"won"}
    assert {row["outcome"] for row in other.settled.values()} == {"adopted"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("reg/app,sync=lock", "lacks url"),
        ("reg/app,sync=file", "lacks path"),
        ("reg/app,sync=redis", "sync=redis is unknown"),
        ("reg/app,url=http://h:1", "url means nothing to sync=tags"),
        ("reg/app,sync=lock,url=h:1", "no server"),
        ("reg/app,sync=lock,url=http://user:secret@h:1", "no server"),
        ("/shared,sync=cas", "is for registries"),
        ("/shared,sync=file,path=/x", "is for registries"),
    ],
)
def test_a_way_that_makes_no_sense_is_refused_and_no_password_told(text, problem):
    with pytest.raises(InvalidInputError, match=problem) as told:
        read_repository(text)
    assert "secret" not in str(told.value)
