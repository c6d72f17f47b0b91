"""The layers that steps of Dockerfiles made, for the next build with the same base, files and arguments.

One directory: ``steps/<key>.json`` says which layer a step made, if any, ``blobs/<hex>`` is the layer.  It is used only
if it is this user's alone, for what comes from it is put into images and onto the file system as root: whoever owns a
directory above may exchange it for one of their own, which is then no cache.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.layers.blob import LayerBlob, write_blob
from lifecycle.oci.digest import DiffId, Digest, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.layers.source import LayerSource

_LOG = logging.getLogger(__name__)
_VERSION = 1
_MAX_RECORD = 1 << 16
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BEING_WRITTEN = 3600.0
"""Seconds for which a file that nothing names may still be another build's."""


@dataclass(frozen=True, slots=True)
class MadeLayer:
    """What a step made: a layer, or nothing that differs from before."""

    blob: LayerBlob | None


@dataclass(frozen=True, slots=True)
class ExtensionCache:
    """A cache in ``directory``; entries of ``lifetime`` seconds and more are none.

    With ``keeps`` false layers are only put there to be at hand.
    """

    directory: Path
    lifetime: float
    keeps: bool = True

    def find(self, key: str) -> MadeLayer | None:
        """Return what a step made, its layer verified; ``None`` if that is not known, too old or damaged."""
        path = self._record(key)
        if not self.keeps or (record := _read(path)) is None:
            return None
        if not self._is_alive(record):
            _LOG.debug("The cached layer of step %s has expired", key)
            return None
        layer = record["layer"]
        if layer is None:
            return MadeLayer(None)
        blob = LayerBlob(
            DiffId(layer["diff_id"]),
            Digest(layer["digest"]),
            layer["size"],
            layer["uncompressed_size"],
            self._blob(layer["digest"]),
        )
        try:
            for _ in blob.chunks():
                pass
        except LifecycleError as error:
            _LOG.warning("Ignoring a cached layer of an extension: %s", error)
            return None
        return MadeLayer(blob)

    def add(self, key: str, source: LayerSource | None) -> MadeLayer:
        """Write what a step made, and return it; raise ``LifecycleError`` if the layer can't be written."""
        blob = None
        if source is not None:
            directory = self.directory / "blobs"
            directory.mkdir(exist_ok=True)
            blob = write_blob(source, directory)
        if self.keeps:
            self._save(key, blob)
        return MadeLayer(blob)

    def prune(self) -> None:
        """Remove what has expired, and layers that no step names any more."""
        named: set[str] = set()
        with contextlib.suppress(OSError):
            for path in (self.directory / "steps").iterdir():
                record = _read(path)
                if record is not None and self._is_alive(record):
                    if record["layer"]:
                        named.add(_hex(record["layer"]["digest"]))
                elif not _is_recent(path) or not path.name.startswith("."):
                    path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in (self.directory / "blobs").iterdir():
                if path.name not in named and not _is_recent(path):
                    path.unlink(missing_ok=True)

    def _is_alive(self, record: Mapping[str, Any]) -> bool:
        return 0 <= time.time() - float(record["created"]) < self.lifetime

    def _save(self, key: str, blob: LayerBlob | None) -> None:
        layer = None
        if blob is not None:
            layer = {
                "diff_id": blob.diff_id,
                "digest": blob.digest,
                "size": blob.size,
                "uncompressed_size": blob.uncompressed_size,
            }
        record = {"version": _VERSION, "created": time.time(), "layer": layer}
        try:
            write_atomic(self._record(key), json.dumps(record).encode())
        except LifecycleError as error:
            _LOG.warning("The layer of an extension can't be cached: %s", error)

    def _record(self, key: str) -> Path:
        return self.directory / "steps" / f"{key}.json"

    def _blob(self, digest: str) -> Path:
        return self.directory / "blobs" / _hex(digest)


@contextlib.contextmanager
def open_extension_cache(directory: Path, *, lifetime: float) -> Iterator[ExtensionCache | None]:
    """Open the cache, or make it; ``None`` with a warning if there can't be one.

    Its files are reached through a descriptor, so that nobody can exchange the directory meanwhile.
    """
    descriptor = _open_own(directory)
    if descriptor is None:
        yield None
        return
    try:
        cache = ExtensionCache(Path(f"/proc/self/fd/{descriptor}"), lifetime)
        yield cache
        cache.prune()
    finally:
        os.close(descriptor)


def _open_own(directory: Path) -> int | None:
    """Return a descriptor of the directory, which is this user's alone; what else is there goes."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            with contextlib.suppress(FileExistsError):
                directory.mkdir(0o700)
            descriptor = _open_directory(directory)
            if descriptor is not None:
                return descriptor
            _LOG.warning("%s is not this user's alone and is no cache for it: made anew", directory)
            shutil.rmtree(directory) if directory.is_dir() and not directory.is_symlink() else directory.unlink()
    except OSError as error:
        _LOG.warning("Steps of extensions can't be cached in %s: %s", directory, error.strerror)
    return None


def _open_directory(directory: Path) -> int | None:
    try:
        descriptor = os.open(directory, _OPEN)
    except NotADirectoryError:
        return None
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return descriptor
    os.close(descriptor)
    return None


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _is_recent(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime < _BEING_WRITTEN


def _read(path: Path) -> dict[str, Any] | None:
    """Return a record, ``None`` if there is none that can be understood."""
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(_MAX_RECORD))
    except (OSError, ValueError, RecursionError):
        return None
    if (
        not isinstance(record, dict)
        or record.get("version") != _VERSION
        or not isinstance(record.get("created"), int | float)
    ):
        return None
    layer = record.get("layer", ...)
    if layer is None:
        return record
    if not isinstance(layer, dict) or not all(is_digest(str(layer.get(key))) for key in ("diff_id", "digest")):
        return None
    if not all(isinstance(layer.get(key), int) for key in ("size", "uncompressed_size")):
        return None
    return record
