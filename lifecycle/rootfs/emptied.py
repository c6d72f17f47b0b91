"""Directories of an image that are empty while a command runs, and then as they were."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError
from lifecycle.layers.blob import write_blob
from lifecycle.rootfs.apply import apply_layer
from lifecycle.rootfs.changes import ChangesLayer
from lifecycle.rootfs.container import is_ignored
from lifecycle.rootfs.copy import make_directory
from lifecycle.rootfs.paths import resolved
from lifecycle.rootfs.snapshot import Changes, in_order

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.layers.blob import LayerBlob
    from lifecycle.rootfs.snapshot import Snapshot
    from lifecycle.rules.extensions.run_mounts import EmptyDirectory


@dataclass(frozen=True, slots=True)
class Emptied:
    """A directory, absolute in the image, with its owner and mode and a layer of what was in it."""

    path: bytes
    status: os.stat_result
    content: LayerBlob | None


def set_aside(
    root: Path, wanted: EmptyDirectory, before: Snapshot, *, ignored: frozenset[bytes], work_dir: Path
) -> Emptied:
    """Empty a directory, or make it; ``before`` is the state of the image, and ``work_dir`` keeps what was there.

    What is ``ignored``, and so no part of the image, stays.  Raises ``ExtendError`` where that is no directory of it.
    """
    place = resolved(root, wanted.path)
    path = _path(root, place)
    if path == b"/" or is_ignored(path, ignored):
        raise ExtendError(f"nothing can be mounted at {wanted.path}: it is no directory of the image alone")
    make_directory(root, wanted.path, (0, 0))
    status = place.stat()
    below = in_order(each for each in before.states if each.startswith(path + b"/"))
    content = write_blob(ChangesLayer(root, Changes(below)), work_dir) if below else None
    _clear(root, place, ignored)
    os.chown(place, -1 if wanted.uid is None else wanted.uid, -1 if wanted.gid is None else wanted.gid)
    place.chmod(stat.S_IMODE(status.st_mode) if wanted.mode is None else wanted.mode)
    return Emptied(path, status, content)


def bring_back(root: Path, emptied: Emptied, *, ignored: frozenset[bytes]) -> None:
    """Undo ``set_aside``; raise ``ExtendError`` where a command put something else in the directory's place."""
    name = os.fsdecode(emptied.path)
    place = resolved(root, name)
    if _path(root, place) != emptied.path or not place.is_dir():
        raise ExtendError("a command replaced the directory that was mounted for it", where=name)
    _clear(root, place, ignored)
    os.chown(place, emptied.status.st_uid, emptied.status.st_gid)
    place.chmod(stat.S_IMODE(emptied.status.st_mode))
    if emptied.content is not None:
        apply_layer(emptied.content.uncompressed(), root, where=name)
        emptied.content.path.unlink()


def _clear(root: Path, directory: Path, ignored: frozenset[bytes]) -> None:
    for each in directory.iterdir():
        path = _path(root, each)
        if path in ignored:
            continue
        if not each.is_dir() or each.is_symlink():
            each.unlink()
        elif any(other.startswith(path + b"/") for other in ignored):
            _clear(root, each, ignored)
        else:
            shutil.rmtree(each)


def _path(root: Path, place: Path) -> bytes:
    return b"/" + os.fsencode(place.relative_to(root)).removeprefix(b".")
