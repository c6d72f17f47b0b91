"""Directory trees compared: what was changed, and how two files that should be equal differ."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SHOWN = 24
_TIME = re.compile(rb"(?:19|20)\d\d-\d\d-\d\d|\d\d:\d\d:\d\d|\b1[0-9]{9}\b")
_LARGE = 1 << 26


def snapshot(directory: Path) -> dict[str, str]:
    """Return what there is below a directory by path: kind, permission bits and digest of the contents."""
    found: dict[str, str] = {}
    for parent, directories, names in os.walk(directory):
        for name in (*directories, *names):
            path = os.path.join(parent, name)  # noqa: PTH118  # names of any bytes
            found[os.path.relpath(path, directory)] = _facts(path)
    return found


def _facts(path: str) -> str:
    info = os.lstat(path)
    mode = f"{stat.S_IMODE(info.st_mode):04o}"
    if stat.S_ISLNK(info.st_mode):
        return f"link to {os.readlink(path)}"  # noqa: PTH115  # as above
    if stat.S_ISDIR(info.st_mode):
        return f"directory {mode}"
    if not stat.S_ISREG(info.st_mode):
        return f"special file {mode}"
    with open(path, "rb") as file:  # noqa: PTH123  # as above
        return f"file {mode} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say what was added, removed and changed, the paths sorted."""
    lines = [f"{path} was added" for path in sorted(after.keys() - before.keys())]
    lines += [f"{path} was removed" for path in sorted(before.keys() - after.keys())]
    lines += [f"{path} was changed" for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]
    return lines


def differences(first: Path, second: Path, *, host_paths: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield how two trees differ, file by file, and why as far as can be told.

    ``host_paths`` are directories whose names in a file would be a reason.
    """
    one, other = snapshot(first), snapshot(second)
    for path in sorted(one.keys() | other.keys()):
        if path not in one or path not in other:
            yield f"{path} is in the {'second' if path in other else 'first'} build alone"
        elif one[path] != other[path]:
            yield f"{path}: {_why(first / path, second / path, one[path], other[path], host_paths)}"


def _why(first: Path, second: Path, one: str, other: str, host_paths: tuple[str, ...]) -> str:
    if not (one.startswith("file") and other.startswith("file")):
        return f"{one} and then {other}"
    if one.split()[2] == other.split()[2]:
        return f"mode {one.split()[1]} and then {other.split()[1]}"
    if max(first.stat().st_size, second.stat().st_size) > _LARGE:
        return "its content differs"
    left, right = first.read_bytes(), second.read_bytes()
    at = next(
        (index for index, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(map(len, (left, right)))
    )
    start = max(0, at - _SHOWN)
    shown = [each[start : at + _SHOWN] for each in (left, right)]
    reason = _reason(left, right, shown, host_paths)
    return f"from byte {at} on {shown[0]!r} and then {shown[1]!r}{reason}"


def _reason(left: bytes, right: bytes, shown: list[bytes], host_paths: tuple[str, ...]) -> str:
    for path in host_paths:
        if os.fsencode(path) in left or os.fsencode(path) in right:
            return f"; it holds the path {path} of one build"
    if all(map(_TIME.search, shown)):
        return "; it looks like a time, which SOURCE_DATE_EPOCH or a fixed date would replace"
    if sorted(left.splitlines()) == sorted(right.splitlines()):
        return "; it has the same lines in another order"
    return ""
