"""What a person wants to know of a certificate, read from its DER.

The standard library shows only certificates that it trusts, and the others are those that need explaining.
Source: RFC 5280 "Certificate", "Name", "Validity"; ITU-T X.690.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_SEQUENCE, _VERSION = 0x30, 0xA0
_LONG_FORM = 0x80
_UTF16_BE, _LATIN_1 = 0x1E, 0x14
_ATTRIBUTES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU"}
"""The parts of a name by which people know its bearer: 2.5.4.3, 2.5.4.10, 2.5.4.11."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whom a certificate is for, who issued it, and until when it is valid."""

    subject: str
    issuer: str
    expires: datetime


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate; raise ``ValueError`` if it is none."""
    certificate = _contents(der, _SEQUENCE)
    fields = [*_elements(_contents(certificate, _SEQUENCE))]
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    match fields:
        case [(0x02, _), (0x30, _), (0x30, issuer), (0x30, validity), (0x30, subject), *_]:
            _, (kind, expires) = _elements(validity)
            return Certificate(_name(subject), _name(issuer), _time(kind, expires))
        case _:
            raise ValueError("is not a certificate")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and contents of each element."""
    position = 0
    while position < len(data):
        tag, length = data[position], _byte(data, position + 1)
        position += 2
        if length >= _LONG_FORM:
            count = length - _LONG_FORM
            length = int.from_bytes(data[position : position + count])
            position += count
        if position + length > len(data):
            raise ValueError("ends too early")
        yield tag, data[position : position + length]
        position += length


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise ValueError("ends too early")
    return data[position]


def _contents(data: bytes, tag: int) -> bytes:
    """Return the contents of the first element, which has to be of the kind ``tag``."""
    found = next(_elements(data), None)
    if found is None or found[0] != tag:
        raise ValueError("is not a certificate")
    return found[1]


def _name(data: bytes) -> str:
    parts = []
    for _, group in _elements(data):
        for _, pair in _elements(group):
            (_, kind), (encoding, value) = _elements(pair)
            if kind in _ATTRIBUTES:
                parts.append(f"{_ATTRIBUTES[kind]}={_text(encoding, value)}")
    return ", ".join(sorted(parts)) or "no name"


def _text(encoding: int, value: bytes) -> str:
    codec = {_UTF16_BE: "utf-16-be", _LATIN_1: "latin-1"}.get(encoding, "utf-8")
    return "".join(char if char.isprintable() else "�" for char in value.decode(codec, errors="replace"))


def _time(kind: int, value: bytes) -> datetime:
    """Read a time, which RFC 5280 wants in UTC with seconds; two digits of a year mean 1950 to 2049."""
    text = value.decode("ascii")
    if kind == _UTC_TIME:
        text = f"{'20' if text[:2] < '50' else '19'}{text}"
    elif kind != _GENERALIZED_TIME:
        raise ValueError("has no validity")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
