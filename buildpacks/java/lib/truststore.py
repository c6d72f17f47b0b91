"""The certificates that the system trusts, as Java reads them.

Format: JKS version 2, of which nothing but trusted certificates is needed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from typing import TYPE_CHECKING

import cnb_buildpack as bp
import system_certificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PASSWORD = "changeit"  # noqa: S105  # what every Java expects; the file holds nothing secret
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)\s-----END CERTIFICATE-----", re.DOTALL)
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_SALT = b"Mighty Aphrodite"
_CREATED = 315532800000
"""1980-01-01, in milliseconds: the same certificates make the same file."""


def bundle(env: Mapping[str, str]) -> bytes:
    """Return the certificates of SSL_CERT_FILE or of the system as PEM; raise ``BuildpackError`` if there are none."""
    path = system_certificates.bundle(env)
    if path is None:
        raise bp.BuildpackError(
            f"there are no certificates in {' or '.join(map(str, system_certificates.BUNDLES))}",
            fix="install ca-certificates in the build image, or set SSL_CERT_FILE",
        )
    return path.read_bytes()


def certificates(pem: bytes) -> list[bytes]:
    """Return the certificates of a bundle as DER, each once, in their order; ``BuildpackError`` for broken ones."""
    try:
        return list(
            dict.fromkeys(base64.b64decode(b"".join(each.split()), validate=True) for each in _PEM.findall(pem))
        )
    except binascii.Error as error:
        raise bp.BuildpackError(
            f"a certificate that the build trusts is no PEM: {error}", fix="correct SSL_CERT_FILE"
        ) from error


def truststore(certificates_der: Iterable[bytes]) -> bytes:
    """Return the file that keytool would write for these certificates."""
    entries = [
        struct.pack(">I", _TRUSTED)
        + _text(hashlib.sha256(der).hexdigest())
        + struct.pack(">Q", _CREATED)
        + _text("X.509")
        + struct.pack(">I", len(der))
        + der
        for der in certificates_der
    ]
    data = struct.pack(">III", _MAGIC, _VERSION, len(entries)) + b"".join(entries)
    # The format asks for SHA-1; it keeps no secret and proves nothing.
    return data + hashlib.sha1(PASSWORD.encode("utf-16-be") + _SALT + data, usedforsecurity=False).digest()


def _text(text: str) -> bytes:
    raw = text.encode("ascii")
    return struct.pack(">H", len(raw)) + raw
