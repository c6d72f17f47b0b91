"""What builders that share a cache take for granted of a registry, each tried on the registry itself.

Trying proves what is missing, never that it can't be missing some day.  Names begin with ``doctor-``, which no cache
uses.  Spec: OCI distribution-spec "Push", "Pull", "Content Discovery", "Content Management".
"""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from lifecycle.cache.distributed.registry_log import EMPTY_TYPE
from lifecycle.errors import CorruptImageError, LifecycleError, RegistryError
from lifecycle.images.registry.tag_list import read_tags
from lifecycle.model.step_record import STEP_TYPE
from lifecycle.oci.digest import Digest, digest_of
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.images.registry.client import Answer, RegistryClient
    from lifecycle.oci.reference import Reference

PREFIX: Final = "doctor-"
_ROUNDS: Final = 8
_THREADS: Final = 4
_LONGEST_TAG: Final = 115
_MIB: Final = 1 << 20
_LARGE: Final = (4 * _MIB - 4096, _MIB)
_SKEW: Final = 120.0
_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _PARTIAL, _NOT_FOUND, _FAILED = 200, 201, 202, 204, 206, 404, 412
_DONE: Final = frozenset({_OK, _CREATED, _ACCEPTED, _NO_CONTENT})
_EMPTY: Final = b"{}"
_LIMITS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "X-RateLimit-Limit", "X-RateLimit-Remaining")


@unique
class State(StrEnum):
    """How a trial ended."""

    OK = "ok"
    MISSING = "missing"
    UNTESTED = "not tested"
    NOTE = "-"
    """Nothing that sharing a cache depends on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One assumption: what was found, what follows where it is missing, and what to do about that."""

    name: str
    state: State
    text: str
    consequence: str = ""
    remedy: str = ""


