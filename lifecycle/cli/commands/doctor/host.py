"""The checks of this host: the Docker daemon, mount namespaces, and the directories of a build."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cli.commands.build.workspace import cache_dir, state_dir
from lifecycle.cli.commands.doctor.check import Check, Mark, failed
from lifecycle.cli.logs.size_text import size_text
from lifecycle.errors import DaemonError, LifecycleError
from lifecycle.executables import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCARCE = 512 * 1024 * 1024
"""Bytes: what an ordinary build takes at the least."""

_OF_PHASES = (
    ("CNB_LAYERS_DIR", "/layers"),
    ("CNB_APP_DIR", "/workspace"),
    ("CNB_CACHE_DIR", ""),
    ("CNB_LAUNCH_CACHE_DIR", ""),
    ("CNB_LAYOUT_DIR", ""),
)
_SOCKET = Path("/var/run/docker.sock")


def engine(environment: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of what the kernel and the Docker daemon offer."""
    yield _namespaces()
    yield _daemon(environment)


def _namespaces() -> Check:
    with tempfile.TemporaryDirectory() as scratch:
        directories = [Path(scratch, name) for name in ("layers", "workspace", "root")]
        for directory in directories:
            directory.mkdir()
        layers, workspace, root = directories
        problem = namespace.obstacle({"/layers": layers, "/workspace": workspace}, root)
    if problem is None:
        return Check(Mark.OK, "namespaces", "lifecycle build can give buildpacks /layers and /workspace")
    return Check(
        Mark.FAILED,
        "namespaces",
        f"forbidden ({problem}): lifecycle build runs buildpacks elsewhere, and layers with absolute paths won't work",
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu "
        "kernel.apparmor_restrict_unprivileged_userns=0); in a container, run it with --security-opt "
        "seccomp=unconfined, or as root with --cap-add SYS_ADMIN",
    )


def _daemon(environment: Mapping[str, str]) -> Check:
    from lifecycle.images.daemon.client import connect

    host = environment.get("DOCKER_HOST")
    if not host and not _SOCKET.exists():
        return Check(Mark.NOTE, "daemon", f"none: DOCKER_HOST is not set and {_SOCKET} is not there")
    try:
        client = connect(environment)
    except DaemonError as error:
        return failed("daemon", error)
    return Check(Mark.OK, "daemon", f"{client.host} answers")


def directories(environment: Mapping[str, str], *, cache: Path | None) -> Iterator[Check]:
    """Yield a check for each directory that ``lifecycle build`` or the phases would write to."""
    yield _kept("state", environment, "XDG_STATE_HOME")
    if cache is None:
        yield _kept("cache", environment, "XDG_CACHE_HOME")
    else:
        yield writable("cache", cache, remedy="choose another --cache-dir")
    yield _temporary()
    for variable, default in _OF_PHASES:
        given = environment.get(variable, "")
        path = Path(given or default)
        if given or (default and path.exists()):
            remedy = f"chown {os.geteuid()}:{os.getegid()} {path}, or set {variable} to another directory"
            yield writable(path.name if given == "" else variable, path, remedy=remedy)
        elif default:
            yield Check(Mark.NOTE, path.name, f"{path} is not there: lifecycle build makes its own, phases need it")


def _kept(name: str, environment: Mapping[str, str], variable: str) -> Check:
    find = state_dir if name == "state" else cache_dir
    try:
        path = find(environment)
    except LifecycleError as error:
        return failed(name, error)
    check = writable(name, path, remedy=f"set {variable} to a directory on another file system", runs=name == "state")
    wanted = environment.get(variable) or environment.get("HOME")
    if check.mark is Mark.FAILED or (wanted and path.is_relative_to(wanted)):
        return check
    reason = f"{wanted} can't be written" if wanted else "HOME is not set"
    return Check(Mark.NOTE, name, f"{check.text}, because {reason}")


def _temporary() -> Check:
    try:
        path = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        return Check(Mark.FAILED, "temporary", str(error), "set TMPDIR to a directory that this user may write to")
    return writable("temporary", path, remedy="set TMPDIR to another directory")


def writable(name: str, path: Path, *, remedy: str, runs: bool = False) -> Check:
    """Check that files can be made in a directory, or it can be made itself; with ``runs``, programs started."""
    path = path.absolute()
    nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"\0")
    except OSError as error:
        where = "" if nearest == path else f" ({nearest})"
        return Check(Mark.FAILED, name, f"{path} can't be written{where}: {error.strerror}", remedy)
    if runs and os.statvfs(nearest).f_flag & os.ST_NOEXEC:
        return Check(Mark.FAILED, name, f"{path} is mounted noexec, so buildpacks can't run there", remedy)
    free = shutil.disk_usage(nearest).free
    shown = f"{path}, {size_text(free)} free"
    return Check(Mark.FAILED, name, f"{shown}: little", remedy) if free < _SCARCE else Check(Mark.OK, name, shown)
