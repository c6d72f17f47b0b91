"""What a layer's tar says of each of its members, with digests in the place of contents.

Reading is a stream: memory grows with the number of members and not with their sizes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from lifecycle.errors import ImageError
from lifecycle.layers.reader import members
from lifecycle.layers.tar import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from lifecycle.layers.reader import StoredMember

HEAD: Final = 64 * 1024
"""Bytes from the beginning of a file that are kept for a look at what differs."""

_ALL_HEADS: Final = 1 << 30
"""Bytes of all beginnings together, beyond which no more are kept."""

_TOLD: Final = frozenset({"path", "linkpath", "size", "uid", "gid", "mtime", "uname", "gname"})
"""PAX records that fields of the facts hold."""


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One member.

    ``name`` and ``linkname`` are as they are stored; ``kind`` is the type flag; times are in nanoseconds, ``None``
    where there is none; ``device`` is major and minor number; ``records`` are the PAX records that say more, extended
    attributes among them, sorted; ``content`` is the sha256 of the content, ``b""`` for a member that can't have any;
    ``head`` is where its beginning lies in ``Heads``, offset and size, ``None`` if it isn't kept.
    """

    name: bytes
    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    uname: bytes = b""
    gname: bytes = b""
    size: int = 0
    mtime: int = 0
    atime: int | None = None
    ctime: int | None = None
    linkname: bytes = b""
    device: tuple[int, int] = (0, 0)
    records: tuple[tuple[str, bytes], ...] = ()
    format: str = ""
    content: bytes = b""
    head: tuple[int, int] | None = None

    @property
    def path(self) -> bytes:
        """The path in the image: ``/`` and the parts of the name, however it is written."""
        return b"/" + b"/".join(part for part in self.name.split(b"/") if part not in {b"", b"."})


class Heads:
    """The beginnings of files, in a file that vanishes when this is closed."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="lifecycle-heads-")  # noqa: SIM115  # closed on exit
        except OSError as error:
            raise _unwritable(error) from error
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, head: bytes) -> tuple[int, int] | None:
        """Keep a beginning and return where it lies, ``None`` if there is no more room for it."""
        if self._size + len(head) > _ALL_HEADS:
            return None
        place = (self._size, len(head))
        try:
            self._file.seek(self._size)
            self._file.write(head)
        except OSError as error:
            raise _unwritable(error) from error
        self._size += len(head)
        return place

    def clear(self) -> None:
        """Forget all that was kept, and make room."""
        self._file.truncate(0)
        self._size = 0

    def read(self, place: tuple[int, int] | None) -> bytes | None:
        """Return a beginning that was kept."""
        if place is None:
            return None
        self._file.seek(place[0])
        return self._file.read(place[1])


def read_facts(
    chunks: Iterable[bytes], heads: Heads, *, where: str, wanted: Callable[[MemberFacts], bool] = lambda _: True
) -> Iterator[MemberFacts]:
    """Yield the facts of each member in the order of the tar, which is read to its end.

    The beginnings of the files that are ``wanted`` are kept in ``heads``.  Raises what reading the tar raises.
    """
    for member in members(chunks, where=where):
        yield _facts(member, heads, wanted)


def _facts(member: StoredMember, heads: Heads, wanted: Callable[[MemberFacts], bool]) -> MemberFacts:
    entry, stored = member.entry, member.stored
    hasher = hashlib.sha256()
    head = bytearray()
    for chunk in member.content:
        hasher.update(chunk)
        head += chunk[: HEAD - len(head)]
    records = sorted((key, value) for key, value in stored.records.items() if key not in _TOLD)
    facts = MemberFacts(
        name=entry.name,
        kind=entry.kind,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        uname=stored.uname,
        gname=stored.gname,
        size=entry.size,
        mtime=stored.mtime,
        atime=stored.atime,
        ctime=stored.ctime,
        linkname=entry.linkname,
        device=(entry.devmajor, entry.devminor),
        records=tuple(records),
        format=_format(stored.formats),
        content=hasher.digest() if entry.content_size or entry.kind == "0" else b"",
    )
    if not facts.content or not wanted(facts):
        return facts
    return replace(facts, head=heads.keep(bytes(head)))


def _format(formats: Format) -> str:
    """Return the name of a format; one that has no name of its own is none of the three."""
    if Format.USTAR in formats:
        return "ustar"
    return "pax" if Format.PAX in formats else "gnu" if Format.GNU in formats else "other"


def _unwritable(error: OSError) -> ImageError:
    return ImageError(
        f"files can't be held to be compared: {os.strerror(error.errno or 0)}",
        where=tempfile.gettempdir(),
        remedy="set TMPDIR to a directory with more room",
    )
