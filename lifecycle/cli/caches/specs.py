"""The caches that a phase's inputs name; where they name none, nothing of caches is loaded to say so."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from lifecycle.errors import InvalidInputError, LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cli.inputs.settings import Settings

_SNAPSHOT: Final = "cache-snapshot.toml"


def source_specs(settings: Settings) -> tuple[CacheSpec, ...]:
    """Return the values of ``-cache-from``; raise ``InvalidInputError``."""
    if not settings.list("cache_from"):
        return ()
    from lifecycle.cache.specification import read_source

    return tuple(map(read_source, settings.list("cache_from")))


def target_specs(settings: Settings) -> tuple[CacheSpec, ...]:
    """Return the values of ``-cache-to``; raise ``InvalidInputError``, also for two that write to one place."""
    if not settings.list("cache_to"):
        return ()
    from lifecycle.cache.specification import INLINE, read_target
    from lifecycle.cache.targets.contents import TargetOptions

    specs = tuple(map(read_target, settings.list("cache_to")))
    places: dict[tuple[str, ...], CacheSpec] = {}
    for spec in specs:
        place = _place(spec)
        if place in places:
            raise InvalidInputError(f"-cache-to {spec}: {places[place]} writes there too", remedy="give it once")
        places[place] = spec
        options = TargetOptions.of(spec)
        if spec.type == INLINE and options.mode != "min":
            raise InvalidInputError(
                f"-cache-to {spec}: an image holds its launch layers only",
                remedy="use type=registry for mode=max",
            )
    return specs


def _place(spec: CacheSpec) -> tuple[str, ...]:
    """Return where a cache goes; raise ``InvalidInputError`` for a reference that has a digest or is none."""
    match spec.type:
        case "registry":
            from lifecycle.oci.reference import parse_tag

            return (spec.type, parse_tag(spec.get("ref")).name)
        case "local":
            return (spec.type, os.path.abspath(spec.get("dest")), spec.get("tag") or "latest")  # noqa: PTH100
        case _:
            return (spec.type, spec.get("ref"))


def repository_spec(settings: Settings) -> CacheSpec | None:
    """Return the value of ``-cache-repo``, ``None`` where there is none; raise ``InvalidInputError``."""
    text = settings.text("cache_repo")
    if not text:
        return None
    from lifecycle.cache.specification import read_repository

    return read_repository(text)


def shared_specs(settings: Settings) -> tuple[CacheSpec, ...]:
    """Return that value as a list of none or one."""
    found = repository_spec(settings)
    return () if found is None else (found,)


def insecure_names(specs: Iterable[CacheSpec]) -> tuple[str, ...]:
    """Return the names that may be reached without TLS because a cache says ``registry.insecure``."""
    return tuple(spec.get("ref") for spec in specs if spec.enabled("registry.insecure", default=False))


def snapshot_path(settings: Settings) -> Path:
    """Return the file in which the restorer tells the exporter what it found in caches."""
    return settings.path("layers") / _SNAPSHOT


def cache_names(settings: Settings) -> Iterator[str]:
    """Yield the names in registries that the caches of a phase are read from."""
    with contextlib.suppress(LifecycleError):
        yield from (spec.get("ref") for spec in source_specs(settings))
    path = snapshot_path(settings)
    if not os.path.lexists(path):
        return
    from lifecycle.files.codec import load
    from lifecycle.model.cache_report import CacheSnapshot

    with contextlib.suppress(LifecycleError):
        snapshot = load(CacheSnapshot, path, missing_ok=True) or CacheSnapshot()
        yield from (row.name for row in snapshot.cache.source)
