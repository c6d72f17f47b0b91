"""The rebaser.  Spec: platform.md "Rebaser"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.files.codec import save
from lifecycle.phases.rebase import RebaseInputs, find_run_image, plan_rebase, rebase

if TYPE_CHECKING:
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.phases.running import Running


def rebaser(running: Running, settings: Settings) -> None:
    """Write the app image on its new run image, and report.toml."""
    inputs = RebaseInputs(
        api=settings.api,
        names=settings.images,
        previous_image=settings.text("previous_image"),
        run_image=settings.text("image") or settings.text("run_image"),
        force=settings.switch("force"),
    )
    if settings.switch("daemon"):
        running.take_user(settings)
    running.step = Phase.REBASER
    plan = plan_rebase(inputs, images=running.images(settings))
    running.step = None
    if not settings.switch("daemon"):
        # Only the app image tells which run image there are credentials to be read for.
        running.take_user(settings, plan.run_image)
    images = running.images(settings)
    base = find_run_image(plan, images=images)
    running.step = Phase.REBASER
    rebased = rebase(inputs, plan, base, images=images)
    save(settings.path("report"), rebased.report.struct())
