"""A buildpack's directory as the layer of a package: the same bytes from every checkout of the same files.

Spec: distribution.md "Buildpackage".
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidInputError
from lifecycle.layers.members import ROOT_MODE, Member, Members, made_directory, member_at, names_in
from lifecycle.layers.tar import Kind
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lifecycle.rules.buildpackage import Module

LEFT_OUT = frozenset(
    {
        b".git", b".hg", b".svn", b".DS_Store",
        b"__pycache__", b".mypy_cache", b".pytest_cache", b".ruff_cache", b".hypothesis",
    }
)  # fmt: skip
"""Names that are left out wherever they are: what version control and Python's tools keep beside the files."""

TESTS = b"tests"
"""The directory at the top of a buildpack that is for its author."""

_PACKAGE = b".cnb"
"""How files at the top are named that were packaged there: each package would hold the one before it."""

_TEXT_MODE = 0o644
_LINK_MODE = 0o777


def modules_layer(modules: Iterable[tuple[Module, Path]]) -> Members:
    """Return one layer with the directories of some modules, root's, with the modes 0755 and 0644.

    A relative link that leads out of a directory is followed, so that what buildpacks of one repository share is in
    each of their packages.  Raises ``InvalidInputError`` for what no package may have, and ``ExportError`` for what
    can't be read.
    """
    made: dict[bytes, Member] = {}
    for module, root in modules:
        place = f"{module.kind.directory}/{directory_name(module.info.id)}/{module.info.version}".encode()
        for member in (*_above(place), *_Walk(os.fsencode(root.resolve())).members(place)):
            top, _, below = member.entry.name.removeprefix(place + b"/").partition(b"/")
            if top == TESTS or (not below and member.entry.kind == Kind.FILE and top.endswith(_PACKAGE)):
                continue
            made.setdefault(member.entry.name, member)
    return Members(tuple(made.values()))


def followed_links(root: Path) -> Iterator[Path]:
    """Yield the links below the module in ``root`` that its package follows, since they lead out of it."""
    top = os.fsencode(root.resolve())
    for directory, names, files in os.walk(top):
        names[:] = sorted({*names} - LEFT_OUT - ({TESTS} if directory == top else set()))
        for name in sorted((*names, *files)):
            path = os.path.join(directory, name)  # noqa: PTH118  # bytes
            if os.path.islink(path) and _leads_out(path, os.readlink(path), top):  # noqa: PTH114, PTH115  # bytes
                yield root / os.fsdecode(path[len(top) + 1 :])


def _leads_out(path: bytes, goal: bytes, root: bytes) -> bool:
    """Tell whether a relative link has its goal outside ``root``."""
    place = os.path.normpath(os.path.join(os.path.dirname(path), goal))  # noqa: PTH118, PTH120  # bytes
    return not goal.startswith(b"/") and place != root and not place.startswith(root + b"/")


def _above(place: bytes) -> Iterator[Member]:
    parts = place.split(b"/")
    return (made_directory(b"/".join(parts[:count])) for count in range(2, len(parts)))


@dataclass(frozen=True, slots=True)
class _Walk:
    """A tree that is packaged whole; ``above`` are the trees that led to it."""

    root: bytes
    above: tuple[bytes, ...] = ()

    def members(self, name: bytes) -> Iterator[Member]:
        return self._below(self.root, name)

    def _below(self, path: bytes, name: bytes) -> Iterator[Member]:
        member = member_at(path, name, uid=0, gid=0)
        if member is None or member.entry.kind not in {Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK}:
            raise InvalidInputError("is no file, directory or link", where=os.fsdecode(path), remedy="remove it")
        entry = member.entry
        if entry.kind == Kind.SYMLINK:
            yield from self._link(path, replace(member, entry=replace(entry, mode=_LINK_MODE)))
            return
        is_program = entry.kind == Kind.DIRECTORY or entry.mode & stat.S_IXUSR
        yield replace(member, entry=replace(entry, mode=ROOT_MODE if is_program else _TEXT_MODE))
        if entry.kind == Kind.DIRECTORY:
            for each in names_in(path):
                if each not in LEFT_OUT:
                    yield from self._below(path + b"/" + each, name + b"/" + each)

    def _link(self, path: bytes, member: Member) -> Iterator[Member]:
        goal = member.entry.linkname
        if not _leads_out(path, goal, self.root):
            yield member
            return
        real = os.path.realpath(path)
        if not os.path.exists(real):  # noqa: PTH110  # bytes
            raise InvalidInputError(
                f"is a link to {os.fsdecode(goal)}, which is not there", where=os.fsdecode(path), remedy="mend the link"
            )
        trees = (*self.above, self.root)
        if any(each == real or each.startswith(real + b"/") for each in trees):
            raise InvalidInputError(
                f"is a link to {os.fsdecode(goal)}, which has it inside", where=os.fsdecode(path), remedy="remove it"
            )
        yield from _Walk(real, trees).members(member.entry.name)
