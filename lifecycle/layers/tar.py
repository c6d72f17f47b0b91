"""Tar headers, byte for byte as the reference writes them.

A header is written in the first of USTAR, PAX and GNU that can hold it, and with one constant time.
Reference: Go's archive/tar.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BLOCK = 512
TRAILER = bytes(2 * BLOCK)

MTIME = 315532801
"""1980-01-01T00:00:01Z, in seconds: the time of every entry."""

MAX_RECORDS = 1 << 20
"""Bytes of a PAX block or a long name, beyond which no reader takes it."""

SPARSE = "GNU.sparse."
_FIELD_KEYS = frozenset(("path", "linkpath", "uname", "gname", "uid", "gid", "size", "mtime", "atime", "ctime"))

_NAME_SIZE = 100
_PREFIX_SIZE = 155
_ASCII_END = 0x80
_LONG_LINK = b"././@LongLink"
_USTAR_MAGIC = b"ustar\x0000"
_GNU_MAGIC = b"ustar  \x00"
_NANO = 1_000_000_000


class Kind(StrEnum):
    """What an entry is: the type flags that the lifecycle writes or understands."""

    FILE = "0"
    HARD_LINK = "1"
    SYMLINK = "2"
    CHARACTER_DEVICE = "3"
    BLOCK_DEVICE = "4"
    DIRECTORY = "5"
    FIFO = "6"


HEADER_ONLY = frozenset(Kind) - {Kind.FILE}
"""What has no content, whatever its size says."""

_NO_TRAILING_SLASH = (Kind.FILE, Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE, Kind.FIFO)


class Format(Flag):
    """The formats of a header."""

    USTAR = auto()
    PAX = auto()
    GNU = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a tar.

    ``name`` and ``linkname`` are raw bytes; ``kind`` is a ``Kind`` or, in what was read, any other type flag;
    ``size`` is that of a file's content.
    """

    name: bytes
    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    linkname: bytes = b""
    devmajor: int = 0
    devminor: int = 0

    @property
    def content_size(self) -> int:
        """The size of the content in the archive."""
        return 0 if self.kind in HEADER_ONLY else self.size


@dataclass(frozen=True, slots=True)
class Stored:
    """What a header that was read says beyond its entry, which limits how it may be written again.

    ``formats`` is empty where the original was none of the three; times are in nanoseconds.  What is written again
    gets the constant time and no owners' names: ``mtime``, ``uname`` and ``gname`` only tell of the original.
    """

    formats: Format = field(default_factory=lambda: Format(0))
    records: Mapping[str, bytes] = field(default_factory=dict)
    atime: int | None = None
    ctime: int | None = None
    mtime: int = 0
    uname: bytes = b""
    gname: bytes = b""


NEW = Stored()


def padding(size: int) -> bytes:
    """Return the zeros between content of ``size`` bytes and the next header."""
    return bytes(-size % BLOCK)


def header(entry: Entry, stored: Stored = NEW) -> bytes:
    """Return the blocks before the content of an entry.

    Raises ``ExportError`` where no format can hold it.
    """
    if entry.kind in _NO_TRAILING_SLASH and entry.name.endswith(b"/"):
        raise _unwritable(entry, "its name ends in a slash but it is no directory")
    if not stored.formats:
        stored = Stored(records=stored.records)
    formats, records = _choices(entry, stored)
    if Format.USTAR in formats:
        name, prefix = split_name(entry.name) or (entry.name, b"")
        return _block(entry, name, entry.linkname, _octal, magic=_USTAR_MAGIC, prefix=prefix)
    if Format.PAX in formats:
        return _pax_block(entry, records) + _block(
            entry, _ascii(entry.name), _ascii(entry.linkname), _octal, magic=_USTAR_MAGIC
        )
    if Format.GNU in formats:
        return _gnu(entry, stored)
    raise _unwritable(entry, "no format of tar can hold its header")


