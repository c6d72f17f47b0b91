"""As much of the ELF format as the distribution needs: which libraries a library needs, and a file without its symbols.

Source: System V ABI, "Object Files" and "Dynamic Linking"; little-endian 64-bit only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lifecycle.errors import DistributionError

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_LOAD, _DYNAMIC_SEGMENT = 1, 2
_NEEDED, _STRINGS, _SONAME = 1, 5, 14
_SECTIONS_OFFSET = 0x28
_SECTIONS_COUNT = 0x3C


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def needed_libraries(content: bytes, *, where: str) -> tuple[str, ...]:
    """Return the names of the libraries that ``content`` is linked with; raises ``DistributionError``."""
    return _names(content, _NEEDED, where)


def soname(content: bytes, *, where: str) -> str:
    """Return the name that a library gives itself, ``""`` for none; raises ``DistributionError``."""
    return next(iter(_names(content, _SONAME, where)), "")


def without_sections(content: bytes, *, where: str) -> bytes:
    """Return ``content`` up to the end of what is loaded: symbols and debugging data lie behind it.

    Raises ``DistributionError``.
    """
    segments = _segments(content, where)
    end = max((each.offset + each.size for each in segments), default=0)
    shorter = bytearray(content[:end])
    struct.pack_into("<Q", shorter, _SECTIONS_OFFSET, 0)
    struct.pack_into("<HHH", shorter, _SECTIONS_COUNT - 2, 0, 0, 0)
    return bytes(shorter)


def _segments(content: bytes, where: str) -> list[_Segment]:
    if len(content) < _HEADER.size or content[:6] != b"\x7fELF\x02\x01":
        raise DistributionError("is no 64-bit little-endian ELF file", where=where)
    _, _, _, _, _, programs, _, _, _, entry_size, count, *_ = _HEADER.unpack_from(content)
    found = []
    for number in range(count):
        kind, _, offset, address, _, size, _, _ = _PROGRAM.unpack_from(content, programs + number * entry_size)
        found.append(_Segment(kind, offset, address, size))
    return found


def _names(content: bytes, tag: int, where: str) -> tuple[str, ...]:
    segments = _segments(content, where)
    dynamic = next((each for each in segments if each.kind == _DYNAMIC_SEGMENT), None)
    if dynamic is None:
        return ()
    entries = list(_DYNAMIC.iter_unpack(content[dynamic.offset : dynamic.offset + dynamic.size // 16 * 16]))
    address = next((value for key, value in entries if key == _STRINGS), None)
    home = next(
        (
            each
            for each in segments
            if each.kind == _LOAD and address is not None and each.address <= address < each.address + each.size
        ),
        None,
    )
    if address is None or home is None:
        raise DistributionError("has no table of names", where=where)
    strings = home.offset + address - home.address
    return tuple(
        content[strings + value : content.index(0, strings + value)].decode() for key, value in entries if key == tag
    )
