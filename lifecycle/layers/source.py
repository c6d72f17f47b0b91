"""The layers of an image as tars that are made while they are read.

Spec: buildpack.md "Phase #4: Export", "Slices".  Reference: layers/, archive/.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import ExportError
from lifecycle.layers.match import compiled
from lifecycle.layers.tar import TRAILER, Entry, EntryType, header, padding, permission_bits
from lifecycle.oci.digest import DiffId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 1 << 18
_TYPE_SEPARATORS = frozenset("/><:|&\\")

LAUNCHER = "/cnb/lifecycle/launcher"
PROCESS_DIR = "/cnb/process"


class LayerSource(Protocol):
    """One layer as an uncompressed tar; every call of ``chunks`` makes the same bytes anew."""

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


@dataclass(frozen=True, slots=True)
class PathMapping:
    """Where a directory on disk is in the image.

    ``normalise_ancestors`` records the directories above a layer as root's with mode 0755 instead of as they are, so
    that a layer doesn't tell where it was built.
    """

    disk: Path
    image: PurePosixPath
    normalise_ancestors: bool = False

    def name(self, path: bytes) -> bytes:
        """Return the absolute name in the image of an absolute path at or below ``disk``."""
        disk, image = os.fsencode(self.disk), os.fsencode(self.image)
        if path == disk:
            return image
        if path.startswith(disk.rstrip(b"/") + b"/"):
            return image.rstrip(b"/") + path[len(disk.rstrip(b"/")) :]
        return path

    def path(self, name: bytes) -> bytes:
        """Return the path on disk of an absolute name in the image: the inverse of ``name``."""
        return PathMapping(Path(os.fsdecode(os.fsencode(self.image))), PurePosixPath(self.disk)).name(name)


@dataclass(frozen=True, slots=True)
class _Member:
    """A header and the file whose content follows it."""

    entry: Entry
    path: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Tree:
    """The tar of a directory: its ancestors, then the directory and all below it in depth-first order."""

    root: bytes
    uid: int
    gid: int
    mapping: PathMapping

    def chunks(self) -> Iterator[bytes]:
        yield from _tar(self._members())

    def _members(self) -> Iterator[_Member]:
        yield from _ancestors(self.root, self.mapping)
        yield from self._walk(self.root)

    def _walk(self, path: bytes) -> Iterator[_Member]:
        pending = [path]
        while pending:
            current = pending.pop()
            member = _owned(current, self.uid, self.gid, self.mapping)
            if member is None:
                continue
            yield member
            if member.entry.type is EntryType.DIRECTORY:
                pending += [os.path.join(current, name) for name in sorted(_names(current), reverse=True)]


@dataclass(frozen=True, slots=True)
class _Listed:
    """The tar of chosen paths below a directory, sorted by their full names."""

    root: bytes
    paths: tuple[bytes, ...]
    uid: int
    gid: int
    mapping: PathMapping

    def chunks(self) -> Iterator[bytes]:
        yield from _tar(self._members())

    def _members(self) -> Iterator[_Member]:
        if not self.paths:
            return
        yield from _ancestors(self.root, self.mapping)
        for path in self.paths:
            member = _owned(path, self.uid, self.gid, self.mapping)
            if member is not None:
                yield member


@dataclass(frozen=True, slots=True)
class _Made:
    """A tar of given headers."""

    members: tuple[_Member, ...]

    def chunks(self) -> Iterator[bytes]:
        yield from _tar(iter(self.members))


def directory_layer(path: Path, *, uid: int, gid: int, mapping: PathMapping | None = None) -> LayerSource:
    """Return the layer of a directory; it and all below belong to ``uid`` and ``gid``."""
    absolute = Path(os.path.abspath(path))
    return _Tree(os.fsencode(absolute), uid, gid, mapping or PathMapping(absolute, PurePosixPath(absolute)))


def slice_layers(
    app_dir: Path,
    patterns: Sequence[Sequence[str]],
    *,
    uid: int,
    gid: int,
    mapping: PathMapping | None = None,
) -> list[LayerSource]:
    """Return one layer for each slice of the app and one for what no slice took.

    Raises ``ExportError`` for a malformed pattern.  Spec: buildpack.md "Slices".
    """
    absolute = Path(os.path.abspath(app_dir))
    root = os.fsencode(absolute)
    used = mapping or PathMapping(absolute, PurePosixPath(absolute))
    tree = _AppTree(root)
    layers: list[LayerSource] = [_Listed(root, tuple(sorted(tree.take(globs))), uid, gid, used) for globs in patterns]
    return [*layers, _Listed(root, tuple(sorted(tree.remainder())), uid, gid, used)]


class _AppTree:
    """The paths of an app, and which of them a slice has taken."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._children: dict[bytes, list[bytes]] = {}
        self._list(root)
        self._taken: set[bytes] = set()

    def _list(self, root: bytes) -> None:
        pending = [root]
        while pending:
            directory = pending.pop()
            if not stat.S_ISDIR(_lstat(directory).st_mode):
                continue
            self._children[directory] = [os.path.join(directory, name) for name in _names(directory)]
            pending += self._children[directory]

    def _all(self, path: bytes) -> Iterator[bytes]:
        pending = [path]
        while pending:
            current = pending.pop()
            yield current
            pending += self._children.get(current, ())

    def take(self, globs: Sequence[str]) -> set[bytes]:
        """Take what matches and return it with the ancestors that it needs."""
        expressions = [compiled(posixpath.normpath(os.fsencode(glob))) for glob in globs]
        chosen: set[bytes] = set()
        for path in self._all(self._root):
            relative = os.path.relpath(path, self._root)
            if path != self._root and any(each.match(relative) for each in expressions):
                chosen.update(below for below in self._all(path) if below not in self._taken)
        self._taken |= chosen
        needed = {parent for path in chosen for parent in self._parents(path)}
        for parent in sorted(needed, key=len, reverse=True):
            if all(child in self._taken for child in self._children[parent]):
                self._taken.add(parent)
        return chosen | needed

    def _parents(self, path: bytes) -> Iterator[bytes]:
        while path != self._root:
            path = posixpath.dirname(path)
            yield path

    def remainder(self) -> list[bytes]:
        """Return what no slice took."""
        return [path for path in self._all(self._root) if path not in self._taken]


