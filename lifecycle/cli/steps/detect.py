"""Detection, and generation where the group has image extensions.  Spec: platform.md "Detector"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.cli.steps.inputs import exec_env, known_target, read_run
from lifecycle.errors import DetectionError
from lifecycle.files.codec import load
from lifecycle.model.api import PlatformFeature
from lifecycle.model.descriptor import Order, System
from lifecycle.model.plan import Plan
from lifecycle.phases.detect import DetectInputs
from lifecycle.phases.detect import detect as phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.executables.process import Runner
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group
    from lifecycle.phases.detect import Detected
    from lifecycle.phases.generate import Generated, GeneratedDockerfile
    from lifecycle.rules.detection import Attempt


@dataclass(frozen=True, slots=True)
class DetectedGroup:
    """What detection leaves: group, plan, the analysis as extensions changed it, and their Dockerfiles.

    ``plan`` lacks what extensions met, ``resolved`` has it.  ``attempts`` account for the groups that were tried.
    """

    group: Group
    plan: Plan
    analyzed: Analyzed
    dockerfiles: tuple[GeneratedDockerfile, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    resolved: Plan = field(default_factory=Plan)


def detect(
    settings: Settings,
    analyzed: Analyzed,
    *,
    environment: Mapping[str, str],
    run: Runner,
    output: Callable[[bytes], None],
    allow_extensions: Callable[[], None],
    generates: bool = True,
) -> DetectedGroup:
    """Choose the group and resolve its plan; let its extensions generate Dockerfiles.

    Raises ``DetectionError`` for a group with extensions unless somebody ``generates`` for an extender.
    """
    order = load(Order, settings.path("order"))
    if order.order_extensions:
        allow_extensions()
    system = System()
    if PlatformFeature.SYSTEM_BUILDPACKS in settings.api:
        system = load(System, settings.path("system"), missing_ok=True) or System()
    target = known_target(analyzed, announced=True)
    inputs = DetectInputs(
        platform_api=settings.api,
        app_dir=settings.path("app"),
        buildpacks_dir=settings.path("buildpacks"),
        extensions_dir=settings.path("extensions"),
        platform_dir=settings.path("platform"),
        build_config_dir=settings.path("build_config"),
        order=order,
        system=system,
        target=target,
        exec_env=exec_env(settings),
        stack_id=settings.text("stack_id"),
        process_env=environment,
    )
    detected = phase(inputs, run=run)
    if not detected.group.group_extensions:
        return DetectedGroup(
            detected.group, detected.plan, analyzed, attempts=detected.attempts, resolved=detected.plan
        )
    if not generates:
        raise DetectionError(
            "detected order contains extensions which is not supported by the creator",
            remedy="take order-extensions out of the order, or run the phases one by one",
        )
    generated = _generate(settings, inputs, detected, analyzed, run=run, output=output)
    return DetectedGroup(
        detected.group,
        generated.plan,
        generated.analyzed,
        generated.dockerfiles,
        attempts=detected.attempts,
        resolved=detected.plan,
    )


def _generate(
    settings: Settings,
    inputs: DetectInputs,
    detected: Detected,
    analyzed: Analyzed,
    *,
    run: Runner,
    output: Callable[[bytes], None],
) -> Generated:
    """Let the extensions of the group that was detected make their Dockerfiles."""
    from lifecycle.phases.generate import GenerateInputs, generate

    return generate(
        GenerateInputs(
            platform_api=inputs.platform_api,
            app_dir=inputs.app_dir,
            extensions_dir=inputs.extensions_dir,
            generated_dir=settings.path("generated"),
            platform_dir=inputs.platform_dir,
            build_config_dir=inputs.build_config_dir,
            group=detected.group,
            plan=detected.plan,
            analyzed=analyzed,
            run_metadata=read_run(settings),
            target=inputs.target,
            process_env=inputs.process_env,
        ),
        run=run,
        output=output,
    )
