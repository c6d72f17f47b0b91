"""What a user says of the keys of steps: the epoch, the salt of secrets, and which variables are secret.

They stand in ``-cache-repo``, or else in the first ``-cache-from`` of a cache that builders share.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lifecycle.cache.specification import DISTRIBUTED, read_repository, read_source
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cli.inputs.settings import Settings

_SHORTEST_SALT: Final = 16
_LONGEST_SALT: Final = 4096
_HAVE_KEYS_OF_STEPS: Final = (Phase.RESTORER, Phase.BUILDER, Phase.CREATOR)
_SEE_RECORDS: Final = (Phase.RESTORER, Phase.EXPORTER, Phase.CREATOR)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """``salt`` is that of the digests of secrets, ``secret_names`` are variables that count as secrets."""

    cache_version: str = ""
    salt: bytes = field(default=b"", repr=False)
    secret_names: frozenset[str] = frozenset()


def key_options(settings: Settings) -> KeyOptions:
    """Return what the caches of a phase say of keys; raise ``InvalidInputError`` for a salt that can't be used.

    The salt is read once: a phase that becomes another user asks first while it may read everything.
    """
    found = _specs(settings)
    return options_of(found[0]) if found else KeyOptions()


def read_key_files(settings: Settings) -> None:
    """Read the salt and the keys of signatures that a phase needs, while it may; raise ``InvalidInputError``."""
    if settings.phase in _HAVE_KEYS_OF_STEPS:
        key_options(settings)
    if settings.phase in _SEE_RECORDS:
        from lifecycle.cache.distributed.open import keys_of

        for spec in _specs(settings):
            keys_of(spec)


def options_of(spec: CacheSpec) -> KeyOptions:
    """Return what a cache says of keys; raises as ``key_options``."""
    salt = spec.get("salt-file")
    names = frozenset(name for name in spec.get("secret-env").split(":") if name)
    return KeyOptions(spec.get("cache-version"), _read_salt(Path(salt).absolute()) if salt else b"", names)


def _specs(settings: Settings) -> list[CacheSpec]:
    text = settings.text("cache_repo")
    found = [read_repository(text)] if text else []
    return found + [spec for spec in map(read_source, settings.list("cache_from")) if spec.type == DISTRIBUTED]


@functools.cache
def _read_salt(path: Path) -> bytes:
    """Return the bytes of a file, which are never told."""
    try:
        with path.open("rb") as file:
            salt = file.read(_LONGEST_SALT + 1).strip()
    except OSError as error:
        raise InvalidInputError(
            f"the salt-file of the cache can't be read: {error.strerror}",
            where=path,
            remedy="make it with: head -c 32 /dev/urandom | base64 > FILE",
        ) from error
    if not _SHORTEST_SALT <= len(salt) <= _LONGEST_SALT:
        raise InvalidInputError(
            f"the salt-file of the cache has {len(salt)} bytes, not {_SHORTEST_SALT} to {_LONGEST_SALT}",
            where=path,
            remedy="make it with: head -c 32 /dev/urandom | base64 > FILE",
        )
    return salt
