"""The state before each step of a build, kept with its working directory for ``lifecycle build --rerun``.

That are the layers of the steps before it, which lie where they were made, and the app where those steps changed it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.cli.commands.build.workspace import Workspace, held
from lifecycle.errors import InvalidInputError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.model.ids import directory_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FILE = "steps.json"
_APPS = "apps"


@dataclass(frozen=True, slots=True)
class SavedSteps:
    """The steps of an earlier build, each ``<id>@<version>``; the first ``done`` of them have run to their end."""

    workspace: Workspace
    steps: tuple[str, ...]
    done: int

    def index(self, wanted: str) -> int:
        """Return which step is the buildpack ``wanted``, by id or ``<id>@<version>``; raise ``InvalidInputError``."""
        index = find_step(self.steps, wanted, option="--rerun")
        if index > self.done:
            raise InvalidInputError(
                f"the last build did not come to {wanted}: it ended at {self.steps[self.done]}",
                remedy=f"run again from there, --rerun {self.steps[self.done].partition('@')[0]}",
            )
        return index

    def app_before(self, index: int) -> Path | None:
        """Return the app as it was before a step; ``None`` if it was still as the build had copied it."""
        saved = (self.workspace.path / _APPS / str(each) for each in range(index, 0, -1))
        return next((path for path in saved if path.is_dir()), None)

    def layers_of(self, step: str) -> Path:
        """Return the layers directory of a step."""
        return self.workspace.layers / directory_name(step.partition("@")[0])


def find_step(steps: Sequence[str], wanted: str, *, option: str) -> int:
    """Return the index of a step by id or ``<id>@<version>``; raise ``InvalidInputError`` if there is none."""
    for index, step in enumerate(steps):
        if wanted in {step, step.partition("@")[0]}:
            return index
    raise InvalidInputError(
        f"{option} names {wanted}, which is not in the group of this build",
        remedy=f"name one of {', '.join(steps)}",
    )


@contextmanager
def last_steps(builds: Path) -> Iterator[SavedSteps | None]:
    """Yield the steps of the last build that is below ``builds``, failed or not, which stays meanwhile."""
    found = []
    for path in builds.glob(f"*/{_FILE}"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue
    for _, path in sorted(found, reverse=True):
        with held(path.parent) as is_there:
            if not is_there:
                continue
            saved = _read(path)
            if saved is not None:
                yield saved
                return
    yield None


def _read(path: Path) -> SavedSteps | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return SavedSteps(Workspace(path.parent), tuple(facts["steps"]), int(facts["done"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class StepSaver:
    """Keeps the state before each step of the build in ``workspace``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._steps: tuple[str, ...] = ()
        self._done = 0
        self._app: frozenset[tuple[object, ...]] = frozenset()

    def begin(self, steps: Sequence[str]) -> None:
        """Note what is going to run, and the app as it is."""
        self._steps = tuple(steps)
        self._app = _fingerprint(self._workspace.app)
        self._write()

    def before(self, index: int) -> None:
        """Keep the app if a step has changed it since it was looked at last."""
        if index == 0:
            return
        now = _fingerprint(self._workspace.app)
        if now != self._app:
            self._app = now
            self.keep_app(index)

    def keep_app(self, index: int) -> None:
        """Keep the app as it is before a step."""
        copy_tree(self._workspace.app, self._workspace.path / _APPS / str(index))

    def after(self, index: int) -> None:
        """Note that a step has run to its end."""
        self._done = index + 1
        self._write()

    def _write(self) -> None:
        text = json.dumps({"steps": self._steps, "done": self._done})
        write_atomic(self._workspace.path / _FILE, text.encode(), fsync=False)


def copy_tree(source: Path, target: Path, *, links: bool = True) -> None:
    """Make ``target`` a copy of a directory in place of what it was; raise ``LifecycleError``.

    ``links`` are kept as they are, or else what they lead to is copied.
    """
    try:
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        shutil.copytree(source, target, symlinks=links)
    except (OSError, shutil.Error) as error:
        raise LifecycleError(f"can't be copied from {source}: {_reason(error)}", where=target) from error


def _reason(error: OSError) -> str:
    if isinstance(error, shutil.Error) and error.args:
        (_, _, first), *_ = error.args[0]
        return str(first)
    return error.strerror or str(error)


def _fingerprint(root: Path) -> frozenset[tuple[object, ...]]:
    """Return what changes when anything below a directory does."""
    found: set[tuple[object, ...]] = set()
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(directory, name)  # noqa: PTH118  # many
            status = os.lstat(path)
            found.add((path, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    return frozenset(found)