def launcher_layer(launcher: Path) -> LayerSource:
    """Return the layer that holds the launcher; raise ``ExportError`` if there is none to put in."""
    try:
        size = launcher.stat().st_size
    except OSError as error:
        raise ExportError(f"the launcher can't be read: {error.strerror}", where=launcher) from error
    file = Entry(LAUNCHER.encode(), EntryType.FILE, 0o755, size=size)
    return _Made(
        (_made_directory("/cnb"), _made_directory("/cnb/lifecycle"), _Member(file, os.fsencode(launcher.resolve())))
    )


def process_types_layer(types: Sequence[str]) -> LayerSource:
    """Return the layer with a link to the launcher for each process type; raise ``ExportError`` for a bad type."""
    links = []
    for each in types:
        if not each:
            raise ExportError("type is required for all processes")
        if not _TYPE_SEPARATORS.isdisjoint(each):
            raise ExportError(f"invalid process type '{each}': type may not contain characters '/><:|&\\'")
        name = f"{PROCESS_DIR}/{each}".encode("utf-8", "surrogateescape")
        links.append(_Member(Entry(name, EntryType.SYMLINK, 0o755, linkname=LAUNCHER.encode())))
    return _Made((_made_directory("/cnb"), _made_directory(PROCESS_DIR), *links))


def _made_directory(name: str) -> _Member:
    return _Member(Entry(name.encode(), EntryType.DIRECTORY, 0o755))


def _ancestors(path: bytes, mapping: PathMapping) -> Iterator[_Member]:
    """Yield the directories above ``path`` as the image has them, outermost first."""
    name = mapping.name(path)
    parts = name.split(b"/")[1:-1]
    for count in range(1, len(parts) + 1):
        ancestor = b"/" + b"/".join(parts[:count])
        if mapping.normalise_ancestors:
            yield _Member(Entry(ancestor, EntryType.DIRECTORY, 0o755))
            continue
        try:
            found = os.stat(mapping.path(ancestor))
        except OSError as error:
            raise ExportError(f"can't be read: {error.strerror}", where=os.fsdecode(ancestor)) from error
        yield _Member(
            Entry(ancestor, EntryType.DIRECTORY, permission_bits(found.st_mode), uid=found.st_uid, gid=found.st_gid)
        )


def _owned(path: bytes, uid: int, gid: int, mapping: PathMapping) -> _Member | None:
    member = _member(path, mapping.name(path))
    return None if member is None else replace(member, entry=replace(member.entry, uid=uid, gid=gid))


def _member(path: bytes, name: bytes) -> _Member | None:
    """Return the header for what is at ``path``; ``None`` for a socket, which no tar can hold."""
    found = _lstat(path)
    mode = permission_bits(found.st_mode)
    device = (os.major(found.st_rdev), os.minor(found.st_rdev))
    if stat.S_ISREG(found.st_mode):
        return _Member(Entry(name, EntryType.FILE, mode, size=found.st_size), path)
    if stat.S_ISDIR(found.st_mode):
        return _Member(Entry(name, EntryType.DIRECTORY, mode))
    if stat.S_ISLNK(found.st_mode):
        return _Member(Entry(name, EntryType.SYMLINK, mode, linkname=os.readlink(path)))
    if stat.S_ISFIFO(found.st_mode):
        return _Member(Entry(name, EntryType.FIFO, mode))
    if stat.S_ISCHR(found.st_mode):
        return _Member(Entry(name, EntryType.CHARACTER_DEVICE, mode, device=device))
    if stat.S_ISBLK(found.st_mode):
        return _Member(Entry(name, EntryType.BLOCK_DEVICE, mode, device=device))
    return None


def _lstat(path: bytes) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise ExportError(f"can't be read: {error.strerror}", where=os.fsdecode(path)) from error


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except OSError as error:
        raise ExportError(f"can't be listed: {error.strerror}", where=os.fsdecode(directory)) from error


def _tar(members: Iterator[_Member]) -> Iterator[bytes]:
    for member in members:
        yield header(member.entry)
        if member.path is not None:
            yield from _content(member.path, member.entry.size)
            yield padding(member.entry.size)
    yield TRAILER


def _content(path: bytes, size: int) -> Iterator[bytes]:
    """Yield a file, which has to have ``size`` bytes as its header says."""
    left = size
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
    except OSError as error:
        raise ExportError(f"can't be read: {error.strerror}", where=os.fsdecode(path)) from error
    if left:
        change = "grew" if left < 0 else "shrank"
        raise ExportError(
            f"{change} while it was exported", where=os.fsdecode(path), remedy="stop the process that writes it"
        )
