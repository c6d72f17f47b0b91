"""From the name of a distributed cache to its repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    if is_path(spec.get("ref")):
        return FileRepository(Path(spec.get("ref")).absolute())

    return RegistryRepository(client(), parse_reference(spec.get("ref")))
