"""What builds leave in a cache that they share for those who decide what is kept: leases, uses, images.

Nothing of it changes what builders agree on.  A lease stands before the first listing of a build, so that whoever
deletes something either sees the lease or has let the build see that it is going.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.propose import new_proposer
from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.retention_tags import OVER, Ended, Going, Lease, Made, Used, read_retention_tag
from lifecycle.cache.distributed.tags import Closed, Seen, seen_of, short_digest
from lifecycle.errors import CacheError, CorruptImageError, ImageError
from lifecycle.model.canonical import canonical
from lifecycle.model.step_record import MEDIA_PREFIX
from lifecycle.oci.digest import Digest, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.tag_log import KeptLog

NOTE_TYPE: Final = f"{MEDIA_PREFIX}build.v1+json"
LEASE_LENGTH: Final = 6 * 3600
"""Seconds that a build is trusted to go on; each step that ends later than ``RENEWED_AFTER`` begins them anew."""
RENEWED_AFTER: Final = 3600
OFTEN: Final = 3600
"""Seconds within which one tag is enough to tell that a record was used."""


@dataclass(slots=True)
class BuildLease:
    """A build that goes on, and ``snapshot``, the first listing that it saw: what was decided then is its own.

    Without a lease, because the cache could not be written then, nothing is promised.
    """

    log: KeptLog
    snapshot: frozenset[str]
    build: str
    began: int
    renewed: int

    @property
    def name(self) -> str:
        """The name by which another process goes on with it."""
        return Lease(self.build, self.began, self.renewed + LEASE_LENGTH).name

    def renew(self) -> None:
        """Go on; a failure to say so costs the promise and nothing else."""
        with contextlib.suppress(CacheError, ImageError):
            now = self.log.now()
            if now - self.renewed >= RENEWED_AFTER:
                self.log.append(Lease(self.build, self.began, now + LEASE_LENGTH).name)
                self.renewed = now

    def end(self) -> None:
        """Say that nothing of the cache is needed any more; otherwise the lease runs out."""
        with contextlib.suppress(CacheError, ImageError):
            self.log.append(Lease(self.build, self.began, OVER).name)


def begin_lease(log: KeptLog) -> BuildLease:
    """Say that a build begins, then look; raise ``CacheError`` or ``ImageError``."""
    build, now = new_proposer(), log.now()
    log.append(Lease(build, now, now + LEASE_LENGTH).name)
    return BuildLease(log, log.names(), build, now, now)


def resume_lease(log: KeptLog, name: str) -> BuildLease:
    """Go on with the lease that a former phase of the build left, or begin one if it is over or ``name`` is none.

    Raises ``CacheError`` or ``ImageError``.
    """
    found = read_retention_tag(name)
    if not isinstance(found, Lease):
        return begin_lease(log)
    now = log.now()
    began = min(found.began, now)
    log.append(Lease(found.build, began, now + LEASE_LENGTH).name)
    names = log.names()
    over = (read_retention_tag(each) for each in names if each.startswith(f"l.{found.build}."))
    if any(isinstance(each, Lease) and each.until == OVER for each in over):
        return begin_lease(log)
    return BuildLease(log, names, found.build, began, now)


def look(log: KeptLog, key: Digest, snapshot: frozenset[str]) -> tuple[Seen, frozenset[str]]:
    """Return what is known of a key, and a listing: the snapshot where that has an outcome, else a new one as well.

    What was decided when a build began stays its own, also if it was closed since.  A closing that was seen once and
    may still be on its way is written to its end, so that no later listing lacks it.
    """
    seen = seen_of(snapshot, key)
    if seen.decided is not None:
        return seen, snapshot
    names = snapshot | log.names()
    seen = seen_of(names, key)
    if seen.generation and seen.decided is None:
        closed = seen.generation - 1
        ends = (read_retention_tag(name) for name in names if name.startswith(f"z.{short_digest(key)}."))
        if not any(isinstance(tag, Ended) and tag.generation == closed for tag in ends):
            log.append(Closed(key, closed).name)
    return seen, names


def announce(log: KeptLog, value: Digest) -> None:
    """Say that a record is about to be published; ``check_not_going`` has to follow before anybody votes for it."""
    log.append(Used(value, log.now()).name)


def check_not_going(value: Digest, names: Iterable[str]) -> None:
    """Raise ``CacheError`` where a listing that began after ``announce`` tells that the record is being deleted.

    Who deletes it says so first and looks for the announcement afterwards, so one of the two sees the other.
    """
    if any(isinstance(tag, Going) and tag.value == value for tag in _of_record("k", names)):
        raise CacheError(f"the record {value} is being deleted", remedy="the next build can publish it again")


def mark_used(log: KeptLog, value: Digest, names: frozenset[str]) -> None:
    """Say that a build ended a step with a record, unless ``names``, a listing, tells that somebody did so lately."""
    with contextlib.suppress(CacheError, ImageError):
        now = log.now()
        times = [tag.time for tag in _of_record("u", names) if isinstance(tag, Used) and tag.value == value]
        if now - max(times, default=0) >= OFTEN:
            log.append(Used(value, now).name)


def _of_record(kind: str, names: Iterable[str]) -> list[object]:
    return [read_retention_tag(name) for name in names if name.startswith(f"{kind}.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNote:
    """What an image was made of, and of which commit.

    ``image`` is the digest of its manifest, or of its configuration where its store has none; ``records`` maps the
    records of its steps to their buildpacks; ``key`` is that of the image's own record, ``""`` where it has none.
    ``time`` in seconds.
    """

    image: Digest
    time: int
    names: tuple[str, ...] = ()
    records: dict[Digest, str] = field(default_factory=dict)
    key: str = ""
    commit: str = ""
    branches: tuple[str, ...] = ()
    git_tags: tuple[str, ...] = ()

    @property
    def publication(self) -> Publication:
        """The note as it is stored."""
        value = {
            "v": 1,
            "image": self.image,
            "time": self.time,
            "names": list(self.names),
            "records": [{"record": record, "buildpack": name} for record, name in sorted(self.records.items())],
            "key": self.key,
            "git": {"commit": self.commit, "branches": list(self.branches), "tags": list(self.git_tags)},
        }
        return Publication(NOTE_TYPE, canonical(value), ())

    @property
    def tag(self) -> Made:
        """The tag under which it is stored."""
        return Made(self.image, self.time, self.publication.digest)


def read_note(data: bytes, *, where: str) -> BuildNote:
    """Read a note; raise ``CorruptImageError`` for what is none."""
    try:
        value = json.loads(data)
        git = value["git"]
        note = BuildNote(
            image=Digest(value["image"]),
            time=int(value["time"]),
            names=tuple(map(str, value["names"])),
            records={Digest(row["record"]): str(row["buildpack"]) for row in value["records"]},
            key=str(value["key"]),
            commit=str(git["commit"]),
            branches=tuple(map(str, git["branches"])),
            git_tags=tuple(map(str, git["tags"])),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptImageError(f"holds a note of a build that can't be understood: {error}", where=where) from error
    if not (value.get("v") == 1 and is_digest(note.image) and all(map(is_digest, note.records))):
        raise CorruptImageError("holds a note of a build that can't be understood", where=where)
    return note


def put_note(repository: Repository, note: BuildNote) -> None:
    """Store what an image was made of; raise ``CacheError`` or ``ImageError``."""
    publication = note.publication
    config = publication.config_descriptor
    if not repository.has_blob(config):
        repository.put_blob(config, lambda: iter((publication.config,)))
    repository.put_manifest(note.tag.name, publication.dumps())
