"""The programs that take part in making a distribution: pip, apt-get, zig's C compiler, Python itself."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from lifecycle.errors import DistributionError
from lifecycle.launcher.build import cache_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def run_tool(
    command: Sequence[str],
    *,
    purpose: str,
    remedy: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run ``command`` and return its standard output; raises ``DistributionError`` that ends with what it said last."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise DistributionError(f"{purpose}: {error}", remedy=remedy) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise DistributionError(f"{purpose}: {' '.join(said[-3:])}", remedy=remedy)
    return done.stdout


def run_python(arguments: Sequence[str], *, purpose: str, remedy: str) -> bytes:
    """Run this interpreter, with strings hashed alike each time; raises ``DistributionError``."""
    environment = {"PYTHONHASHSEED": "0"}
    return run_tool([sys.executable, *arguments], purpose=purpose, remedy=remedy, environment=environment)


def compile_c(
    sources: Sequence[str], output: Path, *, compiler_target: str, flags: Sequence[str], directory: Path
) -> None:
    """Compile C files of ``directory`` with zig, which makes the same bytes on every machine."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", compiler_target, *flags]
    command += [f"-ffile-prefix-map={directory}=.", *sources, "-o", str(output)]
    run_tool(
        command,
        purpose=f"{sources[0]} can't be compiled for {compiler_target}",
        remedy="install a recent compiler: pip install 'cnb-lifecycle[dist]'",
        cwd=directory,
        environment=cache_variables(),
    )
