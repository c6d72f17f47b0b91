"""Content digests.  Spec: OCI image-spec descriptor.md "Digests"."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NewType

from lifecycle.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits, of the bytes as they are stored or sent (compressed)."""

DiffId = NewType("DiffId", str)
"""The same form, of the uncompressed tar of a layer."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_digest(text: str) -> bool:
    """Say whether ``text`` is a sha256 digest in canonical form."""
    return _DIGEST.match(text) is not None


def digest_of(data: bytes) -> Digest:
    """Return the digest of ``data``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def verified(chunks: Iterable[bytes], *, digest: str, size: int | None, where: str) -> Iterator[bytes]:
    """Pass ``chunks`` on and raise ``VerificationError`` where they can't be ``digest`` of ``size`` bytes.

    An excess is noticed at once, so a stream never yields more than ``size`` bytes; a wrong digest or too few
    bytes are noticed at the end: consumers publish nothing before the iterator is exhausted.
    """
    hasher = hashlib.sha256()
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if size is not None and seen > size:
            raise VerificationError(f"has more than the expected {size} bytes", where=where)
        hasher.update(chunk)
        yield chunk
    if size is not None and seen != size:
        raise VerificationError(f"ends after {seen} of {size} bytes", where=where)
    found = "sha256:" + hasher.hexdigest()
    if found != digest:
        raise VerificationError(f"has the digest {found}, expected {digest}", where=where)
