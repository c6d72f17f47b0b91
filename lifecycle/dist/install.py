"""Puts the lifecycle that pip installed where platforms look for it: small scripts and links in ``/cnb/lifecycle``."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.dist.contents import DESCRIPTOR, LAUNCHER, PROGRAM, launcher_sboms
from lifecycle.dist.descriptor import descriptor_text
from lifecycle.dist.sbom import sbom_files
from lifecycle.dist.wheels import installed_components
from lifecycle.errors import DistributionError
from lifecycle.files.atomic import write_atomic
from lifecycle.launcher import launcher_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SCRIPT = """\
#!/bin/sh
exec {python} -I -c 'import sys; sys.argv = sys.argv[1:]; from lifecycle.cli.main import main; main()' "$0" "$@"
"""
"""``-I``: PYTHONPATH, PYTHONHOME and the working directory belong to the app and its buildpacks."""


def install(destination: Path, *, phases: Sequence[str], launcher: Path | None = None) -> None:
    """Write program, links, launcher and SBOMs to ``destination`` and ``lifecycle.toml`` above it.

    All of it can be read and run by every user, and nothing is written there later.  Raises ``LifecycleError``.
    """
    source = launcher_path() if launcher is None else launcher
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DistributionError(f"the launcher can't be read: {error.strerror}", where=source) from error
    script = _SCRIPT.format(python=shlex.quote(sys.executable))
    texts = {**sbom_files(PROGRAM, __version__, installed_components()), **launcher_sboms(__version__)}
    _make_directory(destination)
    for name, text in texts.items():
        _write(destination / name, text, 0o644)
    _write(destination / LAUNCHER, content, 0o755)
    _write(destination / PROGRAM, script.encode(), 0o755)
    for phase in phases:
        _link(destination / phase)
    _write(destination.parent / DESCRIPTOR, descriptor_text(__version__).encode(), 0o644)


def _make_directory(path: Path) -> None:
    """Make the directories that are missing so that everybody can look into them."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)
    except OSError as error:
        raise DistributionError(f"can't be made: {error.strerror}", where=path) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    write_atomic(path, content)
    try:
        path.chmod(mode)
    except OSError as error:
        raise DistributionError(f"can't be made executable: {error.strerror}", where=path) from error


def _link(path: Path) -> None:
    """Let ``path`` be a link to the program, whatever is there."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        temporary.symlink_to(PROGRAM)
        temporary.replace(path)
    except OSError as error:
        raise DistributionError(f"can't be linked: {error.strerror}", where=path) from error