def split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """Return a long name as the fields name and prefix of USTAR; ``None`` if it is short or can't be split.

    The prefix is as long as possible.
    """
    if len(name) <= _NAME_SIZE or not _plain(name):
        return None
    reach = min(len(name), _PREFIX_SIZE + 1)
    if len(name) <= _PREFIX_SIZE + 1 and name.endswith(b"/"):
        reach -= 1
    slash = name.rfind(b"/", 0, reach)
    rest = name[slash + 1 :]
    if slash <= 0 or slash > _PREFIX_SIZE or not rest or len(rest) > _NAME_SIZE:
        return None
    return rest, name[:slash]


def format_time(nanoseconds: int) -> bytes:
    """Return a time as PAX writes it: seconds, and a fraction if there is one, without zeros at its end."""
    seconds, fraction = divmod(abs(nanoseconds), _NANO)
    text = f"{seconds}.{fraction:09}".rstrip("0").rstrip(".") if fraction else str(seconds)
    return (("-" if nanoseconds < 0 else "") + text).encode()


def _choices(entry: Entry, stored: Stored) -> tuple[Format, dict[str, bytes]]:
    """Return the formats that can hold an entry, and the PAX records that it would need."""
    formats = Format.USTAR | Format.PAX | Format.GNU
    records: dict[str, bytes] = {}
    for excluded, needed in (*_texts(entry), *_numbers(entry), *_times(stored)):
        formats &= ~excluded
        records |= needed
    for key, value in _unchanged(entry).items():
        if stored.records.get(key) == value:
            records[key] = value
    for key, value in stored.records.items():
        if key not in _FIELD_KEYS and not key.startswith(SPARSE):
            records[key] = value
    if stored.records:
        formats &= Format.PAX
    if not all(valid_record(key, value) for key, value in records.items()):
        return Format(0), records
    if stored.formats:
        plain_too = Format.PAX in stored.formats and stored.atime is None and stored.ctime is None
        formats &= stored.formats | (Format.USTAR if plain_too else Format(0))
    return formats, records


def _texts(entry: Entry) -> Iterator[tuple[Format, dict[str, bytes]]]:
    for key, text in (("path", entry.name), ("linkpath", entry.linkname)):
        excluded = Format.GNU if b"\x00" in text else Format(0)
        if len(text) <= _NAME_SIZE and _plain(text):
            yield excluded, {}
        elif key == "path" and split_name(text):
            yield excluded, {key: text}
        else:
            yield excluded | Format.USTAR, {key: text}


def _numbers(entry: Entry) -> Iterator[tuple[Format, dict[str, bytes]]]:
    for key, number, width in (
        ("", entry.mode, 8),
        ("uid", entry.uid, 8),
        ("gid", entry.gid, 8),
        ("size", entry.size, 12),
        ("", entry.devmajor, 8),
        ("", entry.devminor, 8),
    ):
        excluded = Format(0) if _fits_binary(number, width) else Format.GNU
        if _fits_octal(number, width):
            yield excluded, {}
        elif key:
            yield excluded | Format.USTAR, {key: b"%d" % number}
        else:
            yield excluded | Format.USTAR | Format.PAX, {}


def _times(stored: Stored) -> Iterator[tuple[Format, dict[str, bytes]]]:
    for key, time in (("atime", stored.atime), ("ctime", stored.ctime)):
        if time is not None:
            yield Format.USTAR, {key: format_time(time)}


def _unchanged(entry: Entry) -> dict[str, bytes]:
    """Return the records that stay, needed or not, if the original had the same."""
    numbers = {"uid": entry.uid, "gid": entry.gid, "size": entry.size, "mtime": MTIME}
    texts = {"path": entry.name, "linkpath": entry.linkname, "uname": b"", "gname": b""}
    return texts | {key: b"%d" % number for key, number in numbers.items()}


def valid_record(key: str, value: bytes) -> bool:
    """Say whether PAX can hold a record; values may be any bytes unless they stand for a field of text."""
    if not key or "=" in key:
        return False
    if key in {"path", "linkpath", "uname", "gname"}:
        return b"\x00" not in value
    return "\x00" not in key


def _pax_block(entry: Entry, records: Mapping[str, bytes]) -> bytes:
    if not records:
        return b""
    data = b"".join(_record(key.encode("utf-8", "surrogateescape"), value) for key, value in _sorted(records))
    if len(data) > MAX_RECORDS:
        raise _unwritable(entry, "its name or attributes are too long")
    directory, base = entry.name[: entry.name.rfind(b"/") + 1], entry.name[entry.name.rfind(b"/") + 1 :]
    return _raw(clean(posixpath.join(directory, b"PaxHeaders.0", base)), data, "x", _USTAR_MAGIC)


