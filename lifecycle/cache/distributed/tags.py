"""The names of tags in a distributed cache, which are all that its protocol reads.

``K43`` and ``V43`` are the SHA-256 of a step's key and of a record, in base64url without padding; ``g`` and ``b`` are
numbers in base 36; ``w`` are 11 random characters of a process.  The longest name has 115 characters of the 128 that
registries allow, and no field has a dot::

    r.V43             the record V is stored
    s.V43.KEY         the record V is signed by a key, whose name is KEY
    p.K43.g.b.w       w opened ballot b of generation g
    a.K43.g.b.w.V43   w voted for V at ballot b
    o.K43.g           its manifest names the record that is the first, where the registry decides that (sync=cas)
    d.K43.g.V43       V is decided
    x.K43.g           generation g is closed
    h.H22.n.V43       V is the n-th record of its buildpack and target, H22 the first 128 bits of a digest of these

Each name has one writer or means the same whoever writes it, so that writing it again changes nothing.
Spec: OCI distribution-spec "Pulling manifests" (what a tag is).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

PROPOSER_LENGTH = 11

SYNC_CAS, SYNC_FILE = "sync.cas", "sync.file"
"""Tags of repositories where builders do not agree by votes in the same place: who did would overrule them."""
MARKS = {SYNC_CAS: "sync=cas", SYNC_FILE: "sync=file"}

NUMBER = r"(0|[1-9a-z][0-9a-z]{0,7})"
HASH = r"([A-Za-z0-9_-]{43})"
PROPOSER = rf"([A-Za-z0-9]{{{PROPOSER_LENGTH}}})"

_PREFIX = "sha256:"
_GROUP_LENGTH = 22
_BASE = 36
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def pattern(*fields: str) -> re.Pattern[str]:
    """Return the pattern of a name of these fields, the first of which is its kind."""
    return re.compile(r"\.".join(fields) + r"\Z")


_HINT = pattern("h", rf"([A-Za-z0-9_-]{{{_GROUP_LENGTH}}})", NUMBER, HASH)
_RECORD = pattern("r", HASH)
_SIGNED = pattern("s", HASH, rf"([A-Za-z0-9_-]{{{_GROUP_LENGTH}}})")
_PREPARE = pattern("p", HASH, NUMBER, NUMBER, PROPOSER)
_ACCEPT = pattern("a", HASH, NUMBER, NUMBER, PROPOSER, HASH)
_FIRST = pattern("o", HASH, NUMBER)
_DECIDED = pattern("d", HASH, NUMBER, HASH)
_CLOSED = pattern("x", HASH, NUMBER)


@dataclass(frozen=True, slots=True, order=True)
class Ballot:
    """One try of one proposer; the higher number wins, between equal ones the name."""

    number: int
    proposer: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The record ``value`` is stored, with all of its blobs."""

    value: Digest

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"r.{short_digest(self.value)}"


@dataclass(frozen=True, slots=True)
class Signed:
    """The record ``value`` is signed by the key ``signer``, 22 characters."""

    value: Digest
    signer: str

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"s.{short_digest(self.value)}.{self.signer}"


@dataclass(frozen=True, slots=True)
class Prepare:
    """A proposer opened a ballot."""

    key: Digest
    generation: int
    ballot: Ballot

    @property
    def name(self) -> str:
        """The name of the tag."""
        ballot = f"{base36(self.ballot.number)}.{self.ballot.proposer}"
        return f"p.{short_digest(self.key)}.{base36(self.generation)}.{ballot}"


@dataclass(frozen=True, slots=True)
class Accept:
    """A proposer voted."""

    key: Digest
    generation: int
    ballot: Ballot
    value: Digest

    @property
    def name(self) -> str:
        """The name of the tag."""
        ballot = f"{base36(self.ballot.number)}.{self.ballot.proposer}"
        return f"a.{short_digest(self.key)}.{base36(self.generation)}.{ballot}.{short_digest(self.value)}"


@dataclass(frozen=True, slots=True)
class First:
    """Somebody was the first to ask for a record of a key's generation, where the place itself decides."""

    key: Digest
    generation: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"o.{short_digest(self.key)}.{base36(self.generation)}"


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of a key's generation."""

    key: Digest
    generation: int
    value: Digest

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"d.{short_digest(self.key)}.{base36(self.generation)}.{short_digest(self.value)}"


