"""Digests of directories that depend on names and contents alone.

An entry is its name, its kind, whether its owner may execute it or where a link points, and the digest of its
contents, which for a directory is that of its entries.  Times, owners and other modes do not count.  A ``.git``
directory counts as the commit it is at and that commit's tags, because its packs differ from clone to clone.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.git_state import git_state
from lifecycle.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Container

_CHUNK = 1 << 20
_DIRECTORY, _FILE, _EXECUTABLE, _LINK, _OTHER = b"d", b"f", b"x", b"l", b"o"
_OWNER_EXECUTES = 0o100
_COMPILED = frozenset({b"__pycache__"})


@dataclass(slots=True)
class _Open:
    """A directory whose entries are being read: those left, in reverse order, and the digests of those done."""

    path: bytes
    name: bytes
    left: list[bytes]
    done: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)

    def digest(self) -> bytes:
        hasher = hashlib.sha256()
        for name, kind, content in self.done:
            hasher.update(kind + len(name).to_bytes(4, "big") + name + content)
        return hasher.digest()


def tree_digest(root: Path, *, without: Container[bytes] = ()) -> Digest:
    """Return the digest of a directory; that of an empty one if there is none.

    Entries whose name is in ``without`` do not count, at any depth.  Raises ``InvalidFileError`` for
    what can't be read.
    """
    path = os.fsencode(root)
    try:
        stack = [_Open(path, b"", _names(path))]
    except FileNotFoundError:
        return Digest("sha256:" + hashlib.sha256().hexdigest())
    except OSError as error:
        raise _unreadable(error, path) from error
    while True:
        top = stack[-1]
        if not top.left:
            stack.pop()
            if not stack:
                return Digest("sha256:" + top.digest().hex())
            stack[-1].done.append((top.name, _DIRECTORY, top.digest()))
            continue
        name = top.left.pop()
        if name in without:
            continue
        child = os.path.join(top.path, name)  # noqa: PTH118  # bytes
        try:
            found = os.lstat(child)
            if stat.S_ISDIR(found.st_mode):
                if name == b".git":
                    top.done.append((name, _OTHER, hashlib.sha256(git_state(child)).digest()))
                else:
                    stack.append(_Open(child, name, _names(child)))
                continue
            top.done.append((name, *_leaf(child, found)))
        except OSError as error:
            raise _unreadable(error, child) from error


def module_digest(root: Path) -> Digest:
    """Return the digest of a buildpack or extension: of its directory, and of what links that leave it lead to.

    Such a link is one to code that modules share, which is part of each of them.  What Python compiled does not
    count: to run a module writes it.  Raises ``InvalidFileError`` as ``tree_digest`` does.
    """
    return _with_linked(Path(os.path.realpath(root)), ())


def _with_linked(root: Path, above: tuple[Path, ...]) -> Digest:
    own = tree_digest(root, without=_COMPILED)
    linked = [
        (name, place) for name, place in _links_out(root) if place not in above and not root.is_relative_to(place)
    ]
    if not linked:
        return own
    hasher = hashlib.sha256(own.encode())
    for name, place in linked:
        is_dir = place.is_dir()
        content = _with_linked(place, (*above, root)).encode() if is_dir else _file(place)
        hasher.update((_DIRECTORY if is_dir else _FILE) + len(name).to_bytes(4, "big") + name + content)
    return Digest("sha256:" + hasher.hexdigest())


def _file(path: Path) -> bytes:
    try:
        return _contents(os.fsencode(path))
    except OSError as error:
        raise _unreadable(error, os.fsencode(path)) from error


def _links_out(root: Path) -> list[tuple[bytes, Path]]:
    """Return name and place of the relative links below ``root`` that lead to something outside, sorted by name."""
    found = []
    for directory, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(directory, name)
            if path.is_symlink() and not path.readlink().is_absolute():
                place = Path(os.path.realpath(path))
                if not place.is_relative_to(root) and (place.is_dir() or place.is_file()):
                    found.append((os.fsencode(path.relative_to(root)), place))
    return sorted(found)


def _leaf(path: bytes, found: os.stat_result) -> tuple[bytes, bytes]:
    if stat.S_ISLNK(found.st_mode):
        return _LINK, hashlib.sha256(os.readlink(path)).digest()  # noqa: PTH115  # bytes
    if not stat.S_ISREG(found.st_mode):
        return _OTHER, hashlib.sha256(str(stat.S_IFMT(found.st_mode)).encode()).digest()
    return (_EXECUTABLE if found.st_mode & _OWNER_EXECUTES else _FILE), _contents(path)


def _contents(path: bytes) -> bytes:
    hasher = hashlib.sha256()
    # What was a file a moment ago may be a link or a pipe now.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # a descriptor
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.digest()


def _names(path: bytes) -> list[bytes]:
    return sorted(os.listdir(path), reverse=True)  # noqa: PTH208  # bytes


def _unreadable(error: OSError, path: bytes) -> InvalidFileError:
    return InvalidFileError(f"can't be read: {error.strerror}", where=os.fsdecode(error.filename or path))
