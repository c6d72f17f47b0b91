"""Collections of directories, of Debian's docker-registry, and of registries that refuse or fail."""

import os
import subprocess
import threading
import time
from functools import partial

import pytest

from lifecycle.cache.distributed.collect import Collector
from lifecycle.cache.distributed.collected import Fate
from lifecycle.cache.distributed.deciding_registry import read_first
from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.publish import fetch_publication, publish
from lifecycle.cache.distributed.registry_log import marker
from lifecycle.cache.distributed.registry_repository import RegistryRepository
from lifecycle.cache.distributed.retention import KeepPolicy, Limit, Policy, ReferenceKind
from lifecycle.cache.distributed.tags import Accept, Ballot, Closed, Decided, First, Prepare, Stored, seen_of
from lifecycle.cache.distributed.torn_tags import contents
from lifecycle.cache.distributed.usage import LEASE_LENGTH, announce, begin_lease, check_not_going
from lifecycle.errors import CacheError
from lifecycle.images.registry.client import Limits, RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.oci.digest import digest_of
from lifecycle.oci.reference import parse_reference
from parts.quirky_registry import QuirkyRegistry
from parts.registry import docker_registry
from parts.shared_cache import DAY, HOUR, SharedCache

MAIN = Policy(policies=(KeepPolicy(ReferenceKind.BRANCH, "main", Limit(), Limit(last=1)),), starts=0)


def in_registry(registry, name="team/cache"):
    quick = Limits(retry=RetryPolicy(tries=2, first_delay=0.01))
    client = RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}), limits=quick)
    return RegistryRepository(client, parse_reference(f"{registry.host}/{name}"))


WAYS = ["directory", "tags", "cas", "lock", "file"]
every_way = pytest.mark.parametrize("place", WAYS, indirect=True)


@pytest.fixture
def shared(place, repository_of):
    return SharedCache(repository_of(place))


@pytest.fixture
def directory(tmp_path):
    return SharedCache(FileRepository(tmp_path / "shared"))


def fates(done, shared):
    names = {digest: name for name, digest in shared.records.items()}
    return {names[row.record]: row.fate.value for row in done.rows}


@every_way
def test_what_no_kept_image_needs_goes_and_the_rest_stays_whole(shared):
    for name in ("old", "shared", "new", "young", "orphan"):
        shared.record(name, age=HOUR if name == "young" else 30 * DAY, decided=name != "orphan")
    shared.image("app:1", "old", "shared", branch="main", age=20 * DAY)
    shared.image("app:2", "new", "shared", branch="main", age=10 * DAY)
    collector = Collector(shared.repository, MAIN, grace=0)
    before = shared.repository.log.names()
    planned = collector.plan()
    assert shared.repository.log.names() == before
    done = collector.run()
    assert fates(done, shared) == {
        "old": "deleted", "orphan": "deleted", "shared": "kept", "new": "kept", "young": "kept",
    }  # fmt: skip
    assert [(row.record, row.fate) for row in planned.rows] == [(row.record, row.fate) for row in done.rows]
    assert shared.there() == {"shared", "new", "young"}
    assert {row.buildpack for row in done.rows if row.fate is Fate.KEPT} == {"bp/shared", "bp/new", ""}
    assert seen_of(shared.repository.log.names(), shared.key("old")).generation == 1
    again = Collector(shared.repository, MAIN, grace=0).run()
    assert (again.work.written, again.work.removed, again.foreign) == (0, 0, 0)
    anew = digest_of(b"anew")
    assert propose(shared.repository.log, shared.key("old"), anew).value == anew
    assert propose(shared.repository.log, shared.key("new"), anew).value == shared.records["new"]


def test_grace_is_time_to_change_ones_mind(directory):
    directory.record("used again")
    directory.record("wanted again")
    directory.record("unneeded")
    note = directory.image("app:1", "wanted again")
    nothing = Policy(policies=(), starts=0)

    def run(policy=nothing):
        return fates(Collector(directory.repository, policy).run(), directory)

    assert set(run().values()) == {"marked"}
    directory.later(23 * HOUR)
    assert set(run().values()) == {"waiting"}
    announce(directory.repository.log, directory.records["used again"])
    wanting = Policy(policies=(), starts=0, images={note.image: "app:1"})
    directory.later(2 * HOUR - 300)
    assert run(wanting) == {"used again": "kept", "wanted again": "kept", "unneeded": "closed"}
    directory.later(HOUR)
    assert run(wanting) == {"used again": "marked", "wanted again": "kept", "unneeded": "deleted"}
    assert directory.there() == {"used again", "wanted again"}


