"""A shared cache with records and images of any age, made without builds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.publish import fetch_publication, publish
from lifecycle.cache.distributed.retention_tags import Used
from lifecycle.cache.distributed.tags import Hint
from lifecycle.cache.distributed.usage import BuildNote, put_note
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import Descriptor

if TYPE_CHECKING:
    from lifecycle.cache.distributed.repository import Repository

HOUR = 3600
DAY = 24 * HOUR


@dataclass
class SharedCache:
    """Fills `repository`; `now` is its time, `later` lets time go on for those who ask its log."""

    repository: Repository
    ahead: int = 0
    records: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.repository.log.now
        self.repository.log.now = lambda: own() + self.ahead

    @property
    def now(self) -> int:
        return self.repository.log.now()

    def later(self, seconds: int) -> None:
        self.ahead += seconds

    def record(self, name: str, *, age: int = 30 * DAY, decided: bool = True, hint: int = 0) -> str:
        """Store a record of its own key, last used so long ago."""
        data = f"blob of {name}".encode()
        blob = Descriptor("application/octet-stream", len(data), digest_of(data))
        found = Publication("application/octet-stream", f"record {name}".encode(), (blob,))
        publish(self.repository, found, {blob.digest: lambda: iter((data,))})
        self.repository.log.append(Used(found.digest, self.now - age).name)
        if decided:
            assert propose(self.repository.log, self.key(name), found.digest).value == found.digest
        if hint:
            self.repository.log.append(Hint("g" * 22, hint, found.digest).name)
        self.records[name] = found.digest
        return found.digest

    def image(self, name: str, *records: str, age: int = 30 * DAY, branch: str = "", tag: str = "") -> BuildNote:
        """Leave word of an image made of these records so long ago."""
        note = BuildNote(
            image=digest_of(name.encode()),
            time=self.now - age,
            names=(name,),
            records={self.records[each]: f"bp/{each}" for each in records},
            branches=(branch,) if branch else (),
            git_tags=(tag,) if tag else (),
        )
        put_note(self.repository, note)
        return note

    @staticmethod
    def key(name: str) -> str:
        return digest_of(f"key of {name}".encode())

    def there(self) -> set[str]:
        """The records that can be had, with every blob."""
        names = self.repository.log.names()
        found = set()
        for name, digest in self.records.items():
            if not any(each.startswith("r.") and each in names for each in [self._stored(digest)]):
                continue
            publication = fetch_publication(self.repository, digest)
            for blob in publication.blobs:
                assert b"".join(self.repository.blob(blob)) == f"blob of {name}".encode()
            found.add(name)
        return found

    @staticmethod
    def _stored(digest: str) -> str:
        from lifecycle.cache.distributed.tags import Stored

        return Stored(digest).name
