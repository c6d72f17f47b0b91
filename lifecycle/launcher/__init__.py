"""The launcher: the static executable that starts the processes of an app image.

Its C sources lie beside this file; ``build.py`` compiles them.  Spec: platform.md "launcher".
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from lifecycle.errors import LaunchError

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def launcher_path(arch: str | None = None) -> Path:
    """Return the packaged launcher for linux/``arch`` (Go's word for it; the host's by default).

    Of the single file that carries Python it is the one beside that.
    """
    if arch is None and "_carried" in sys.modules:
        beside = Path(sys.executable).with_name("launcher")
        if beside.is_file():
            return beside
    machine = platform.machine().lower()
    arch = _MACHINES.get(machine, machine) if arch is None else arch
    path = Path(__file__).resolve().parent / "bin" / f"linux-{arch}" / "launcher"
    if not path.is_file():
        raise LaunchError(
            f"this installation has no launcher for linux/{arch}",
            where=path,
            remedy="there is one for linux/amd64 and linux/arm64; for others give one with -launcher",
        )
    return path
