"""How two layers differ, member by member, from the facts of their tars."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.differences.texts import moment, shown
from lifecycle.layers.tar import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lifecycle.differences.contents import ContentDifference
    from lifecycle.layers.facts import MemberFacts

_KINDS: Final[Mapping[str, str]] = {
    Kind.FILE: "file",
    Kind.HARD_LINK: "hard link",
    Kind.SYMLINK: "symbolic link",
    Kind.CHARACTER_DEVICE: "character device",
    Kind.BLOCK_DEVICE: "block device",
    Kind.DIRECTORY: "directory",
    Kind.FIFO: "fifo",
}
_XATTRS: Final = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")


class Change(StrEnum):
    """What became of a part on the way from the first image to the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class AttributeDifference:
    """An attribute of a member: its name, and its value on either side, ``None`` where it is missing."""

    name: str
    first: str | int | None
    second: str | int | None


@dataclass(frozen=True, slots=True)
class MemberDifference:
    """A member that is in one layer only, or not the same in both.

    ``path`` is shown: what can't be printed is escaped.  ``content`` and ``causes`` say more of a file's content.
    """

    path: str
    change: Change
    attributes: tuple[AttributeDifference, ...]
    first: MemberFacts | None
    second: MemberFacts | None
    content: ContentDifference | None = None
    causes: tuple[str, ...] = ()

    @property
    def content_differs(self) -> bool:
        """Whether both are files of other content."""
        return any(each.name == "content" for each in self.attributes)

    @property
    def kind(self) -> str:
        """What it is, in the second layer if it is there."""
        return kind_name(self.second or self.first)


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """The members that differ, in the order of their paths.

    ``order`` are the paths that stand in the first place where those that both layers have are in another order.
    Layers of other digests in which nothing differs have the same members written otherwise.
    """

    members: tuple[MemberDifference, ...] = ()
    order: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.members or self.order)


_Key = tuple[bytes, int]


def compare_members(first: Sequence[MemberFacts], second: Sequence[MemberFacts]) -> LayerComparison:
    """Compare the members of two layers, each in the order of its tar.

    Members of one path are told apart by their number: a tar may hold several.
    """
    one, other = _by_key(first), _by_key(second)
    rows = tuple(_differences(one, other))
    common = [key for key in one if key in other]
    placed = [key for key in other if key in one]
    order = next(((shown(a[0]), shown(b[0])) for a, b in zip(common, placed, strict=True) if a != b), None)
    return LayerComparison(rows, order)


def kind_name(facts: MemberFacts | None) -> str:
    """Return what a member is, in words."""
    return "" if facts is None else _KINDS.get(facts.kind, f"member of type {facts.kind!r}")


def _by_key(facts: Sequence[MemberFacts]) -> dict[_Key, MemberFacts]:
    seen: Counter[bytes] = Counter()
    found = {}
    for each in facts:
        path = each.path
        found[path, seen[path]] = each
        seen[path] += 1
    return found


def _differences(one: Mapping[_Key, MemberFacts], other: Mapping[_Key, MemberFacts]) -> Iterator[MemberDifference]:
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key), other.get(key)
        path = shown(key[0])
        if first is None or second is None:
            yield MemberDifference(path, Change.ADDED if first is None else Change.REMOVED, (), first, second)
            continue
        attributes = tuple(_attributes(first, second))
        if attributes:
            yield MemberDifference(path, Change.CHANGED, attributes, first, second)


_ATTRIBUTES: Final[tuple[tuple[str, Callable[[MemberFacts], Any]], ...]] = (
    ("kind", kind_name),
    ("content", lambda facts: f"sha256:{facts.content.hex()}" if facts.content else None),
    ("size", lambda facts: facts.size),
    ("mode", lambda facts: f"{facts.mode:04o}"),
    ("uid", lambda facts: facts.uid),
    ("gid", lambda facts: facts.gid),
    ("uname", lambda facts: shown(facts.uname)),
    ("gname", lambda facts: shown(facts.gname)),
    ("mtime", lambda facts: moment(facts.mtime)),
    ("atime", lambda facts: None if facts.atime is None else moment(facts.atime)),
    ("ctime", lambda facts: None if facts.ctime is None else moment(facts.ctime)),
    ("link target", lambda facts: shown(facts.linkname)),
    ("device", lambda facts: f"{facts.device[0]}:{facts.device[1]}"),
    ("name", lambda facts: shown(facts.name)),
    ("tar format", lambda facts: facts.format),
)
"""The attributes that are looked at, what matters most first."""


def _attributes(first: MemberFacts, second: MemberFacts) -> Iterator[AttributeDifference]:
    for name, value in _ATTRIBUTES:
        one, other = value(first), value(second)
        if one != other:
            yield AttributeDifference(name, one, other)
    if first.records != second.records:
        one, other = dict(first.records), dict(second.records)
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                yield AttributeDifference(_record_name(key), _record(one.get(key)), _record(other.get(key)))


def _record_name(key: str) -> str:
    for prefix in _XATTRS:
        if key.startswith(prefix):
            return f"xattr {shown(key.removeprefix(prefix).encode(errors='surrogateescape'))}"
    return f"PAX record {shown(key.encode(errors='surrogateescape'))}"


def _record(value: bytes | None) -> str | None:
    return None if value is None else shown(value)
