"""``lifecycle build --watch``: a build after each change of the app or of a buildpack."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cli.commands.build.saved_steps import last_steps
from lifecycle.cli.commands.build.workspace import app_key, state_dir
from lifecycle.cli.commands.own_command import own_command
from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.executables.attached import run_attached
from lifecycle.files.modules import read_buildpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cli.logs.build_log import BuildLog

_LOOK_EVERY: Final = 0.3
"""Seconds between looks; polling sees changes on every file system, also on those that tell of none."""

_LEFT_OUT: Final = frozenset({".git", ".hg", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_OF_EDITORS: Final = (".swp", ".swx", "~", ".tmp")

_NAMED: Final = 3
"""How many files that changed are told by name."""

Look = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a build is of: the app, and the directories of buildpacks; ``own`` is what builds write themselves."""

    app: Path
    buildpacks: tuple[Path, ...]
    own: Collection[Path] = ()

    def look(self) -> dict[Path, Look]:
        """Return of each directory what changes when a file in it does."""
        return {root: frozenset(_files(root, self._own_below(root))) for root in (self.app, *self.buildpacks)}

    def _own_below(self, root: Path) -> frozenset[str]:
        """Return the names that ``own`` have below ``root``."""
        real = root.resolve()
        below = (path.resolve() for path in self.own)
        return frozenset(str(root / path.relative_to(real)) for path in below if path.is_relative_to(real))


def watch(watched: Watched, arguments: Sequence[str], *, environment: Mapping[str, str], log: BuildLog) -> None:
    """Build with ``arguments``, those of this command, now and after each change, until a signal ends this.

    Where a single buildpack has changed, the build goes on from there.
    """
    rerun = ""
    while True:
        seen = watched.look()
        more = ("--rerun", rerun) if rerun else ()
        run_attached([*own_command(), "build", "--once", *more, *arguments])
        log.note("watching for changes; Ctrl-C ends this")
        changed = _wait(watched, seen)
        files = sorted(set().union(*changed.values()))
        more_files = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        log.note(f"changed: {', '.join(files[:_NAMED])}{more_files}")
        rerun = _only_step(watched, list(changed), environment)


def _wait(watched: Watched, seen: dict[Path, Look]) -> dict[Path, set[str]]:
    """Return which directories have changed and which files in them, once nothing has changed between two looks."""
    last = seen
    while True:
        time.sleep(_LOOK_EVERY)
        now = watched.look()
        if now == last and now != seen:
            return {root: {path for path, *_ in now[root] ^ seen[root]} for root in now if now[root] != seen[root]}
        last = now


def _only_step(watched: Watched, changed: Sequence[Path], environment: Mapping[str, str]) -> str:
    """Return the buildpack from which the last build can go on, ``""`` if it can't."""
    if len(changed) != 1 or changed[0] == watched.app:
        return ""
    try:
        wanted = read_buildpack(changed[0]).descriptor.buildpack.id
        with last_steps(state_dir(environment) / "builds" / app_key(watched.app.resolve())) as saved:
            if saved is None:
                return ""
            saved.index(wanted)
    except (InvalidFileError, InvalidInputError):
        return ""
    return wanted


def _files(root: Path, own: frozenset[str]) -> Iterator[tuple[str, int, int, int]]:
    seen = set()
    # A buildpack may have parts that it shares with others behind links.
    for directory, names, files in os.walk(root, followlinks=True):
        status = os.stat(directory)  # noqa: PTH116  # many
        if (status.st_dev, status.st_ino) in seen or directory in own:
            names.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        names[:] = [name for name in names if name not in _LEFT_OUT]
        for name in files:
            if not name.endswith(_OF_EDITORS):
                path = os.path.join(directory, name)  # noqa: PTH118  # many
                if path in own:
                    continue
                try:
                    found = os.stat(path)  # noqa: PTH116  # many
                except OSError:
                    continue
                yield path, found.st_mtime_ns, found.st_size, found.st_mode
