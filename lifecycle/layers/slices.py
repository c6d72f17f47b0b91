"""The app as layers: one for each slice, one for the rest.

Spec: buildpack.md "launch.toml (TOML)", slices.  Reference: layers/slices.go.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.layers.match import MalformedPatternError, pattern
from lifecycle.layers.members import Member, Members, absolute, ancestors, member_at, names_in, unmapped
from lifecycle.layers.tar import Kind, clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lifecycle.layers.members import PathMapping
    from lifecycle.layers.source import LayerSource

_APP = b""
"""The app directory itself, as a path relative to it."""


def slice_layers(
    app_dir: Path,
    patterns: Sequence[Sequence[str]],
    uid: int,
    gid: int,
    mapping: PathMapping | None = None,
) -> list[LayerSource]:
    """Return one layer for each slice, which is a list of patterns, and one for what no slice took.

    The app is listed now: the layers hold what is there now, with its sizes.  Slices may be empty.
    Raises ``ExportError`` for a malformed pattern.
    """
    root = absolute(app_dir)
    mapping = mapping or unmapped(root)
    tree = _AppTree(root, mapping.name(root), uid, gid)
    above = tuple(ancestors(root, mapping))
    chosen = [tree.take(each) for each in patterns]
    return [tree.layer(above, paths) for paths in [*chosen, tree.remainder()]]


class _AppTree:
    """What is in the app directory, by relative path, and what slices have taken of it."""

    def __init__(self, root: bytes, name: bytes, uid: int, gid: int) -> None:
        self._members: dict[bytes, Member | None] = {}
        self._children: dict[bytes, list[bytes]] = {}
        self._taken: set[bytes] = set()
        pending = [_APP]
        while pending:
            path = pending.pop()
            member = member_at(_join(root, path), _join(name, path), uid=uid, gid=gid)
            self._members[path] = member
            if member is not None and member.entry.kind == Kind.DIRECTORY:
                children = [_join(path, each) for each in names_in(_join(root, path))]
                self._children[path] = children
                pending += reversed(children)

    def take(self, patterns: Sequence[str]) -> set[bytes]:
        """Take what matches, with all below it, unless it is taken; return that and the directories above it.

        A directory above counts as taken once everything in it is.
        """
        chosen: set[bytes] = set()
        for text in patterns:
            for match in self._matches(clean(text.encode("utf-8", "surrogateescape"))):
                found = [path for path in self._below(match) if path not in self._taken]
                chosen.update(found)
                self._taken.update(found)
        above = {parent for path in chosen for parent in _parents(path)} - chosen
        for parent in sorted(above, key=_depth, reverse=True):
            if self._taken.issuperset(self._children[parent]):
                self._taken.add(parent)
        return chosen | above

    def remainder(self) -> set[bytes]:
        """Return what is not taken."""
        return self._members.keys() - self._taken

    def layer(self, above: tuple[Member, ...], paths: set[bytes]) -> LayerSource:
        """Return the layer of some paths, sorted by their bytes."""
        members = [self._members[path] for path in sorted(paths)]
        return Members((*above, *(each for each in members if each is not None)) if paths else ())

    def _matches(self, text: bytes) -> list[bytes]:
        compiled = pattern(text)
        found = []
        for path in self._members:
            try:
                if path != _APP and compiled.matches(path):
                    found.append(path)
            except MalformedPatternError as error:
                name, shown = (each.decode(errors="backslashreplace") for each in (path, text))
                raise ExportError(
                    f"failed to check if '{name}' matches '{shown}': syntax error in pattern",
                    remedy="close every '[' of the slice and end no pattern with a backslash",
                ) from error
        return found

    def _below(self, path: bytes) -> Iterator[bytes]:
        pending = [path]
        while pending:
            current = pending.pop()
            yield current
            pending += self._children.get(current, ())


def _join(parent: bytes, child: bytes) -> bytes:
    return os.path.join(parent, child) if child else parent  # noqa: PTH118  # bytes


def _parents(path: bytes) -> Iterator[bytes]:
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0
