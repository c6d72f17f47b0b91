"""``lifecycle cache du`` and ``prune``: what builds of this user keep on disk, and taking it away by age and size.

Caches and images are of use to the next build only; a build is its app's last one, which ``lifecycle run`` starts.
Nothing goes that a process holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from lifecycle.cache.directories import locked
from lifecycle.cli.commands.build.workspace import cache_dir, remove_build, state_dir
from lifecycle.cli.logs.size_text import size_text
from lifecycle.errors import CacheError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES: Final = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LIMIT: Final = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*([a-z]?)b?\Z")
_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class Kept:
    """One cache, image or build: ``size`` in bytes, ``used`` in seconds since 1970."""

    kind: str
    name: str
    path: Path
    size: int
    used: float

    def value(self, now: float) -> dict[str, object]:
        """Return the JSON object."""
        age = round(max(0.0, now - self.used))
        return {"kind": self.kind, "name": self.name, "path": str(self.path), "size": self.size, "age": age}


def read_age(text: str) -> float:
    """Read an age such as ``30d`` or ``12h`` and return seconds; raise ``InvalidInputError``."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])", text.strip().lower())
    if match is None:
        raise InvalidInputError(f"{text!r} is not an age", remedy="write a number and s, m, h, d or w, such as 30d")
    return float(match[1]) * _AGES[match[2]]


def read_size(text: str) -> int:
    """Read a size such as ``10GB`` or ``500M`` and return bytes; raise ``InvalidInputError``."""
    match = _LIMIT.match(text.strip().lower())
    if match is None or match[2] not in _SIZES:
        raise InvalidInputError(f"{text!r} is not a size", remedy="write a number and kB, MB, GB or TB, such as 10GB")
    return int(float(match[1]) * _SIZES[match[2]])


def kept(environment: Mapping[str, str]) -> tuple[Kept, ...]:
    """Return all that builds of this user keep, the one used longest ago first."""
    state = state_dir(environment)
    found = [
        *_each("cache", cache_dir(environment) / "volumes", "*", mark="committed"),
        *_each("image", state / "images", "**/index.json", mark="."),
        *_each("build", state / "builds", "*/build-*", mark="."),
    ]
    return tuple(sorted(found, key=lambda each: (each.used, str(each.path))))


def usage(environment: Mapping[str, str], out: TextIO, *, as_json: bool) -> None:
    """Print what is kept, the latest first."""
    now, found = time.time(), kept(environment)[::-1]
    if as_json:
        out.write(json.dumps({"kept": [each.value(now) for each in found]}, indent=2) + "\n")
        return
    out.writelines(f"{line}\n" for line in _lines(found, now))
    out.write(f"{size_text(sum(each.size for each in found))} in all\n")


def prune(
    environment: Mapping[str, str],
    out: TextIO,
    *,
    older_than: str = "",
    max_size: str = "",
    everything: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> bool:
    """Remove what was not used for ``older_than``, then the longest unused until ``max_size`` is kept.

    With ``dry_run`` the same is said and nothing removed.  Returns whether all went that should.  Raises
    ``InvalidInputError``.
    """
    if not (older_than or max_size or everything):
        raise InvalidInputError(
            "prune needs to know what may go", remedy="give --older-than 30d, --max-size 10GB or --all"
        )
    now, found = time.time(), kept(environment)
    chosen = _choose(
        found,
        before=now - read_age(older_than) if older_than else None,
        limit=read_size(max_size) if max_size else None,
        everything=everything,
    )
    removed: list[Kept] = []
    held: list[Kept] = []
    for each in chosen:
        (removed if dry_run or _remove(each) else held).append(each)
    left = [each for each in found if each not in removed]
    if as_json:
        value = {
            "dry-run": dry_run,
            "deleted": [each.value(now) for each in removed],
            "held": [each.value(now) for each in held],
            "kept": [each.value(now) for each in left],
        }
        out.write(json.dumps(value, indent=2) + "\n")
        return not held
    out.writelines(f"{'would remove' if dry_run else 'removed'}  {line}\n" for line in _lines(removed, now))
    out.writelines(f"in use, kept  {line}\n" for line in _lines(held, now))
    word = "would be freed" if dry_run else "freed"
    sizes = size_text(sum(each.size for each in removed)), size_text(sum(each.size for each in left))
    out.write(f"{sizes[0]} {word}, {sizes[1]} kept\n")
    return not held


def _choose(found: Sequence[Kept], *, before: float | None, limit: int | None, everything: bool) -> tuple[Kept, ...]:
    """Return what goes, the longest unused first; ``found`` is in that order."""
    chosen = [each for each in found if everything or (before is not None and each.used < before)]
    if limit is not None:
        left = [each for each in found if each not in chosen]
        size = sum(each.size for each in left)
        for each in left:
            if size <= limit:
                break
            chosen.append(each)
            size -= each.size
    return tuple(chosen)


def _each(kind: str, root: Path, pattern: str, *, mark: str) -> Iterator[Kept]:
    for path in sorted(root.glob(pattern)):
        directory = path.parent if path.name == "index.json" else path
        if not directory.is_dir() or directory.is_symlink():
            continue
        used = 0.0
        for each in (directory, directory / mark):  # what a first build has begun has no mark yet
            with contextlib.suppress(OSError):
                used = max(used, each.stat().st_mtime)
        yield Kept(kind, str(directory.relative_to(root)), directory, _size(directory), used)


def _size(path: Path) -> int:
    """Return the bytes of all files below a directory, each counted once however many names it has."""
    seen: set[tuple[int, int]] = set()
    size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(Path(directory, name))
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    size += status.st_size
    return size


def _remove(each: Kept) -> bool:
    """Remove it unless a process holds it; say whether it is gone."""
    if each.kind == "build":
        return remove_build(each.path)
    try:
        if each.kind == "cache":
            with locked(each.path):
                for staging in each.path.glob("staging-*"):
                    _lock(staging)
                shutil.rmtree(each.path)
        else:
            _lock(each.path)
            shutil.rmtree(each.path)
    except BlockingIOError:
        return False
    except OSError as error:
        raise CacheError(f"can't be removed: {error.strerror}", where=each.path) from error
    return True


def _lock(directory: Path) -> None:
    """Raise ``BlockingIOError`` if a process holds a directory that it writes to."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _lines(found: Sequence[Kept], now: float) -> Iterator[str]:
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        yield f"{each.kind:<5}  {each.name:<{width}}  {size_text(each.size):>8}  {_age(now - each.used)}"


def _age(seconds: float) -> str:
    if seconds >= _DAY:
        return f"{seconds / _DAY:.0f} d"
    return f"{seconds / 3600:.0f} h" if seconds >= _AGES["h"] else f"{max(0.0, seconds) / 60:.0f} min"