def test_a_build_that_goes_on_keeps_what_its_snapshot_has(directory):
    directory.record("one")
    lease = begin_lease(directory.repository.log)
    nothing = Policy(policies=(), starts=0)
    for fate in ("marked", "waiting", "waiting"):
        directory.later(HOUR)
        assert fates(Collector(directory.repository, nothing, grace=0).run(), directory) == {"one": fate}
    assert seen_of(lease.snapshot, directory.key("one")).decided == directory.records["one"]
    assert directory.there() == {"one"}
    lease.end()
    directory.later(1)
    assert fates(Collector(directory.repository, nothing, grace=0).run(), directory) == {"one": "deleted"}


def test_a_lease_is_renewed_by_long_builds_and_runs_out_for_dead_ones(directory):
    directory.record("one")
    nothing = Policy(policies=(), starts=0)
    lease = begin_lease(directory.repository.log)
    Collector(directory.repository, nothing, grace=0).run()
    for _ in range(4):
        directory.later(LEASE_LENGTH - HOUR)
        lease.renew()
        assert fates(Collector(directory.repository, nothing, grace=0).run(), directory) == {"one": "waiting"}
    directory.later(LEASE_LENGTH)
    assert fates(Collector(directory.repository, nothing, grace=0).run(), directory) == {"one": "deleted"}
    directory.later(2 * HOUR)
    Collector(directory.repository, nothing, grace=0).run()
    assert not [name for name in directory.repository.log.names() if name.startswith("l.")]


@pytest.mark.parametrize("years", [-1, 10])
def test_only_the_registrys_clock_counts(registry, tmp_path, monkeypatch, years):
    monkeypatch.setattr(time, "time", lambda own=time.time: own() + years * 365 * DAY)
    shared = SharedCache(in_registry(registry, f"clock/{tmp_path.name.lower()}"))
    assert abs(shared.now - (time.time() - years * 365 * DAY)) < 60
    shared.record("old")
    shared.record("young", age=HOUR)
    lease = begin_lease(shared.repository.log)
    assert fates(Collector(shared.repository, MAIN, grace=0).run(), shared) == {"old": "marked", "young": "kept"}
    lease.end()


def test_a_registry_whose_clock_jumps_costs_what_builds_rely_on_and_no_agreement():
    with QuirkyRegistry() as registry:
        shared = SharedCache(in_registry(registry))
        value = shared.record("one")
        begin_lease(shared.repository.log)
        nothing = Policy(policies=(), starts=0)
        assert fates(Collector(shared.repository, nothing, grace=0).run(), shared) == {"one": "marked"}
        shared.later(10 * 365 * DAY)
        assert fates(Collector(shared.repository, nothing, grace=0).run(), shared) == {"one": "deleted"}
        log = shared.repository.log
        another = digest_of(b"another")
        assert propose(log, shared.key("one"), another).generation == 1
        assert seen_of(log.names(), shared.key("one")).decided == another != value


class Killed(BaseException):
    """The process is gone."""


def test_a_collector_that_is_killed_anywhere_leaves_the_rest_to_the_next(tmp_path):
    def fill(path):
        shared = SharedCache(FileRepository(path))
        for name in ("old", "kept", "orphan"):
            shared.record(name, decided=name != "orphan")
        shared.image("app:1", "old", branch="feature")
        shared.image("app:2", "kept", branch="main")
        return shared

    point = 0
    while True:
        point += 1
        shared = fill(tmp_path / f"{point}")
        log = shared.repository.log
        calls = {"append": log.append, "remove": log.remove}

        def dying(call, left=[point]):  # noqa: B006  # counts down over both calls
            def operation(name):
                left[0] -= 1
                if not left[0]:
                    raise Killed
                call(name)

            return operation

        log.append, log.remove = (dying(call) for call in calls.values())
        try:
            Collector(shared.repository, MAIN, grace=0).run()
        except Killed:
            pass
        else:
            break
        log.append, log.remove = calls.values()
        assert "kept" in shared.there()
        shared.later(1)
        Collector(shared.repository, MAIN, grace=0).run()
        assert shared.there() == {"kept"}
    assert point > 15


@every_way
def test_two_collectors_at_once_come_to_the_same(shared):
    for number in range(6):
        shared.record(f"old{number}")
    shared.record("kept")
    shared.image("app", "kept", branch="main")
    failed = []

    def run():
        try:
            Collector(shared.repository, MAIN, grace=0).run()
        except Exception as error:  # noqa: BLE001  # shown below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    shared.later(1)
    Collector(shared.repository, MAIN, grace=0).run()
    assert shared.there() == {"kept"}