@dataclass(slots=True)
class Examination:
    """The trials in one repository; ``left`` has the tags that could not be deleted again, once ``run`` is through."""

    client: RegistryClient
    repository: Reference
    left: tuple[str, ...] = ()
    _mark: str = ""
    _written: dict[Digest, str] = field(default_factory=dict)

    def run(self) -> Iterator[Finding]:
        """Yield a finding after the other; what raises is one too."""
        self._mark = f"{PREFIX}{secrets.token_hex(6)}-"
        try:
            first = self._tried("access", self._access)
            yield first
            if first.state is not State.OK:
                return
            for name, trial in (
                ("upload", self._upload),
                ("blobs first", self._blobs_first),
                ("read back", self._read_back),
                ("ranges", self._ranges),
                ("listing", self._listing),
                ("tags at once", self._tags_at_once),
                ("pages", self._pages),
                ("names", self._names),
                ("repeated", self._repeated),
                ("one tag", self._one_tag),
                ("conditions", self._conditions),
                ("large", self._large),
                ("clock", self._clock),
                ("referrers", self._referrers),
                ("limits", self._limits),
                ("deletion", self._deletion),
            ):
                yield self._tried(name, trial)
        finally:
            self._clean()

    def _tried(self, name: str, trial: Callable[[], Finding]) -> Finding:
        try:
            return replace(trial(), name=name)
        except LifecycleError as error:
            return Finding(name, State.UNTESTED, str(error), "nothing is known of it", error.remedy or "")

    def _access(self) -> Finding:
        try:
            self.client.check_read(self._tag("none"))
            self.client.upload_blob(self.repository, _blob(_EMPTY), lambda: iter((_EMPTY,)))
        except LifecycleError as error:
            consequence = "builders can't publish here, and nothing else was tried"
            return Finding("", State.MISSING, str(error), consequence, error.remedy or "")
        return _ok("the repository can be read and written")

    def _upload(self) -> Finding:
        data, wrong = secrets.token_bytes(64), digest_of(secrets.token_bytes(64))
        begun = self.client.ask(self.repository, "POST", "blobs/uploads/", body=b"")
        place = urljoin(begun.url, begun.header("Location"))
        place += f"{'&' if '?' in place else '?'}digest={wrong}"
        headers = {"Content-Type": "application/octet-stream"}
        answer = self.client.ask(self.repository, "PUT", place, headers=headers, body=data)
        if answer.status in _DONE:
            return Finding(
                "",
                State.MISSING,
                "a blob was taken whose digest was wrong",
                "others may store broken layers; builders notice when they read them, and build instead",
                "use a registry that verifies uploads",
            )
        return _ok(f"a blob with a wrong digest was refused ({answer.status})")

    def _blobs_first(self) -> Finding:
        absent = Descriptor("application/octet-stream", 7, digest_of(secrets.token_bytes(32)))
        data = Manifest(OCI_MANIFEST, _blob(_EMPTY), (absent,), {"name": self._mark}).dumps()
        answer = self._put("absent", data)
        if answer.status in _DONE:
            return Finding(
                "",
                State.MISSING,
                "a manifest was taken that names a blob which isn't there",
                "a record may be published of which a part is missing; builders notice, and begin a new generation",
                "use a registry that checks manifests",
            )
        return _ok(f"a manifest without its blobs was refused ({answer.status})")

    def _read_back(self) -> Finding:
        data = self._marker("back", STEP_TYPE)
        self._must("back", data)
        for identifier in (f"{self._mark}back", digest_of(data)):
            answer = self._get(identifier)
            if answer.status != _OK or answer.data != data:
                return Finding(
                    "",
                    State.MISSING,
                    f"a manifest that was just written came back otherwise ({answer.status})",
                    "records can't be read by the digest that builders agreed on",
                    "use a registry that keeps manifests byte for byte, without a cache in front of it",
                )
        return _ok("manifests with types of their own come back byte for byte, by tag and by digest")

    def _ranges(self) -> Finding:
        answer = self.client.ask(
            self.repository, "GET", f"blobs/{_blob(_EMPTY).digest}", headers={"Range": "bytes=0-0"}
        )
        absent = self.client.ask(self.repository, "HEAD", f"blobs/{digest_of(secrets.token_bytes(8))}")
        if answer.status not in {_OK, _PARTIAL} or not answer.data or absent.status != _NOT_FOUND:
            return Finding(
                "",
                State.MISSING,
                f"the first byte of a blob was answered by {answer.status}, a blob that isn't there by {absent.status}",
                "builders can't prove that a blob is there before they rely on it",
                "use another registry",
            )
        how = "by a range" if answer.status == _PARTIAL else "whole: it knows no ranges"
        return _ok(f"blobs are sent {how}, and absent ones are told")

    def _listing(self) -> Finding:
        for number in range(_ROUNDS):
            name = f"list{number}"
            self._must(name, self._marker(name))
            if f"{self._mark}{name}" not in self.client.tags(self.repository):
                return _listing_lags("a tag was not listed after it had been acknowledged")
        return _ok(f"{_ROUNDS} of {_ROUNDS} tags were listed as soon as they were acknowledged")

    def _tags_at_once(self) -> Finding:
        names = [f"once{number}" for number in range(_THREADS * _ROUNDS)]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda name: self._must(name, self._marker(name)), names))
        missing = {f"{self._mark}{name}" for name in names} - {*self.client.tags(self.repository)}
        if missing:
            return _listing_lags(f"{len(missing)} of {len(names)} tags that were written at once are not listed")
        return _ok(f"{len(names)} tags that {_THREADS} wrote at once are all listed")

    def _pages(self) -> Finding:
        answer = self.client.ask(self.repository, "GET", "tags/list?n=2")
        listed = read_tags(answer.data or b"{}", where=self.repository.context)
        everything = self.client.tags(self.repository)
        own = {f"{self._mark}{name}" for name in self._written.values()}
        if not own.issubset(everything) or (len(listed) < len(everything) and not answer.header("Link")):
            return _listing_lags(f"a page of {len(listed)} of {len(everything)} tags has no link to the next one")
        if len(set(everything)) != len(everything):
            return _ok(f"{len(set(everything))} tags, some listed twice, which does no harm")
        paged = "in pages that lead to each other" if answer.header("Link") else "on one page"
        return _ok(f"{len(everything)} tags are listed {paged}")

    def _names(self) -> Finding:
        long = "x" * (_LONGEST_TAG - len(self._mark))
        names = ("Case", "case", "with_-.all", long)
        refused = [name for name in names if self._put(name, self._marker(name)).status not in _DONE]
        listed = {*self.client.tags(self.repository)}
        lost = [name for name in names if name not in refused and f"{self._mark}{name}" not in listed]
        same = self._get(f"{self._mark}Case").data == self._get(f"{self._mark}case").data
        if refused or lost or same:
            found = "upper and lower case are the same" if same else f"{(refused + lost)[0]!r} can't be a tag"
            return Finding(
                "",
                State.MISSING,
                found,
                "the names by which builders agree can't be written, or get mixed up",
                "use another registry",
            )
        return _ok(f"tags may be {_LONGEST_TAG} characters long, and upper and lower case differ")

    def _repeated(self) -> Finding:
        data = self._marker("again")
        self._must("again", data)
        answer = self._put("again", data)
        if answer.status not in _DONE:
            return Finding(
                "",
                State.MISSING,
                f"writing a tag once more with the same contents was refused ({answer.status})",
                "a builder whose answer got lost on the way gives up sharing the step",
                "allow it, or share over another registry",
            )
        return _ok("writing a tag once more with the same contents changes nothing")

    def _one_tag(self) -> Finding:
        contents = [self._marker(f"race{number}") for number in range(_THREADS)]
        with ThreadPoolExecutor(_THREADS) as pool:
            statuses = {answer.status for answer in pool.map(lambda data: self._put("race", data), contents)}
        answer = self._get(f"{self._mark}race")
        if answer.status != _OK or answer.data not in contents:
            return Finding(
                "",
                State.MISSING,
                f"a tag that {_THREADS} wrote at once can't be read afterwards ({answer.status})",
                "tags of images and of caches of type=registry may break; shared caches write no tag twice",
                "let only one build at a time write a tag",
            )
        kept = "the first one stays" if statuses - _DONE else "one of them stays"
        return _ok(f"of {_THREADS} that write one tag at once {kept}")

    def _conditions(self) -> Finding:
        data = self._marker("condition")
        self._must("condition", data)
        other = self._marker("condition other")
        answer = self._put("condition", other, {"If-None-Match": "*"})
        plain = self._put("condition", other)
        if answer.status == _FAILED:
            return Finding("", State.NOTE, "If-None-Match is honoured, which sharing a cache does not need")
        if plain.status not in _DONE:
            return Finding(
                "", State.NOTE, f"tags can't be overwritten ({plain.status}), and never are by shared caches"
            )
        return Finding("", State.NOTE, "writes can't be made conditional, which sharing a cache does not need")

    def _large(self) -> Finding:
        for size in _LARGE:
            pad = {"name": f"{self._mark}large", "pad": "x" * size}
            data = Manifest(OCI_MANIFEST, _blob(_EMPTY), (_blob(_EMPTY),), pad).dumps()
            if self._put(f"large{size}", data).status in _DONE:
                state = State.OK if size == _LARGE[0] else State.NOTE
                return Finding("", state, f"manifests may have {size / _MIB:.0f} MiB")
        return Finding(
            "",
            State.MISSING,
            "a manifest of 1 MiB was refused",
            "steps with hundreds of layers, and large caches in the format of BuildKit, can't be stored",
            "raise the limit, if the registry or a proxy in front of it has one",
        )

    def _clock(self) -> Finding:
        dates = []
        for _ in range(2):
            before = time.time()
            answer = self.client.ask(self.repository, "HEAD", f"blobs/{_blob(_EMPTY).digest}")
            try:
                dates.append((parsedate_to_datetime(answer.header("Date")).timestamp(), before))
            except ValueError:
                return Finding(
                    "",
                    State.MISSING,
                    "answers have no Date",
                    "lifecycle cache gc goes by the clock of each host, and may delete too early where those differ",
                    "let clocks of builders be set by NTP, or raise --grace",
                )
        if dates[1][0] < dates[0][0]:
            return Finding(
                "",
                State.MISSING,
                "the registry's time goes backwards",
                "lifecycle cache gc may delete too early what a build uses, which then builds it anew",
                "raise --grace; several servers behind one name need one time",
            )
        skew = dates[0][0] - dates[0][1]
        if abs(skew) > _SKEW:
            return Finding(
                "", State.NOTE, f"its clock differs from ours by {skew:.0f} s; only its own counts, for what is kept"
            )
        return _ok("answers have a Date, which agrees with our clock")

    def _referrers(self) -> Finding:
        answer = self.client.ask(self.repository, "GET", f"referrers/{digest_of(self._marker('back'))}")
        has = "answers" if answer.status == _OK else "does not answer"
        return Finding("", State.NOTE, f"it {has} questions for referrers, which sharing a cache does not ask")

    def _limits(self) -> Finding:
        answer = self.client.ask(self.repository, "HEAD", f"manifests/{self._mark}back", headers=_ACCEPTING)
        found = [f"{name}: {value}" for name in _LIMITS if (value := answer.header(name))]
        if found:
            return Finding("", State.NOTE, f"requests are counted: {', '.join(found)}")
        return Finding("", State.NOTE, "nothing tells of a limit to the number of requests")

    def _deletion(self) -> Finding:
        data, name = self._marker("going"), f"{self._mark}going"
        self._must("going", data)
        answer = self.client.ask(self.repository, "DELETE", f"manifests/{digest_of(data)}")
        consequence = "lifecycle cache gc can't free anything here, and listings grow: 4 to 7 tags for each step"
        if answer.status not in _DONE:
            return Finding(
                "",
                State.MISSING,
                f"deleting a manifest was refused ({answer.status})",
                consequence,
                "allow it (docker-registry: storage.delete.enabled), or begin a new repository from time to time",
            )
        listed = {*self.client.tags(self.repository)}
        if name in listed:
            return Finding(
                "", State.MISSING, "a tag is still listed after its manifest was deleted", consequence, "ask its makers"
            )
        if f"{self._mark}back" not in listed:
            return Finding(
                "",
                State.MISSING,
                "deleting one manifest took the tag of another one along",
                "lifecycle cache gc may take what builds use, which then build it anew",
                "do not run it here",
            )
        return _ok("a manifest that is deleted takes its own tag along and no other")

    def _clean(self) -> None:
        """Delete all that was written; what is still listed then is ``left``."""
        for digest in self._written:
            with contextlib.suppress(LifecycleError):
                self.client.delete_manifest(replace(self.repository, tag=None, digest=digest))
        try:
            self.left = tuple(sorted(self._listed())) if self._written else ()
        except LifecycleError:
            self.left = tuple(sorted(f"{self._mark}{name}" for name in self._written.values()))
        self._written = {}

    def _listed(self) -> set[str]:
        return {name for name in self.client.tags(self.repository) if name.startswith(self._mark)}

    def _tag(self, name: str) -> Reference:
        return replace(self.repository, tag=f"{self._mark}{name}", digest=None)

    def _marker(self, name: str, config: str = EMPTY_TYPE) -> bytes:
        descriptor = replace(_blob(_EMPTY), media_type=config)
        return Manifest(OCI_MANIFEST, descriptor, (_blob(_EMPTY),), {"name": f"{self._mark}{name}"}).dumps()

    def _put(self, name: str, data: bytes, headers: dict[str, str] | None = None) -> Answer:
        given = {"Content-Type": OCI_MANIFEST, **(headers or {})}
        answer = self.client.ask(self.repository, "PUT", f"manifests/{self._mark}{name}", headers=given, body=data)
        if answer.status in _DONE:
            self._written[digest_of(data)] = name
        return answer

    def _must(self, name: str, data: bytes) -> None:
        answer = self._put(name, data)
        if answer.status not in _DONE:
            raise RegistryError(f"a tag can't be written ({answer.status})", where=self.repository.context)

    def _get(self, identifier: str) -> Answer:
        answer = self.client.ask(self.repository, "GET", f"manifests/{identifier}", headers=_ACCEPTING)
        if answer.data is None:
            raise CorruptImageError("sends more than was written", where=self.repository.context)
        return answer


_ACCEPTING: Final = {"Accept": OCI_MANIFEST}


def _blob(data: bytes) -> Descriptor:
    return Descriptor(EMPTY_TYPE, len(data), digest_of(data))


def _ok(text: str) -> Finding:
    return Finding("", State.OK, text)


def _listing_lags(text: str) -> Finding:
    return Finding(
        "",
        State.MISSING,
        text,
        "builders may not agree on one outcome: each still ends with a right image, but not with the same one",
        "share a directory instead, or use a registry whose listings are complete at once",
    )
