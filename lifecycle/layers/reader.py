"""The members of a tar that came from elsewhere, read as a stream.

Understands what Go's archive/tar does except for sparse files: v7, USTAR, PAX, GNU and star headers.
Reference: archive/tar, ``Reader.Next``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import UnsafeArchiveError, VerificationError
from lifecycle.layers.tar import BLOCK, MAX_RECORDS, SPARSE, Entry, Format, Kind, Stored, valid_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GLOBAL = "g"
"""The type flag of PAX records for all that follows, which are passed on but not applied."""

_NANO = 1_000_000_000
_NANO_DIGITS = 9
_MIN_RECORD = 5
_LONGEST_NUMBER = 20
"""Characters of an int64 in decimal."""
_SEVENTH_BIT = 0x40
_TOP_BIT = 0x80
_INT64 = range(-(1 << 63), 1 << 63)
_OCTAL = re.compile(rb"[0-7]+\Z")
_DECIMAL = re.compile(rb"[+-]?[0-9]+\Z")
_TIME = re.compile(rb"([+-]?[0-9]+)(?:\.([0-9]*))?\Z")
_CHUNK = 1 << 18


@dataclass(slots=True)
class StoredMember:
    """A member: ``content`` has to be read, if at all, before the next member is asked for."""

    entry: Entry
    stored: Stored
    content: Iterator[bytes]


def members(chunks: Iterable[bytes], *, where: str = "layer") -> Iterator[StoredMember]:
    """Yield the members of a tar; ``chunks`` is read to its end, so that a verifying stream has its say.

    Raises ``UnsafeArchiveError`` for what is no tar, ``VerificationError`` where it ends too early.
    """
    stream = _Stream(chunks, where)
    extension = _Extension()
    while (block := _next_block(stream)) is not None:
        entry, stored = _header(block, where)
        extension.formats &= stored.formats
        if entry.size < 0:
            raise _malformed(where, "a negative size")
        if entry.kind in {"x", "L", "K"}:
            extension.read(entry, stream)
            continue
        if entry.kind == GLOBAL:
            records = _records(stream.special(entry), where)
            yield StoredMember(entry, Stored(records=records), iter(()))
        else:
            entry, stored = extension.applied(entry, stored, where)
            content = stream.content(entry.content_size)
            yield StoredMember(entry, stored, content)
            for _ in content:
                pass
        extension = _Extension()
    stream.drain()


class _Stream:
    """Bytes on demand."""

    def __init__(self, chunks: Iterable[bytes], where: str) -> None:
        self._chunks = iter(chunks)
        self._buffer = memoryview(b"")
        self.where = where

    def some(self, limit: int) -> memoryview:
        """Return between 1 and ``limit`` bytes, none at the end."""
        while not self._buffer:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer = memoryview(chunk)
        piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return piece

    def exactly(self, size: int, *, or_end: bool = False) -> bytes:
        """Return ``size`` bytes, or none where the end is allowed and is here."""
        data = bytearray()
        while len(data) < size:
            piece = self.some(size - len(data))
            if not piece:
                if or_end and not data:
                    return b""
                raise VerificationError("ends within a member of the tar", where=self.where)
            data += piece
        return bytes(data)

    def content(self, size: int) -> Iterator[bytes]:
        """Yield the content of a member, then pass over its padding."""
        left = size
        while left:
            piece = self.some(min(left, _CHUNK))
            if not piece:
                raise VerificationError("ends within a file of the tar", where=self.where)
            left -= len(piece)
            yield bytes(piece)
        self.exactly(-size % BLOCK)

    def special(self, entry: Entry) -> bytes:
        """Return the content of a member that describes others."""
        if entry.size > MAX_RECORDS:
            raise _malformed(self.where, "an extended header that is too long")
        return b"".join(self.content(entry.size))

    def drain(self) -> None:
        """Read the rest."""
        while self.some(_CHUNK):
            pass


@dataclass(slots=True)
class _Extension:
    """What extended headers say about the next member."""

    formats: Format = field(default_factory=lambda: Format.USTAR | Format.PAX | Format.GNU)
    records: dict[str, bytes] = field(default_factory=dict)
    name: bytes = b""
    linkname: bytes = b""

    def read(self, entry: Entry, stream: _Stream) -> None:
        data = stream.special(entry)
        if entry.kind == "x":
            self.formats &= Format.PAX
            self.records = _records(data, stream.where)
            return
        self.formats &= Format.GNU
        text = data.partition(b"\x00")[0]
        if entry.kind == "L":
            self.name = text
        else:
            self.linkname = text

    def applied(self, entry: Entry, stored: Stored, where: str) -> tuple[Entry, Stored]:
        records = {key: value for key, value in self.records.items() if value}

        def number(key: str, plain: int) -> int:
            return _decimal(records[key], where) if key in records else plain

        entry = replace(
            entry,
            name=self.name or records.get("path", entry.name),
            linkname=self.linkname or records.get("linkpath", entry.linkname),
            uid=number("uid", entry.uid),
            gid=number("gid", entry.gid),
            size=number("size", entry.size),
        )
        if entry.size < 0:
            raise _malformed(where, "a negative size")
        if entry.kind == "\0":
            entry = replace(entry, kind=Kind.DIRECTORY if entry.name.endswith(b"/") else Kind.FILE)
        if entry.kind == "S" or any(key.startswith(SPARSE) for key in self.records):
            raise UnsafeArchiveError("holds a sparse file, which is not supported", where=where)
        formats = self.formats
        if Format.USTAR in formats and Format.PAX in formats:
            formats = Format.USTAR
        return entry, Stored(
            formats=formats,
            records=self.records,
            atime=_time(records["atime"], where) if "atime" in records else stored.atime,
            ctime=_time(records["ctime"], where) if "ctime" in records else stored.ctime,
            mtime=_time(records["mtime"], where) if "mtime" in records else stored.mtime,
            uname=records.get("uname", stored.uname),
            gname=records.get("gname", stored.gname),
        )


def _next_block(stream: _Stream) -> bytes | None:
    """Return the next header, ``None`` at the end of the archive."""
    block = stream.exactly(BLOCK, or_end=True)
    if any(block):
        return block
    if block and any(stream.exactly(BLOCK, or_end=True)):
        raise _malformed(stream.where, "a header after its end")
    return None


def _header(block: bytes, where: str) -> tuple[Entry, Stored]:
    sums = (sum(block), sum(each - 256 if each >= _TOP_BIT else each for each in block))
    field_sum = block[148:156]
    spaces = 8 * ord(" ")
    signed = sum(each - 256 if each >= _TOP_BIT else each for each in field_sum)
    if _number(field_sum, where) not in {sums[0] - sum(field_sum) + spaces, sums[1] - signed + spaces}:
        raise _malformed(where, "a header whose checksum is wrong")
    entry = Entry(
        name=_text(block[0:100]),
        kind=chr(block[156]),
        mode=_number(block[100:108], where),
        uid=_number(block[108:116], where),
        gid=_number(block[116:124], where),
        size=_number(block[124:136], where),
        linkname=_text(block[157:257]),
    )
    original = Stored(mtime=_number(block[136:148], where) * _NANO)
    magic = block[257:265]
    if magic[:6] != b"ustar\x00" and magic != b"ustar  \x00":
        return entry, original
    original = replace(original, uname=_text(block[265:297]), gname=_text(block[297:329]))
    entry = replace(entry, devmajor=_number(block[329:337], where), devminor=_number(block[337:345], where))
    if magic == b"ustar  \x00":
        return _gnu(entry, original, block, where)
    is_star = block[508:512] == b"tar\x00"
    entry = _prefixed(entry, block[345:476] if is_star else block[345:500])
    ends = (107, 115, 123, 135, 147, 336, 344)
    strict = block.isascii() and not any(block[each] for each in ends) and not is_star
    return entry, replace(original, formats=Format.USTAR | Format.PAX if strict else Format(0))


def _gnu(entry: Entry, original: Stored, block: bytes, where: str) -> tuple[Entry, Stored]:
    try:
        times = [_number(each, where) * _NANO if each[0] else None for each in (block[345:357], block[357:369])]
    except UnsafeArchiveError:
        # Old versions of Go's writer put a prefix there.
        prefix = block[345:500]
        return (_prefixed(entry, prefix) if _text(prefix).isascii() else entry), original
    return entry, replace(original, formats=Format.GNU, atime=times[0], ctime=times[1])


def _prefixed(entry: Entry, prefix: bytes) -> Entry:
    text = _text(prefix)
    return replace(entry, name=text + b"/" + entry.name) if text else entry


def _records(data: bytes, where: str) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        # A block may have a hundred thousand of them: what follows a record is not looked at for its sake.
        digits = data[at : at + _LONGEST_NUMBER + 1].partition(b" ")[0]
        length = _decimal(digits, where)
        record = data[at : at + max(length, 0)]
        if not _MIN_RECORD <= length == len(record) or length <= len(digits) + 1 or not record.endswith(b"\n"):
            raise _malformed(where, "a PAX record of a wrong length")
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        text = key.decode("utf-8", "surrogateescape")
        if not equals or not valid_record(text, value):
            raise _malformed(where, "a malformed PAX record")
        records[text] = value
        at += length
    return records


def _text(data: bytes) -> bytes:
    return data.partition(b"\x00")[0]


def _number(data: bytes, where: str) -> int:
    """Read a number in octal, or in GNU's binary form."""
    if data[0] & _TOP_BIT:
        first = data[0] & 0x7F
        negative = bool(data[0] & _SEVENTH_BIT)
        number = int.from_bytes(bytes([first]) + data[1:], "big")
        if negative:
            number -= 1 << (8 * len(data) - 1)
        if number not in _INT64:
            raise _malformed(where, "a number out of range")
        return number
    digits = _text(data.strip(b" \x00"))
    if not digits:
        return 0
    if not _OCTAL.match(digits):
        raise _malformed(where, "a number that is not octal")
    return int(digits, 8)


def _decimal(data: bytes, where: str) -> int:
    if len(data) > _LONGEST_NUMBER or not _DECIMAL.match(data) or int(data) not in _INT64:
        raise _malformed(where, "a malformed number")
    return int(data)


def _time(data: bytes, where: str) -> int:
    """Read a PAX time as nanoseconds."""
    match = _TIME.match(data)
    if match is None or len(match[1]) > _LONGEST_NUMBER:
        raise _malformed(where, "a malformed time")
    fraction = int((match[2] or b"")[:_NANO_DIGITS].ljust(_NANO_DIGITS, b"0"))
    seconds = int(match[1]) * _NANO
    return seconds - fraction if match[1].startswith(b"-") else seconds + fraction


def _malformed(where: str, what: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(f"is not a valid tar: it has {what}", where=where)
