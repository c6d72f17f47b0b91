"""Where ``lifecycle build`` keeps its directories: one working directory a build, remembered until the next.

Builds and images are below ``$XDG_STATE_HOME/cnb-lifecycle``, in ``builds/<app>/<build>`` and ``images``; caches are
below ``$XDG_CACHE_HOME/cnb-lifecycle``, in ``volumes/<app>``.  A user without a writable home gets a directory of their
own below the temporary directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LaunchError, LifecycleError
from lifecycle.files.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAST = "last.json"
_LOCK = "lock"


def state_dir(environment: Mapping[str, str]) -> Path:
    """Return where builds and images are kept."""
    return _user_dir(environment, "XDG_STATE_HOME", ".local/state")


def cache_dir(environment: Mapping[str, str]) -> Path:
    """Return where caches are kept."""
    return _user_dir(environment, "XDG_CACHE_HOME", ".cache")


def _user_dir(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    given = environment.get(variable)
    home = environment.get("HOME")
    parent = Path(given) if given else Path(home, below_home) if home else None
    if parent is not None and can_be_made(parent):
        return parent / "cnb-lifecycle"
    path = Path(tempfile.gettempdir(), f"cnb-lifecycle-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or not path.is_dir() or path.is_symlink():
        raise LifecycleError("belongs to somebody else", where=path, remedy="set HOME to a directory of your own")
    return path


def can_be_made(path: Path) -> bool:
    """Return whether a directory is there and can be written, or can be made."""
    # Path.exists raises PermissionError below a directory that may not be entered.
    nearest = next(each for each in (path, *path.parents) if os.path.exists(each))  # noqa: PTH110  # see above
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def app_key(app: Path) -> str:
    """Return the name of an app's directories: readable, and different for each path."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", app.name).strip("-").lower() or "app"
    return f"{readable}-{hashlib.sha256(os.fsencode(app)).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The working directory of one build."""

    path: Path

    @property
    def layers(self) -> Path:
        """The layers directory."""
        return self.path / "layers"

    @property
    def app(self) -> Path:
        """The copy of the app."""
        return self.path / "workspace"

    @property
    def platform(self) -> Path:
        """The platform directory."""
        return self.path / "platform"

    @property
    def cnb(self) -> Path:
        """Buildpacks and their order."""
        return self.path / "cnb"

    @property
    def root(self) -> Path:
        """The mount point of the build's own view of the file system."""
        return self.path / "root"

    @property
    def run_image(self) -> Path:
        """The run image while it is being extended."""
        return self.path / "run-image"


def new_workspace(parent: Path) -> Workspace:
    """Make the directories of a build below ``parent`` and hold them until this process ends.

    Builds that no process holds any more, but for the last, are removed.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        workspace = _held_workspace(parent)
        workspace.path.chmod(0o755)
        for directory in (workspace.layers, workspace.app, workspace.platform / "env", workspace.cnb, workspace.root):
            directory.mkdir(parents=True)
    except OSError as error:
        raise LifecycleError(
            f"can't be written: {error.strerror}", where=parent, remedy="set XDG_STATE_HOME to a writable directory"
        ) from error
    return workspace


def _held_workspace(parent: Path) -> Workspace:
    """Make a directory and hold it; until it is held, a build that ends may take it for abandoned."""
    while True:
        workspace = Workspace(Path(tempfile.mkdtemp(prefix="build-", dir=parent)))
        with suppress(FileNotFoundError):
            _hold(workspace.path)
            if workspace.path.exists():
                return workspace


def _hold(path: Path) -> None:
    """Lock a build for the rest of this process and of what it becomes by ``exec``."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # the function's own signature


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Let nobody remove a build meanwhile; yield whether it is there."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield path.is_dir()
    finally:
        os.close(descriptor)


def remember(workspace: Workspace, state: Path, facts: Mapping[str, Any]) -> None:
    """Make a build the last one, for ``lifecycle run``, and remove those before it that nobody holds."""
    from lifecycle.files.atomic import write_atomic

    text = json.dumps({"workspace": str(workspace.path), **facts}, indent=2)
    write_atomic(state / _LAST, text.encode())
    for other in workspace.path.parent.iterdir():
        if other != workspace.path:
            _remove_unless_held(other)


def discard(workspace: Workspace) -> None:
    """Remove a build that failed."""
    _remove(workspace.path)


def keep_failed(workspace: Workspace, state: Path) -> None:
    """Leave a build that failed for a look at it; of those before it the last one that succeeded stays."""
    last = ""
    with suppress(OSError, ValueError, KeyError, TypeError):
        last = json.loads((state / _LAST).read_text(encoding="utf-8"))["workspace"]
    for other in workspace.path.parent.iterdir():
        if other != workspace.path and str(other) != last:
            _remove_unless_held(other)


def _remove(path: Path) -> None:
    """Remove a build's directory, unless its mount point shows anything: what is below that is the host."""
    with suppress(OSError, LifecycleError):
        with suppress(FileNotFoundError):
            Workspace(path).root.rmdir()
        remove_tree(path)


def remove_build(path: Path) -> bool:
    """Remove a build unless a process holds it; say whether it is gone."""
    _remove_unless_held(path)
    return not path.exists()


def _remove_unless_held(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(descriptor)


def last_build(state: Path) -> tuple[Workspace, dict[str, Any]]:
    """Return the last successful build, held; raise ``LaunchError`` if there is none."""
    try:
        facts = json.loads((state / _LAST).read_text(encoding="utf-8"))
        workspace = Workspace(Path(facts["workspace"]))
        _hold(workspace.path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LaunchError("there is no build to run", remedy="build an app first: lifecycle build APP") from error
    return workspace, facts
