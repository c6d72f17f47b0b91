"""The extender.  Spec: platform.md "Extender"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phases.privileges import take_build_user
from lifecycle.cli.steps.extend import check_extension_apis, extend_image, extend_kind
from lifecycle.cli.steps.inputs import read_analyzed, read_group
from lifecycle.executables.process import run_process
from lifecycle.rules.extensions.dockerfiles import Kind

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def extender(running: Running, settings: Settings) -> None:
    """Extend the run image and save it, or extend the build image and build in it as its user."""
    kind = extend_kind(settings)
    group = read_group(settings)
    check_extension_apis(group)
    analyzed = read_analyzed(settings)
    running.step = Phase.EXTENDER
    environment = extend_image(
        settings, kind, analyzed, group, environment=running.environment, run=run_process, output=running.output
    )
    running.step = None
    if kind is Kind.RUN:
        return
    running.environment = take_build_user(settings, environment)
    from lifecycle.cli.phases.builder import builder

    builder(running, settings)
