"""The layers of an image as tars that are made while they are read.

Spec: buildpack.md "Phase #4: Export".  Reference: layers/dir.go, layers/launcher.go, archive/archive.go.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import ExportError
from lifecycle.layers.members import (
    ROOT_MODE,
    Member,
    Members,
    PathMapping,
    absolute,
    ancestors,
    made_directory,
    member_at,
    names_in,
    tar_of,
    unmapped,
)
from lifecycle.layers.slices import slice_layers
from lifecycle.layers.tar import BLOCK, TRAILER, Entry, Kind
from lifecycle.oci.digest import DiffId
from lifecycle.progress import watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lifecycle.progress import Progress

__all__ = [
    "LayerSource",
    "PathMapping",
    "WatchedLayer",
    "diff_id",
    "directory_layer",
    "expected_size",
    "launcher_layer",
    "process_types_layer",
    "slice_layers",
]

LAUNCHER = b"/cnb/lifecycle/launcher"
PROCESS_DIR = b"/cnb/process"


class LayerSource(Protocol):
    """One layer as an uncompressed tar; every call of ``chunks`` makes it anew, from what is on disk then."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar; raise ``ExportError`` for a file that can't be read or changes meanwhile."""
        ...


def diff_id(source: LayerSource) -> tuple[DiffId, int]:
    """Return the diffID of a layer and the size of its tar in bytes."""
    hasher = hashlib.sha256()
    size = 0
    for chunk in source.chunks():
        hasher.update(chunk)
        size += len(chunk)
    return DiffId("sha256:" + hasher.hexdigest()), size


def expected_size(source: LayerSource) -> int | None:
    """Return about how many bytes the tar of a layer has, ``None`` if only making it would tell.

    What a long name takes beyond its header is not counted.
    """
    match source:
        case Members():
            members: Iterable[Member] = source.members
        case _DirectoryLayer():
            members = source.members()
        case _:
            return None
    contents = (0 if member.path is None else -(-member.entry.size // BLOCK) * BLOCK for member in members)
    return sum(BLOCK + content for content in contents) + len(TRAILER)


@dataclass(frozen=True, slots=True)
class WatchedLayer:
    """Another layer, whose bytes ``progress`` hears of; ``size`` counts those of its tar, as far as that is known."""

    source: LayerSource
    progress: Progress
    _: KW_ONLY
    task: str
    size: int | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar."""
        return watched(self.source.chunks(), self.progress, task=self.task, total=self.size)


@dataclass(frozen=True, slots=True)
class _DirectoryLayer:
    path: bytes
    uid: int
    gid: int
    mapping: PathMapping

    def chunks(self) -> Iterator[bytes]:
        return tar_of(self.members())

    def members(self) -> Iterator[Member]:
        yield from ancestors(self.path, self.mapping)
        pending = [self.path]
        while pending:
            path = pending.pop()
            member = member_at(path, self.mapping.name(path), uid=self.uid, gid=self.gid)
            if member is None:
                continue
            yield member
            if member.entry.kind == Kind.DIRECTORY:
                pending += [os.path.join(path, name) for name in reversed(names_in(path))]  # bytes


def directory_layer(path: Path, *, uid: int, gid: int, mapping: PathMapping | None = None) -> LayerSource:
    """Return the layer of a directory: its ancestors, then it and all below it, owned by ``uid`` and ``gid``.

    Children follow their directory, in the order of their names' bytes.  ``path`` has to be at or below
    ``mapping.disk``.  Reference: layers/dir.go.
    """
    root = absolute(path)
    mapping = mapping or unmapped(root)
    mapping.name(root)
    return _DirectoryLayer(root, uid, gid, mapping)


def launcher_layer(launcher: Path) -> LayerSource:
    """Return the layer that holds the launcher; raise ``ExportError`` if there is none to put in."""
    try:
        path = os.fsencode(launcher.resolve(strict=True))
        found = os.stat(path)  # bytes
    except (OSError, RuntimeError) as error:
        raise ExportError(f"the launcher can't be read: {error}", where=launcher) from error
    if not stat.S_ISREG(found.st_mode):
        raise ExportError("the launcher is not a file", where=launcher)
    file = Entry(LAUNCHER, Kind.FILE, ROOT_MODE, size=found.st_size)
    return Members((made_directory(b"/cnb"), made_directory(b"/cnb/lifecycle"), Member(file, path)))


def process_types_layer(types: Sequence[str]) -> LayerSource:
    """Return the layer with a link to the launcher for each of ``types``, which can all be names of links.

    ``rules.export_plan.check_process_types`` sees to that.
    """
    links = []
    for each in types:
        name = PROCESS_DIR + b"/" + each.encode("utf-8", "surrogateescape")
        links.append(Member(Entry(name, Kind.SYMLINK, ROOT_MODE, linkname=LAUNCHER)))
    return Members((made_directory(b"/cnb"), made_directory(PROCESS_DIR), *links))
