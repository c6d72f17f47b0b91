"""The detector.  Spec: platform.md "Detector"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.steps.detect import detect
from lifecycle.cli.steps.inputs import read_analyzed
from lifecycle.executables.process import run_process
from lifecycle.files.codec import save
from lifecycle.model.api import PlatformFeature

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running
    from lifecycle.cli.steps.detect import DetectedGroup
    from lifecycle.model.analyzed import Analyzed


def detector(running: Running, settings: Settings) -> None:
    """Write group.toml and plan.toml; with extensions, analyzed.toml as they changed it."""
    analyzed = read_analyzed(settings)
    running.step = Phase.DETECTOR
    found = detect_group(running, settings, analyzed)
    save(settings.path("group"), found.group.struct())
    save(settings.path("plan"), found.plan.struct())
    if found.group.group_extensions:
        save(settings.path("analyzed"), found.analyzed.struct())


def detect_group(running: Running, settings: Settings, analyzed: Analyzed, *, generates: bool = True) -> DetectedGroup:
    """Detect as the platform's inputs say; raise ``DetectionError`` for extensions if nobody ``generates``."""
    return detect(
        settings,
        analyzed,
        environment=running.environment,
        run=run_process,
        output=running.output,
        allow_extensions=lambda: running.guard(
            settings, "Dockerfiles", experimental=PlatformFeature.EXTENSIONS_EXPERIMENTAL in settings.api
        ),
        generates=generates,
    )
