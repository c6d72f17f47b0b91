"""Ed25519 keys and signatures of records: the one module that knows the library for them.

The library is an extra, which nobody needs who signs nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.oci.digest import Digest

_LARGEST: Final = 1 << 16
_KEY_NAME: Final = 22
_PEM: Final = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key; ``name`` is made of it, 22 characters."""

    name: str
    key: Ed25519PublicKey

    def has_signed(self, signature: bytes, record: Digest) -> bool:
        """Say whether the signature of a record is by this key."""
        try:
            self.key.verify(signature, _message(record))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key, and the public key to it."""

    key: Ed25519PrivateKey
    public: TrustedKey

    def sign(self, record: Digest) -> bytes:
        """Return the signature of a record."""
        return self.key.sign(_message(record))


@functools.cache
def read_signing_key(path: Path) -> SigningKey:
    """Read a private key in PEM, once; raise ``InvalidInputError``, which tells nothing of the key."""
    data = _read(path)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInputError(
            "is no private Ed25519 key in PEM without a password",
            where=path,
            remedy="make one with: openssl genpkey -algorithm ed25519 -out FILE",
        )
    return SigningKey(key, _trusted(key.public_key()))


@functools.cache
def read_trusted_keys(paths: tuple[Path, ...]) -> tuple[TrustedKey, ...]:
    """Read the public keys in PEM of several files, one or more in each, once; raise ``InvalidInputError``."""
    found = []
    for path in paths:
        blocks = _PEM.findall(_read(path))
        for block in blocks or [b""]:
            try:
                key = serialization.load_pem_public_key(block)
            except (ValueError, UnsupportedAlgorithm):
                key = None
            if not isinstance(key, Ed25519PublicKey):
                raise InvalidInputError(
                    "holds something else than public Ed25519 keys in PEM",
                    where=path,
                    remedy="make one with: openssl pkey -in PRIVATE -pubout -out FILE",
                )
            found.append(_trusted(key))
    return tuple(found)


def _trusted(key: Ed25519PublicKey) -> TrustedKey:
    digest = hashlib.sha256(key.public_bytes_raw()).digest()
    return TrustedKey(base64.urlsafe_b64encode(digest).decode()[:_KEY_NAME], key)


def _message(record: Digest) -> bytes:
    return f"cnb-cache-record/v1\n{record}".encode()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise InvalidInputError(
            f"can't be read: {error.strerror}", where=path, remedy="correct the key's path"
        ) from error
