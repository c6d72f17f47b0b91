"""How a person who writes a buildpack steps through a build: from one step on, stopped before or after others."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cli.commands.build.saved_steps import SavedSteps, StepSaver, copy_tree, find_step
from lifecycle.cli.commands.build.step_shell import AGAIN, open_shell
from lifecycle.errors import InvalidInputError
from lifecycle.executables.process import run_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifecycle.cli.commands.build.workspace import Workspace
    from lifecycle.cli.logs.build_log import BuildLog
    from lifecycle.executables.process import Command
    from lifecycle.files.modules import Buildpack
    from lifecycle.model.group import Group

_BEFORE: Final = "before"
_AFTER: Final = "after"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a build stops: ``before`` or ``after`` a buildpack, named by id or ``<id>@<version>``."""

    when: str
    buildpack: str


@dataclass(frozen=True, slots=True)
class Stepping:
    """What a person asked for on the command line."""

    rerun: str = ""
    stops: tuple[Stop, ...] = ()
    shell_on_failure: bool = False

    def __bool__(self) -> bool:
        return bool(self.rerun or self.stops or self.shell_on_failure)


NO_STEPPING: Final = Stepping()


def read_stops(texts: Sequence[str]) -> tuple[Stop, ...]:
    """Read ``before:ID`` and ``after:ID``; raise ``InvalidInputError``."""
    stops = []
    for text in texts:
        when, _, buildpack = text.partition(":")
        if when not in {_BEFORE, _AFTER} or not buildpack:
            raise InvalidInputError(
                f"--break {text!r} does not say where", remedy=f"write {_BEFORE}:ID or {_AFTER}:ID of a buildpack"
            )
        stops.append(Stop(when, buildpack))
    return tuple(stops)


class BuildSteps:
    """Runs the steps of one build, and keeps the state before each.

    With ``saved`` the steps before ``stepping.rerun`` are not run but as that build left them.
    """

    def __init__(self, workspace: Workspace, log: BuildLog, stepping: Stepping, saved: SavedSteps | None) -> None:
        self._workspace = workspace
        self._log = log
        self._stepping = stepping
        self._saved = saved
        self._saver = StepSaver(workspace)
        self._names: tuple[str, ...] = ()
        self._first = 0
        self._current = -1

    def detected(self, group: Group) -> None:
        """Take in which buildpacks are going to run; raise ``InvalidInputError`` if a wanted one is not among them."""
        self._names = tuple(f"{each.id}@{each.version}" for each in group.group)
        for stop in self._stepping.stops:
            find_step(self._names, stop.buildpack, option="--break")
        if self._saved is not None:
            self._first = find_step(self._names, self._stepping.rerun, option="--rerun")
            if self._names[: self._first] != self._saved.steps[: self._first]:
                raise InvalidInputError(
                    f"other buildpacks come before {self._stepping.rerun} than in the last build",
                    remedy="build once without --rerun",
                )
        self._saver.begin(self._names)
        if self._saved is not None and self._saved.app_before(self._first) is not None:
            self._saver.keep_app(self._first)

    def restored(self) -> None:
        """Put the layers of the steps that are not run in the place of what was restored."""
        if self._saved is None:
            return
        for name in self._names[: self._first]:
            source, target = self._saved.layers_of(name), self._target(name)
            shutil.rmtree(target, ignore_errors=True)
            if source.is_dir():
                copy_tree(source, target)

    def started(self, buildpack: Buildpack) -> None:
        """Hear which step comes next."""
        self._current = self._names.index(str(buildpack))
        self._log.buildpack(buildpack)
        if self._current < self._first:
            self._log.note("not run: its layers are those of the last build")
        else:
            self._saver.before(self._current)

    def run(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Run a step's executable, and the shells that were asked for; the ``Runner`` of the build."""
        if self._current < self._first:
            self._saver.after(self._current)
            return 0
        self._stop(_BEFORE, command)
        with_shell = self._stepping.shell_on_failure
        backup = self._backup() if with_shell else None
        while status := run_process(command, output=output):
            if not with_shell or self._shell(command, f"bin/build failed with status {status}", again=True) != AGAIN:
                self._hint()
                return status
            if backup is not None:
                backup()
        self._stop(_AFTER, command)
        self._saver.after(self._current)
        return 0

    def _stop(self, when: str, command: Command) -> None:
        name = self._names[self._current]
        if any(each.when == when and each.buildpack in {name, name.partition("@")[0]} for each in self._stepping.stops):
            self._shell(command, f"stopped {when} bin/build of {name}", again=False)

    def _shell(self, command: Command, what: str, *, again: bool) -> int:
        self._log.note(f"{what}; this shell has its environment, plan and directory")
        self._log.note(
            f"'again' (exit {AGAIN}) runs it again, 'exit' ends the build" if again else "'exit' goes on with the build"
        )
        return open_shell(command, dict(os.environ))

    def _backup(self) -> Callable[[], None]:
        """Keep the state before a step, and return what brings it back."""
        kept = self._workspace.path / "before"
        places = {"layers": self._target(self._names[self._current]), "app": self._workspace.app}
        for name, path in places.items():
            copy_tree(path, kept / name)

        def bring_back() -> None:
            for name, path in places.items():
                # The directories themselves stay: processes and mounts hold them.
                for child in path.iterdir():
                    if child.is_dir() and not child.is_symlink():
                        shutil.rmtree(child)
                    else:
                        child.unlink()
                shutil.copytree(kept / name, path, symlinks=True, dirs_exist_ok=True)

        return bring_back

    def _target(self, name: str) -> Path:
        return SavedSteps(self._workspace, (), 0).layers_of(name)

    def _hint(self) -> None:
        wanted = self._names[self._current].partition("@")[0]
        shell = "" if self._stepping.shell_on_failure else ", --shell-on-failure opens a shell where it failed"
        self._log.note(f"--rerun {wanted} starts again from here{shell}")