def _sorted(records: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return sorted(records.items(), key=lambda each: each[0].encode("utf-8", "surrogateescape"))


def clean(path: bytes) -> bytes:
    """Return the shortest path of the same lexical meaning.  Reference: Go's ``path.Clean``."""
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith(b"//") else normal


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``<length> <key>=<value>`` and a newline; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _gnu(entry: Entry, stored: Stored) -> bytes:
    long = b""
    for flag, text in (("L", entry.name), ("K", entry.linkname)):
        if len(text) > _NAME_SIZE:
            long += _raw(_LONG_LINK, text + b"\x00", flag, _GNU_MAGIC)
    times = b"".join(bytes(12) if time is None else _number(time // _NANO, 12) for time in (stored.atime, stored.ctime))
    return long + _block(entry, entry.name, entry.linkname, _number, magic=_GNU_MAGIC, prefix=times)


def _raw(name: bytes, data: bytes, flag: str, magic: bytes) -> bytes:
    """Return a member that describes the next one."""
    short = _ascii(name)[:_NAME_SIZE].rstrip(b"/")
    fields = (
        (0, short),
        (100, b"0000000\x00" * 3),
        (124, _octal(len(data), 12)),
        (136, _octal(0, 12)),
        (156, flag.encode()),
        (257, magic),
    )
    return _checked(fields) + data + padding(len(data))


def _block(
    entry: Entry,
    name: bytes,
    linkname: bytes,
    number: Callable[[int, int], bytes],
    *,
    magic: bytes,
    prefix: bytes = b"",
) -> bytes:
    fields = (
        (0, _cut(name)),
        (100, number(entry.mode, 8)),
        (108, number(entry.uid, 8)),
        (116, number(entry.gid, 8)),
        (124, number(entry.size, 12)),
        (136, number(MTIME, 12)),
        (156, entry.kind.encode("latin-1")),
        (157, _cut(linkname)),
        (257, magic),
        (329, number(entry.devmajor, 8)),
        (337, number(entry.devminor, 8)),
        (345, prefix),
    )
    return _checked(fields)


def _checked(fields: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a block of fields at their offsets, with its checksum."""
    block = bytearray(BLOCK)
    for offset, value in fields:
        block[offset : offset + len(value)] = value
    block[148:156] = b"        "
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)


def _octal(number: int, width: int) -> bytes:
    """Return a number in octal and a NUL; 0 for one that only a PAX record can hold."""
    return b"%0*o\x00" % (width - 1, number if _fits_octal(number, width) else 0)


def _number(number: int, width: int) -> bytes:
    """Return a number in octal if it fits, else as GNU does in binary with the top bit set."""
    if _fits_octal(number, width):
        return _octal(number, width)
    binary = bytearray(number.to_bytes(width, "big", signed=True))
    binary[0] |= 0x80
    return bytes(binary)


def _fits_octal(number: int, width: int) -> bool:
    return 0 <= number < 1 << 3 * (width - 1)


def _fits_binary(number: int, width: int) -> bool:
    limit = 1 << 8 * (width - 1)
    return -limit <= number < limit


def _plain(text: bytes) -> bool:
    return text.isascii() and b"\x00" not in text


def _ascii(text: bytes) -> bytes:
    return text if _plain(text) else bytes(each for each in text if 0 < each < _ASCII_END)


def _cut(text: bytes) -> bytes:
    """Return what fits in the field; a name that is cut after a slash ends before its last slashes."""
    cut = text[:_NAME_SIZE]
    if len(text) == len(cut) or not cut.endswith(b"/"):
        return cut
    end = len(cut[:-1].rstrip(b"/"))
    return cut[:end] + b"\x00" + cut[end + 1 :]


def _unwritable(entry: Entry, why: str) -> ExportError:
    return ExportError(f"can't be put in a layer: {why}", where=entry.name.decode(errors="backslashreplace"))
