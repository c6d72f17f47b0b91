"""``lifecycle dist`` and ``lifecycle install``: the forms in which platforms take a lifecycle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.errors import DistributionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_distributions(targets: str, output: Path, *, report: Callable[[str], None]) -> None:
    """Write archive and image for each of ``linux/amd64,linux/arm64``; raises ``LifecycleError``."""
    _refuse_inside_executable()
    from lifecycle.dist.release import make_release
    from lifecycle.dist.target import parse_targets

    make_release(parse_targets(targets), output, phases=list(Phase), report=report)


def install_here(destination: Path, *, launcher: Path | None) -> None:
    """Install the running lifecycle to ``destination``; raises ``LifecycleError``."""
    _refuse_inside_executable()
    from lifecycle.dist.install import install

    install(destination, phases=list(Phase), launcher=launcher)


def _refuse_inside_executable() -> None:
    if "_carried" in sys.modules:
        raise DistributionError(
            "this lifecycle is a single file that can't make others",
            where=sys.executable,
            remedy="copy it, or use one that pip installed",
        )
