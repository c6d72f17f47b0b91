"""The users and groups of an image, by its own ``/etc/passwd`` and ``/etc/group``.

Files are read anew each time: a step before may have added a user.  Reference: Docker's reading of ``USER``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError
from lifecycle.files.regular_file import open_regular
from lifecycle.rootfs.paths import resolved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGITS = re.compile(r"[0-9]{1,10}\Z")
_MAX_ID = (1 << 32) - 2
_MAX_SIZE = 1 << 24
_PASSWD_FIELDS = 6
_GROUP_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs a command: numbers, supplementary groups and home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def find_identity(root: Path, user: str) -> Identity:
    """Return who ``user[:group]`` is, names or numbers; ``""`` is root.

    Without a group it is the user's own with its supplementary ones, or root's for a number that has no entry.
    Raises ``ExtendError`` for a name that has no entry.
    """
    name, colon, group = (user or "0").partition(":")
    number = _number(name)
    entry = next((each for each in _lines(root, "etc/passwd", _PASSWD_FIELDS) if _is(each, name, number)), None)
    if entry is None and number is None:
        raise ExtendError(f"there is no user {name!r} in the image's /etc/passwd", remedy="add it in a RUN before")
    uid = number if number is not None else _id(entry, 2)
    login, home = (entry[0], entry[5]) if entry else (name, "/")
    if colon and group:
        return Identity(uid, find_group(root, group), (), home or "/")
    gid = _id(entry, 3) if entry else 0
    members = [each for each in _lines(root, "etc/group", _GROUP_FIELDS) if login in each[3:] and each[3:]]
    groups = {_id(each, 2) for each in members}
    return Identity(uid, gid, tuple(sorted(groups - {gid})), home or "/")


def find_group(root: Path, group: str) -> int:
    """Return the number of a group; raise ``ExtendError`` for a name that has no entry."""
    number = _number(group)
    if number is not None:
        return number
    entry = next((each for each in _lines(root, "etc/group", _GROUP_FIELDS) if each[0] == group), None)
    if entry is None:
        raise ExtendError(f"there is no group {group!r} in the image's /etc/group", remedy="add it in a RUN before")
    return _id(entry, 2)


def find_owner(root: Path, owner: str) -> tuple[int, int]:
    """Return uid and gid of ``--chown``; without a group it is that of the same number or the user's own."""
    if not owner:
        return 0, 0
    name, colon, _ = owner.partition(":")
    number = _number(name)
    if number is not None and not colon:
        return number, number
    identity = find_identity(root, owner)
    return identity.uid, identity.gid


def _number(text: str) -> int | None:
    return int(text) if _DIGITS.match(text) and int(text) <= _MAX_ID else None


def _is(entry: list[str], name: str, number: int | None) -> bool:
    return entry[0] == name if number is None else _number(entry[2]) == number


def _id(entry: list[str] | None, field: int) -> int:
    return (_number(entry[field]) if entry else None) or 0


def _lines(root: Path, name: str, fields: int) -> Iterator[list[str]]:
    """Yield the entries of a file; the members of a group are fields of their own.  A missing file has none."""
    path = resolved(root, f"/{name}")
    try:
        with open_regular(path) as file:
            text = file.read(_MAX_SIZE).decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ExtendError(f"can't be read: {error.strerror}", where=path) from error
    for line in text.splitlines():
        found = line.strip().split(":")
        if fields == _GROUP_FIELDS and len(found) > fields:
            found = [*found[:3], *found[3].split(",")]
        if len(found) >= fields and found[0] and not line.startswith("#"):
            yield found
