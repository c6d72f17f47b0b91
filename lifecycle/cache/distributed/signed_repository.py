"""Records that are signed before anybody may vote for them, and believed if somebody trusted has signed them.

The signature of a record V by a key is the tag ``s.V43.KEY``, whose manifest carries it.  What a signature covers is
the digest of the record, which names its key and all blobs: whoever signs answers for these outputs of these inputs.
A record without a signature that counts is like one that is broken: a miss for who reads, a generation to be closed
for who publishes.
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lifecycle.cache.distributed.registry_log import EMPTY_BLOB, EMPTY_DATA, NAME_ANNOTATION
from lifecycle.cache.distributed.tags import Signed
from lifecycle.errors import CacheError, CorruptImageError, ImageError, RegistryBusyError, UnsignedRecordError
from lifecycle.oci.digest import Digest, digest_of
from lifecycle.oci.manifest import OCI_MANIFEST, Descriptor, Manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.signing import SigningKey, TrustedKey
    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.errors import LifecycleError

_SIGNATURE: Final = "io.github.cnb-lifecycle.cache.signature"


class SignedRepository:
    """``repository`` with records that are signed by ``signer``, and must be by one of ``trusted`` if there are any."""

    def __init__(self, repository: Repository, signer: SigningKey | None, trusted: tuple[TrustedKey, ...]) -> None:
        self._repository = repository
        self._signer = signer
        self._trusted = (*trusted, signer.public) if signer is not None and trusted else trusted

    @property
    def name(self) -> str:
        """That of the repository."""
        return self._repository.name

    @property
    def log(self) -> KeptLog:
        """That of the repository."""
        return self._repository.log

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is there."""
        return self._repository.has_blob(blob)

    def put_blob(self, blob: Descriptor, open_chunks: Callable[[], Iterator[bytes]]) -> None:
        """Store a blob."""
        self._repository.put_blob(blob, open_chunks)

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob, verified while it is read."""
        return self._repository.blob(blob)

    def put_record(self, data: bytes) -> None:
        """Store a manifest, its tag and its signature."""
        self._repository.put_record(data)
        if self._signer is None:
            return
        record = digest_of(data)
        tag = _tag(record, self._signer.public)
        signature = base64.b64encode(self._signer.sign(record)).decode()
        if not self._repository.has_blob(EMPTY_BLOB):
            self._repository.put_blob(EMPTY_BLOB, lambda: iter((EMPTY_DATA,)))
        annotations = {NAME_ANNOTATION: tag, _SIGNATURE: signature}
        self._repository.put_tagged(tag, Manifest(OCI_MANIFEST, EMPTY_BLOB, (EMPTY_BLOB,), annotations).dumps())

    def put_manifest(self, name: str, data: bytes) -> None:
        """Store a manifest that is no record."""
        self._repository.put_manifest(name, data)

    def put_tagged(self, name: str, data: bytes) -> None:
        """Store a manifest that is found by its tag."""
        self._repository.put_tagged(name, data)

    def tagged(self, name: str) -> bytes | None:
        """Return a manifest by its tag."""
        return self._repository.tagged(name)

    def record(self, digest: Digest) -> bytes | None:
        """Return a manifest; raise ``UnsignedRecordError`` if nobody trusted has signed it.

        Where a signature can't be had now and no other counts, what the repository raises: the record may be good.
        """
        data = self._repository.record(digest)
        if data is None or not self._trusted:
            return data
        found: list[bool | None] = []
        failed: list[LifecycleError] = []
        for key in self._trusted:
            try:
                found.append(self._found(key, digest))
            except (CacheError, ImageError) as error:
                failed.append(error)
            else:
                if found[-1]:
                    return data
        if failed:
            raise next((each for each in failed if not isinstance(each, UnsignedRecordError)), failed[0])
        wrong = any(each is False for each in found)
        raise UnsignedRecordError(
            "has a signature that is wrong" if wrong else "has no signature by a key that is trusted here",
            where=f"{self.name}@{digest}",
        )

    def _found(self, key: TrustedKey, digest: Digest) -> bool | None:
        """Say whether a record is signed by a key: ``None`` if it isn't, ``False`` if the signature is wrong."""
        tag = _tag(digest, key)
        try:
            data = self._repository.tagged(tag)
            if data is None:
                return None
            annotations = read_manifest(data, where=f"{self.name}:{tag}").annotations
            return key.has_signed(base64.b64decode(annotations.get(_SIGNATURE, ""), validate=True), digest)
        except (CorruptImageError, binascii.Error):
            return False
        except RegistryBusyError as error:
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            # So answers a registry whose crash left the tag half-written.
            raise UnsignedRecordError(
                f"has a signature that can't be had: {error}", where=f"{self.name}@{digest}"
            ) from error


def _tag(record: Digest, key: TrustedKey) -> str:
    return Signed(record, key.name).name
