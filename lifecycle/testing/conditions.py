"""Under which conditions the executables of a buildpack run, and how they are run under them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.executables.process import Command, ending, run_process
from lifecycle.testing.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.executables.process import Runner
    from lifecycle.testing.place import Place

_SOURCE = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.insert(0, {source!r}); from lifecycle.testing.inside import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which conditions executables run.

    ``as_in_image`` gives them ``/layers``, ``/workspace``, ``/platform`` and ``/cnb``, where the host allows mount
    namespaces; ``user`` is their user and group id, which root alone may choose.  ``copied`` lets them run from a copy
    of their buildpack; implied by the other two, for neither sees the directories of whoever runs the test.
    Without ``writable_layers`` and ``writable_modules`` they may not write into their layers directory or their own,
    which root can anyway.
    """

    as_in_image: bool = False
    user: int | None = None
    umask: int = 0o022
    with_home: bool = True
    copied: bool = False
    writable_layers: bool = True
    writable_modules: bool = True

    @property
    def copies_modules(self) -> bool:
        """Whether executables run from a copy of their buildpack."""
        return self.copied or self.as_in_image or self.user is not None

    @property
    def ordinary(self) -> bool:
        """Whether a plain process will do."""
        return not self.as_in_image and self.user is None and self.umask == current_umask()


ORDINARY = Conditions()


def current_umask() -> int:
    """Return the umask of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    found = os.umask(0o022)
    os.umask(found)
    return found


@dataclass(frozen=True, slots=True)
class Call:
    """One run of an executable: what it was given, what it printed, how it ended, and its build plan if it left one."""

    command: Command
    status: int
    log: Log
    plan: str = ""


@dataclass(slots=True)
class Recorder:
    """Runs executables and remembers each run."""

    run: Runner
    on_call: Callable[[Call], None] = lambda _: None
    calls: list[Call] = field(default_factory=list)

    def __call__(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Run the command; see ``Runner``."""
        chunks: list[bytes] = []

        def heard(chunk: bytes) -> None:
            chunks.append(chunk)
            output(chunk)

        status = self.run(command, output=heard)
        plan = ""
        if Path(command.argv[0]).name == "detect":
            with suppress(OSError):  # what it made of the file is for detection to judge
                plan = Path(command.argv[2]).read_bytes().decode(errors="replace")
        call = Call(command, status, Log.of(b"".join(chunks)), plan)
        self.calls.append(call)
        self.on_call(call)
        return status


@dataclass(frozen=True, slots=True)
class ConditionedRunner:
    """A ``Runner`` of processes under ``conditions``; ``place`` has their directories."""

    place: Place
    conditions: Conditions

    def __call__(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Run the command; see ``Runner``."""
        conditions = self.conditions
        if conditions.ordinary:
            return run_process(command, output=output)
        if conditions.user is not None:
            plan = Path(command.argv[-1])
            for path in (plan.parent, plan):
                os.chown(path, conditions.user, conditions.user)
            # The /tmp of a container has nothing of other users; that of this host has what the builds before left.
            command = replace(command, env={"TMPDIR": str(self.place.temporary), **command.env})
        mounts = self.place.mounts if conditions.as_in_image else {}
        seen = _renamed(command, {str(path): name for name, path in mounts.items()})
        return run_process(started(seen, conditions, mounts, self.place.root / "view"), output=output)


def started(command: Command, conditions: Conditions, mounts: Mapping[str, Path], view: Path) -> Command:
    """Return the command that starts ``command``, whose paths are those below ``mounts``, under ``conditions``."""
    given = {
        "executable": command.argv[0],
        "argv": list(command.argv),
        "cwd": str(command.cwd),
        "env": dict(command.env),
        "mounts": {name: str(path) for name, path in mounts.items()},
        "view": str(view),
        "umask": conditions.umask,
        "user": conditions.user,
    }
    return _started(given)


def started_as(name: str, command: Command, mounts: Mapping[str, Path], view: Path) -> Command:
    """Return the command that starts ``command`` in a view with ``mounts`` and with ``name`` as its ``argv[0]``."""
    given = {
        "executable": command.argv[0],
        "argv": [name, *command.argv[1:]],
        "cwd": str(command.cwd),
        "env": dict(command.env),
        "mounts": {name: str(path) for name, path in mounts.items()},
        "view": str(view),
        "umask": 0o022,
        "user": None,
    }
    return _started(given)


def _started(given: Mapping[str, object]) -> Command:
    argv = (sys.executable, "-I", "-S", "-c", _START.format(source=_SOURCE), json.dumps(given))
    return Command(argv, Path("/"), {"PATH": os.environ.get("PATH", os.defpath)})


@cache
def namespaces_refused() -> str:
    """Return why this host gives processes no view of their own, ``""`` if it does."""
    true = Command(("/bin/sh", "-c", "exit 0"), Path("/"), {})
    chunks: list[bytes] = []
    with tempfile.TemporaryDirectory() as scratch:
        layers, view = Path(scratch, "layers"), Path(scratch, "view")
        for path in (layers, view):
            path.mkdir()
        command = started(true, Conditions(as_in_image=True), {"/layers": layers}, view)
        status = run_process(command, output=chunks.append)
    return "" if status == 0 else Log.of(b"".join(chunks)).strip() or ending(status)


def _renamed(command: Command, names: Mapping[str, str]) -> Command:
    """Return the command with the directories by the names that they have in its view."""

    def seen(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return text

    return replace(
        command,
        argv=tuple(map(seen, command.argv)),
        cwd=Path(seen(str(command.cwd))),
        env={name: seen(value) for name, value in command.env.items()},
    )
