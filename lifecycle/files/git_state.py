"""What a ``.git`` directory says of its commit, read from its files: no program of git runs on what users bring.

The work tree itself is hashed file by file, so commit and work tree together say whether it is dirty.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_TAGGED = re.compile(rb"tag [0-9]+\0object ([0-9a-f]{40,64})\n")
_HEADS = "ref: refs/heads/"
_LARGEST = 1 << 24
_MAX_LINKS = 5


def git_state(directory: bytes | Path) -> bytes:
    """Return one line for the commit and one for each tag of it, sorted; what can't be read is left out.

    An annotated tag whose object lies in a pack counts only where packed-refs says what it points to.
    """
    git = Path(os.fsdecode(directory))
    packed, peeled = _packed_refs(git)
    commit = _resolve(git, b"HEAD", packed)
    if commit is None:
        return b"no commit\n"
    tags = {
        name.removeprefix(b"refs/tags/")
        for name, value in {**packed, **dict(_loose_tags(git))}.items()
        if name.startswith(b"refs/tags/") and commit in {value, peeled.get(name), _tag_target(git, value)}
    }
    return b"commit " + commit + b"\n" + b"".join(b"tag " + tag + b"\n" for tag in sorted(tags))


@dataclass(frozen=True, slots=True)
class GitHead:
    """The commit that is checked out, the branches that it is on top of, and its tags; sorted."""

    commit: str
    branches: tuple[str, ...]
    tags: tuple[str, ...]


def git_head(git: Path) -> GitHead | None:
    """Return what a ``.git`` directory has checked out, ``None`` where it can't be told.

    Where no branch is checked out, as servers that build do it, those of ``origin`` count that end with the commit.
    """
    commit, *lines = git_state(git).decode(errors="replace").splitlines()
    kind, _, name = commit.partition(" ")
    if kind != "commit":
        return None
    head = _read(git / "HEAD").strip().decode(errors="replace")
    branches = {head.removeprefix(_HEADS)} if head.startswith(_HEADS) else _remote_branches(git, name.encode())
    return GitHead(name, tuple(sorted(branches)), tuple(line.removeprefix("tag ") for line in lines))


def _remote_branches(git: Path, commit: bytes) -> set[str]:
    packed, _ = _packed_refs(git)
    prefix = b"refs/remotes/origin/"
    found = {name.removeprefix(prefix) for name, value in packed.items() if name.startswith(prefix) and value == commit}
    root = git / os.fsdecode(prefix)
    for parent, _, names in os.walk(root):
        paths = [Path(parent) / name for name in names]
        found |= {os.fsencode(path.relative_to(root)) for path in paths if _read(path).strip() == commit}
    return {name.decode(errors="replace") for name in found - {b"HEAD"}}


def _resolve(git: Path, name: bytes, packed: dict[bytes, bytes]) -> bytes | None:
    for _ in range(_MAX_LINKS):
        text = _read(git / os.fsdecode(name)).strip()
        if text.startswith(b"ref: ") and b".." not in text:
            name = text.removeprefix(b"ref: ").strip()
            continue
        found = text or packed.get(name, b"")
        return found if _COMMIT.match(found) else None
    return None


def _packed_refs(git: Path) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Return packed references by name, and what the annotated tags among them point to."""
    refs: dict[bytes, bytes] = {}
    peeled: dict[bytes, bytes] = {}
    last = b""
    for line in _read(git / "packed-refs").splitlines():
        if line.startswith(b"^"):
            peeled[last] = line[1:].strip()
            continue
        value, _, last = line.partition(b" ")
        if _COMMIT.match(value):
            refs[last] = value
    return refs, peeled


def _loose_tags(git: Path) -> Iterator[tuple[bytes, bytes]]:
    tags = git / "refs" / "tags"
    for parent, _, names in os.walk(tags):
        for name in names:
            path = Path(parent) / name
            value = _read(path).strip()
            if _COMMIT.match(value):
                yield b"refs/tags/" + os.fsencode(path.relative_to(tags)), value


def _tag_target(git: Path, object_name: bytes) -> bytes | None:
    """Return what a loose tag object points to."""
    text = object_name.decode("ascii")
    data = _read(git / "objects" / text[:2] / text[2:])
    try:
        head = zlib.decompressobj().decompress(data, 256)
    except zlib.error:
        return None
    match = _TAGGED.match(head)
    return match[1] if match else None


def _read(path: Path) -> bytes:
    """Return the start of a file, nothing for what is no file or can't be read."""
    try:
        with open(path, "rb", opener=_open_itself) as file:
            return file.read(_LARGEST) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except (OSError, ValueError):
        return b""


def _open_itself(path: str, flags: int) -> int:
    """Open what is at a path: not what a link there leads to, and without waiting for a writer of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
