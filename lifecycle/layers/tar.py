"""Tar headers, byte for byte as the reference writes them.

A header is USTAR where that can hold it, else PAX, else (device numbers) GNU.  All times are one constant.
Reference: Go's archive/tar without an explicit format.
"""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass
from enum import Enum

BLOCK = 512
TRAILER = bytes(2 * BLOCK)
MTIME = 315532801
"""1980-01-01T00:00:01Z, in seconds."""

_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_USTAR_MAGIC = b"ustar\x0000"
_GNU_MAGIC = b"ustar  \x00"


class EntryType(Enum):
    """What an entry is."""

    FILE = b"0"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


@dataclass(frozen=True, slots=True)
class Entry:
    """One header: ``name`` and ``linkname`` are raw bytes, ``size`` is that of a file's content."""

    name: bytes
    type: EntryType
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    linkname: bytes = b""
    device: tuple[int, int] = (0, 0)


def permission_bits(mode: int) -> int:
    """Return the bits of a file's mode that a header holds: permissions, setuid, setgid, sticky."""
    return stat.S_IMODE(mode)


def padding(size: int) -> bytes:
    """Return the zeros between the content of a file of ``size`` bytes and the next header."""
    return bytes(-size % BLOCK)


def header(entry: Entry) -> bytes:
    """Return the blocks before an entry's content: one, or three and more with a PAX header."""
    split = _split(entry.name)
    records: dict[bytes, bytes] = {}
    if split is None:
        records[b"path"] = entry.name
    if len(entry.linkname) > 100 or not entry.linkname.isascii():  # noqa: PLR2004  # the field's width
        records[b"linkpath"] = entry.linkname
    if entry.uid > _OCTAL_7:
        records[b"uid"] = b"%d" % entry.uid
    if entry.gid > _OCTAL_7:
        records[b"gid"] = b"%d" % entry.gid
    if entry.size > _OCTAL_11:
        records[b"size"] = b"%d" % entry.size
    if max(entry.device) > _OCTAL_7 and not records:
        return _block(entry, name=entry.name, prefix=b"", gnu=True)
    if not records:
        name, prefix = split or (b"", b"")
        return _block(entry, name=name, prefix=prefix)
    return _pax_header(entry, records) + _block(
        entry, name=_shortened(entry.name), prefix=b"", linkname=_shortened(entry.linkname)
    )


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return the fields name and prefix, ``None`` if USTAR can't hold ``name``."""
    if not name.isascii() or b"\x00" in name:
        return None
    if len(name) <= 100:  # noqa: PLR2004  # the field's width
        return name, b""
    length = min(len(name), 156)
    if len(name) <= 156 and name.endswith(b"/"):  # noqa: PLR2004
        length = len(name) - 1
    slash = name[:length].rfind(b"/")
    rest = len(name) - slash - 1
    if not 0 < slash <= 155 or not 0 < rest <= 100:  # noqa: PLR2004
        return None
    return name[slash + 1 :], name[:slash]


def _shortened(text: bytes) -> bytes:
    """Return what the plain field shows of a text that PAX holds whole."""
    ascii_only = bytes(byte for byte in text if byte < 0x80)  # noqa: PLR2004
    if len(ascii_only) > 100 and ascii_only[99:100] == b"/":  # noqa: PLR2004
        return ascii_only[:100].rstrip(b"/")
    return ascii_only[:100]


def _pax_header(entry: Entry, records: dict[bytes, bytes]) -> bytes:
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    name = entry.name
    directory, base = posixpath.split(name)
    full = posixpath.normpath(posixpath.join(directory, b"PaxHeaders.0", base))
    short = bytes(byte for byte in full if byte < 0x80)[:100].rstrip(b"/")  # noqa: PLR2004
    block = bytearray(BLOCK)
    block[0 : len(short)] = short
    block[100:108] = block[108:116] = block[116:124] = b"0000000\x00"
    block[124:136] = b"%011o\x00" % len(data)
    block[136:148] = b"00000000000\x00"
    block[156:157] = b"x"
    block[257:265] = _USTAR_MAGIC
    return _with_checksum(block) + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``<length> <key>=<value>`` and a newline; the length counts its own digits."""
    fixed = len(key) + len(value) + 3
    length = fixed + len(str(fixed))
    if fixed + len(str(length)) != length:
        length = fixed + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(entry: Entry, *, name: bytes, prefix: bytes, linkname: bytes | None = None, gnu: bool = False) -> bytes:
    block = bytearray(BLOCK)
    link = entry.linkname if linkname is None else linkname
    block[0 : len(name)] = name
    block[100:108] = b"%07o\x00" % entry.mode
    block[108:116] = b"%07o\x00" % (entry.uid if entry.uid <= _OCTAL_7 else 0)
    block[116:124] = b"%07o\x00" % (entry.gid if entry.gid <= _OCTAL_7 else 0)
    block[124:136] = b"%011o\x00" % (entry.size if entry.size <= _OCTAL_11 else 0)
    block[136:148] = b"%011o\x00" % MTIME
    block[156:157] = entry.type.value
    block[157 : 157 + len(link)] = link
    block[257:265] = _GNU_MAGIC if gnu else _USTAR_MAGIC
    block[329:337] = _device(entry.device[0])
    block[337:345] = _device(entry.device[1])
    block[345 : 345 + len(prefix)] = prefix
    return _with_checksum(block)


def _device(number: int) -> bytes:
    if number <= _OCTAL_7:
        return b"%07o\x00" % number
    return bytes([0x80]) + number.to_bytes(7, "big")


def _with_checksum(block: bytearray) -> bytes:
    block[148:156] = b"        "
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)