def test_a_vote_of_a_dead_builder_is_carried_through_and_then_goes(directory):
    value = directory.record("voted", decided=False)
    key = directory.key("voted")
    log = directory.repository.log
    log.append(Prepare(key, 0, Ballot(1, "deaddeaddea")).name)
    log.append(Accept(key, 0, Ballot(1, "deaddeaddea"), value).name)
    nothing = Policy(policies=(), starts=0)
    Collector(directory.repository, nothing).run()
    assert seen_of(log.names(), key).decided is None
    directory.later(DAY)
    Collector(directory.repository, nothing).run()
    names = log.names()
    assert Decided(key, 0, value).name in names
    assert not [name for name in names if name.startswith(("p.", "a."))]
    for _ in range(3):
        directory.later(DAY)
        Collector(directory.repository, nothing).run()
    assert directory.there() == set()


@pytest.mark.parametrize("place", ["cas"], indirect=True)
def test_what_a_registry_decided_and_a_dead_builder_did_not_say_is_said_and_then_goes(shared):
    log, nothing = shared.repository.log, Policy(policies=(), starts=0)
    value = shared.record("first", decided=False)
    assert log.first(shared.key("first"), 0, value) == value
    log.first(shared.key("lost"), 0, digest_of(b"a record that is not there"))
    torn = First(digest_of(b"unreadable"), 0)
    log.append(torn.name)
    Collector(shared.repository, nothing).run()
    names = log.names()
    assert seen_of(names, shared.key("first")).decided == value
    assert seen_of(names, torn.key).generation == 1
    for _ in range(3):
        shared.later(DAY)
        Collector(shared.repository, nothing).run()
    assert shared.there() == set()
    assert not [name for name in log.names() if name.startswith(("o.", "r.", "d."))]
    another = digest_of(b"another")
    assert propose(log, torn.key, another).value == another


def test_a_cache_whose_names_are_elsewhere_is_not_collected_without_them(registry, tmp_path, repository_of):
    place = f"{registry.host}/gc/elsewhere-{time.monotonic_ns()}"
    shared = SharedCache(repository_of(f"{place},sync=file,path={tmp_path / 'names'}"))
    shared.record("one")
    for collect in (Collector(repository_of(place)).plan, Collector(repository_of(place)).run):
        with pytest.raises(CacheError, match="add sync=file"):
            collect()
    assert shared.there() == {"one"}
    # A builder that was killed has stored a record and named it nowhere.
    orphan = Publication("application/octet-stream", b"orphan", ())
    publish(shared.repository, orphan, {})
    shared.repository.log.remove(Stored(orphan.digest).name)
    assert Stored(orphan.digest).name in repository_of(place).tags.names()
    Collector(shared.repository, Policy(policies=(), starts=0), grace=0).run()
    assert Stored(orphan.digest).name not in repository_of(place).tags.names()


def test_ballots_go_only_after_this_collector_wrote_the_outcome(directory):
    directory.record("kept", age=0)
    done = []
    log = directory.repository.log
    append, remove = log.append, log.remove
    log.append = lambda name: (done.append(("put", name[0])), append(name))
    log.remove = lambda name: (done.append(("remove", name[0])), remove(name))
    Collector(directory.repository).run()
    assert done[0] == ("put", "d")
    assert {("remove", "p"), ("remove", "a")} <= set(done)


def test_a_closed_generation_is_remembered_for_a_month(directory):
    directory.record("one")
    key, nothing = directory.key("one"), Policy(policies=(), starts=0)
    Collector(directory.repository, nothing, grace=0).run()
    directory.later(29 * DAY)
    Collector(directory.repository, nothing, grace=0).run()
    assert Closed(key, 0).name in directory.repository.log.names()
    directory.later(2 * DAY)
    Collector(directory.repository, nothing, grace=0).run()
    assert directory.repository.log.names() == frozenset()


def test_a_record_that_is_going_is_not_published(directory):
    from lifecycle.cache.distributed.retention_tags import Going

    value = digest_of(b"value")
    log = directory.repository.log
    log.append(Going(value, directory.now).name)
    with pytest.raises(CacheError, match="is being deleted"):
        propose(log, digest_of(b"key"), value, names=frozenset(), check=partial(check_not_going, value))
    assert not [name for name in log.names() if name.startswith("a.")]


def test_names_of_others_are_left_alone(directory):
    directory.repository.log.append("latest")
    done = Collector(directory.repository, grace=0).run()
    assert directory.repository.log.names() == {"latest"}
    assert done.foreign == 1


