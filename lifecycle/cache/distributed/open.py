"""From the name of a distributed cache to its repository, and to the way in which builders agree there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.deciding_registry import DecidingRegistryLog
from lifecycle.cache.distributed.etcd_lock import EtcdLockedLog
from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.registry_repository import RegistryRepository
from lifecycle.cache.specification import is_path
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.specification import CacheSpec
    from lifecycle.images.registry.client import RegistryClient


def open_repository(spec: CacheSpec, client: Callable[[], RegistryClient]) -> Repository:
    """Return the registry's repository or the directory that a cache names."""
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