@dataclass(frozen=True, slots=True)
class Closed:
    """A generation of a key is at its end: its outcome is broken, and a next one begins."""

    key: Digest
    generation: int

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"x.{short_digest(self.key)}.{base36(self.generation)}"


@dataclass(frozen=True, slots=True)
class Hint:
    """``value`` is what others with the same ``group``, 22 characters, may want to begin with; no promise."""

    group: str
    version: int
    value: Digest

    @property
    def name(self) -> str:
        """The name of the tag."""
        return f"h.{self.group}.{base36(self.version)}.{short_digest(self.value)}"


def group_of(hint: Digest) -> str:
    """Return the group that a digest stands for."""
    return short_digest(hint)[:_GROUP_LENGTH]


Tag = Stored | Signed | Prepare | Accept | First | Decided | Closed | Hint


def read_tag(name: str) -> Tag | None:
    """Read a name; ``None`` for any other, which is somebody else's."""
    try:
        if found := _PREPARE.match(name):
            return Prepare(long_digest(found[1]), long_number(found[2]), Ballot(long_number(found[3]), found[4]))
        if found := _ACCEPT.match(name):
            ballot = Ballot(long_number(found[3]), found[4])
            return Accept(long_digest(found[1]), long_number(found[2]), ballot, long_digest(found[5]))
        if found := _FIRST.match(name):
            return First(long_digest(found[1]), long_number(found[2]))
        if found := _DECIDED.match(name):
            return Decided(long_digest(found[1]), long_number(found[2]), long_digest(found[3]))
        if found := _CLOSED.match(name):
            return Closed(long_digest(found[1]), long_number(found[2]))
        if found := _HINT.match(name):
            return Hint(found[1], long_number(found[2]), long_digest(found[3]))
        if found := _RECORD.match(name):
            return Stored(long_digest(found[1]))
        if found := _SIGNED.match(name):
            return Signed(long_digest(found[1]), found[2])
    except ValueError:
        return None
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a listing says of one generation of a key: that which is open."""

    generation: int
    ballots: frozenset[Ballot] = frozenset()
    accepts: frozenset[Accept] = frozenset()
    decided: Digest | None = None

    @property
    def top(self) -> Ballot | None:
        """The highest ballot that anybody opened."""
        return max(self.ballots, default=None)

    @property
    def vote(self) -> Digest | None:
        """The record that the highest vote is for."""
        return max(self.accepts, key=lambda each: each.ballot).value if self.accepts else None


@dataclass(slots=True)
class _Generation:
    ballots: set[Ballot] = field(default_factory=set)
    accepts: set[Accept] = field(default_factory=set)
    decided: Digest | None = None


def seen_of(names: Iterable[str], key: Digest) -> Seen:
    """Return what a listing says of the open generation of ``key``: the one above all that are closed."""
    open_generation = 0
    generations: dict[int, _Generation] = {}
    infix = f".{short_digest(key)}."
    for name in names:
        if not name.startswith(infix, 1):
            continue
        match read_tag(name):
            case Closed(generation=generation):
                open_generation = max(open_generation, generation + 1)
            case Prepare(generation=generation, ballot=ballot):
                generations.setdefault(generation, _Generation()).ballots.add(ballot)
            case Accept(generation=generation, ballot=ballot) as accept:
                found = generations.setdefault(generation, _Generation())
                found.ballots.add(ballot)
                found.accepts.add(accept)
            case Decided(generation=generation, value=value):
                generations.setdefault(generation, _Generation()).decided = value
            case _:
                pass
    found = generations.get(open_generation, _Generation())
    return Seen(open_generation, frozenset(found.ballots), frozenset(found.accepts), found.decided)


def short_digest(digest: str) -> str:
    """Return the 43 characters that stand for a digest."""
    return base64.urlsafe_b64encode(bytes.fromhex(digest.removeprefix(_PREFIX))).decode().rstrip("=")


def long_digest(text: str) -> Digest:
    """Return the digest; raise ``ValueError`` for a spelling that ``short_digest`` never gives."""
    try:
        digest = Digest(_PREFIX + base64.urlsafe_b64decode(text + "=").hex())
    except binascii.Error as error:
        raise ValueError(text) from error
    if short_digest(digest) != text:
        raise ValueError(text)
    return digest


def long_number(text: str) -> int:
    """Return the number that stands in a name."""
    return int(text, _BASE)


def base36(number: int) -> str:
    """Return a number as it stands in names."""
    digits = ""
    while number >= _BASE:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