def test_blobs_go_from_a_directory_unless_somebody_asked_for_them_lately(tmp_path, directory):
    directory.record("old")
    directory.record("kept")
    directory.image("app", "kept", branch="main")
    blobs = tmp_path / "shared" / "blobs" / "sha256"
    (blobs / ".new-crashed").write_text("half")
    collector = Collector(directory.repository, MAIN, grace=0)
    assert collector.run().work.blobs == 0
    before = {path.name for path in blobs.iterdir()}
    for path in blobs.iterdir():
        os.utime(path, (1, 1))
    done = Collector(directory.repository, MAIN, grace=0).run()
    assert done.work.blobs == 4
    assert len(before - {path.name for path in blobs.iterdir()}) == 4
    assert directory.there() == {"kept"}


def test_a_record_whose_bytes_are_wrong_keeps_no_blobs_and_ends_no_collection(tmp_path, directory):
    directory.record("damaged")
    directory.record("kept")
    directory.image("app", "damaged", "kept", branch="main")
    blobs = tmp_path / "shared" / "blobs" / "sha256"
    (blobs / directory.records["damaged"].removeprefix("sha256:")).write_bytes(b"{")
    for path in blobs.iterdir():
        os.utime(path, (1, 1))
    done = Collector(directory.repository, MAIN, grace=0).run()
    assert done.work.blobs > 0
    assert fetch_publication(directory.repository, directory.records["kept"])


def test_a_registry_that_deletes_nothing_is_not_touched():
    with QuirkyRegistry("no deletion") as registry:
        shared = SharedCache(in_registry(registry))
        shared.record("one")
        before = set(registry.tags)
        collector = Collector(shared.repository, Policy(policies=(), starts=0), grace=0)
        with pytest.raises(CacheError, match=r"deletes nothing \(status 405\).*nothing was changed.*--dry-run"):
            collector.run()
        assert set(registry.tags) == before
        assert fates(collector.plan(), shared) == {"one": "deleted"}


def test_a_registry_that_lists_what_it_deleted_is_told():
    with QuirkyRegistry("keeps deleted tags") as registry:
        shared = SharedCache(in_registry(registry))
        shared.record("one")
        done = Collector(shared.repository, Policy(policies=(), starts=0), grace=0).run()
        assert done.work.stuck


def test_a_collection_ends_though_builders_go_on_and_a_tag_stays_that_was_deleted(directory):
    """Each new step gives it something to do, between any two of its listings."""
    directory.record("stuck")
    directory.record("old")
    stuck, rounds = Stored(directory.records["stuck"]).name, []
    names, remove = directory.repository.names, directory.repository.remove

    def beside():
        rounds.append(directory.record(f"beside {len(rounds)}", age=0))
        assert len(rounds) < 40
        return names()

    directory.repository.names = beside
    directory.repository.remove = lambda name: None if name == stuck else remove(name)
    done = Collector(directory.repository, Policy(policies=(), starts=0), grace=0).run()
    assert done.work.stuck == (stuck,)
    assert fetch_publication(directory.repository, directory.records["beside 0"])
    assert Stored(directory.records["old"]).name not in names()


def test_tags_that_a_crash_of_the_registry_left_half_written_are_mended(own_registry):
    shared = SharedCache(in_registry(own_registry))
    shared.record("old")
    value = shared.record("kept")
    shared.image("app", "kept", branch="main")
    tags = own_registry.storage / "docker/registry/v2/repositories/team/cache/_manifests/tags"
    for name in (Decided(shared.key("kept"), 0, value).name, Stored(value).name):
        (tags / name / "current" / "link").write_text("")
    assert fates(Collector(shared.repository, MAIN, grace=0).run(), shared) == {"old": "deleted", "kept": "kept"}
    assert shared.there() == {"kept"}


def test_a_torn_tag_gets_only_what_the_names_tell():
    key, value = digest_of(b"key"), digest_of(b"value")
    first, record = First(key, 1).name, Stored(value).name
    stored = {value: b"the record"}.get
    assert contents(record, {record}, stored) == b"the record"
    assert contents(record, {record}, lambda _: None) == marker(record)
    assert contents(first, {first, Closed(key, 0).name, Decided(key, 0, value).name}, stored) is None
    decided = contents(first, {first, Closed(key, 0).name, Decided(key, 1, value).name}, stored)
    assert read_first(decided, first, where=first) == value
    assert contents(first, {first, Closed(key, 1).name}, stored) == marker(first)


def test_the_registrys_own_garbage_collection_frees_the_blobs_of_what_went(own_registry):
    shared = SharedCache(in_registry(own_registry))
    shared.record("old")
    shared.record("kept")
    shared.image("app", "kept", branch="main")
    Collector(shared.repository, MAIN, grace=0).run()
    gone = own_registry.blob_path(digest_of(b"blob of old"))
    assert gone.exists()
    own_registry.kill()
    command = [docker_registry(), "garbage-collect", own_registry.directory / "config.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not gone.exists()
    own_registry.start()
    assert shared.there() == {"kept"}
