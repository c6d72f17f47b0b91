"""From the name of a distributed cache to its repository, and to the way in which builders agree there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.deciding_registry import DecidingRegistryLog
from lifecycle.cache.distributed.etcd_lock import EtcdLockedLog
from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.registry_repository import RegistryRepository
from lifecycle.cache.distributed.signed_repository import SignedRepository
from lifecycle.cache.specification import is_path
from lifecycle.errors import InvalidInputError
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cache.distributed.repository import KeptRepository, Repository
    from lifecycle.cache.distributed.signing import SigningKey, TrustedKey
    from lifecycle.cache.specification import CacheSpec
    from lifecycle.images.registry.client import RegistryClient


def open_repository(spec: CacheSpec, client: Callable[[], RegistryClient]) -> Repository:
    """Return the registry's repository or the directory that a cache names; raise as ``keys_of``."""
    repository = open_unsigned(spec, client)
    signer, trusted = keys_of(spec)
    return SignedRepository(repository, signer, trusted) if signer or trusted else repository


def keys_of(spec: CacheSpec) -> tuple[SigningKey | None, tuple[TrustedKey, ...]]:
    """Return the key that signs records, and those that may have; raise ``InvalidInputError``.

    Each file is read once: a phase that becomes another user asks first while it may read everything.
    """
    private, public = spec.get("sign-key"), tuple(each for each in spec.get("verify-key").split(":") if each)
    if not (private or public):
        return None, ()
    try:
        from lifecycle.cache.distributed import signing  # noqa: PLC0415  # its library is an extra
    except ImportError as error:
        raise InvalidInputError(
            "signatures of caches need the library cryptography",
            remedy="install it: pip install 'cnb-lifecycle[signatures]'",
        ) from error
    signer = signing.read_signing_key(Path(private).absolute()) if private else None
    return signer, signing.read_trusted_keys(tuple(Path(each).absolute() for each in public))


def open_unsigned(spec: CacheSpec, client: Callable[[], RegistryClient]) -> KeptRepository:
    """Return it for who collects it, whoever has signed what."""
    repository: FileRepository | RegistryRepository
    if is_path(spec.get("ref")):
        repository = FileRepository(Path(spec.get("ref")).absolute())
    else:
        location = parse_reference(spec.get("ref"))
        registry = client()
        names = FileLog(Path(spec.get("path")).absolute()) if spec.get("sync") == "file" else None
        repository = RegistryRepository(registry, location, names)
        if spec.get("sync") == "cas":
            repository.log = DecidingRegistryLog(repository.tags, registry, location)
    if spec.get("sync") == "lock":
        repository.log = EtcdLockedLog(repository.log, spec.get("url"), repository.name.strip("/"))
    return repository
