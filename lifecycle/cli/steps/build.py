"""The build by buildpacks.  Spec: platform.md "Builder"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.cli.steps.image_paths import IN_PLACE, ImagePaths
from lifecycle.cli.steps.inputs import exec_env, known_target
from lifecycle.files.build_metadata import save_metadata
from lifecycle.files.observed_steps import remove_observed
from lifecycle.phases.build import NO_OBSERVER, BuildInputs
from lifecycle.phases.build import build as phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cli.caches.repository import SharedBuild
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Buildpack
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.build_metadata import BuildMetadata
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.step_recorder import StepRecorder


def build(
    settings: Settings,
    analyzed: Analyzed,
    group: Group,
    plan: Plan,
    *,
    environment: Mapping[str, str],
    run: Runner,
    output: Callable[[bytes], None],
    on_start: Callable[[Buildpack], None] = lambda _: None,
    paths: ImagePaths = IN_PLACE,
    shared: SharedBuild | None = None,
) -> BuildMetadata:
    """Run the group's buildpacks and leave metadata.toml for exporter and launcher.

    With ``shared`` each step ends with the outputs that other builders have too.
    """
    inputs = build_inputs(settings, analyzed, group, plan, environment=environment)
    # An exporter of its own shares the steps later, with what this process has seen of them.
    later = settings.phase is Phase.BUILDER and settings.text("cache_repo")
    asked = bool(settings.list("cache_to") or settings.list("cache_from") or later)
    seen = _recorder(settings, inputs, analyzed, paths) if asked or shared else None
    remove_observed(inputs.layers_dir)
    run_all = partial(phase, inputs, run=run, output=output, on_buildpack_start=on_start, observer=seen or NO_OBSERVER)
    if shared is None or seen is None:
        built = run_all()
    else:
        with shared.converging(inputs, seen, paths) as settle:
            built = run_all(settle=settle)
    save_metadata(inputs.layers_dir / "config" / "metadata.toml", built.metadata, settings.api)
    if seen is not None and asked:
        from lifecycle.files.observed_steps import save_observed

        save_observed(inputs.layers_dir, seen.steps)
    return built.metadata


def _recorder(settings: Settings, inputs: BuildInputs, analyzed: Analyzed, paths: ImagePaths) -> StepRecorder:
    """Return who takes down what the keys of the steps consist of."""
    from lifecycle.cli.caches.key_options import key_options
    from lifecycle.cli.caches.step_context import step_context
    from lifecycle.phases.step_recorder import StepRecorder

    image_layers_dir = str(paths.layers_dir or "")
    return StepRecorder(step_context(inputs, analyzed, key_options(settings), image_layers_dir=image_layers_dir))


def with_step_keys(
    settings: Settings, sources: CacheSources, inputs: BuildInputs, analyzed: Analyzed, paths: ImagePaths
) -> CacheSources:
    """Return the sources with the keys of the steps to come, where one of them knows steps by keys."""
    if not sources.opened:
        return sources
    from lifecycle.cli.caches.key_options import key_options
    from lifecycle.cli.caches.step_context import with_keys

    return with_keys(sources, inputs, analyzed, key_options(settings), image_layers_dir=str(paths.layers_dir or ""))


def build_inputs(
    settings: Settings, analyzed: Analyzed, group: Group, plan: Plan, *, environment: Mapping[str, str]
) -> BuildInputs:
    """Return what a build depends on."""
    return BuildInputs(
        platform_api=settings.api,
        app_dir=settings.path("app"),
        layers_dir=settings.path("layers"),
        buildpacks_dir=settings.path("buildpacks"),
        platform_dir=settings.path("platform"),
        build_config_dir=settings.path("build_config"),
        group=group,
        plan=plan,
        target=known_target(analyzed, announced=True),
        exec_env=exec_env(settings),
        process_env=environment,
    )
