"""The builder.  Spec: platform.md "Builder"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.steps.build import build
from lifecycle.cli.steps.inputs import read_analyzed, read_group
from lifecycle.executables.process import run_process
from lifecycle.files.codec import load
from lifecycle.model.plan import Plan

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def builder(running: Running, settings: Settings) -> None:
    """Run the buildpacks of the group and write metadata.toml."""
    group = read_group(settings)
    plan = load(Plan, settings.path("plan"))
    analyzed = read_analyzed(settings)
    running.step = Phase.BUILDER
    build(settings, analyzed, group, plan, environment=running.environment, run=run_process, output=running.output)
