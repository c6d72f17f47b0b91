"""The phase executables: analyzer, detector, restorer, builder, exporter, creator.

Spec: platform.md, one section for each phase.  Reference: cmd/lifecycle.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.cli import steps
from lifecycle.cli.arguments import check_arguments
from lifecycle.cli.cache_inputs import (
    insecure_names,
    load_snapshot,
    open_sources,
    registry_of,
    save_snapshot,
    source_specs,
    use_of,
    write_report,
)
from lifecycle.cli.cache_repository import lease_cache, share_build, shared_specs, with_own_layers
from lifecycle.cli.cache_targets import open_targets, target_specs
from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.flags import FlagError
from lifecycle.cli.inputs import Kind, inputs_of
from lifecycle.cli.phase_log import parse_level, raw_output, start_log
from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phase_stores import by_path, cache_images, open_cache, open_images
from lifecycle.cli.privileges import take_user
from lifecycle.cli.remote_stores import RemoteStores
from lifecycle.cli.settings import Settings, read_flags, resolve, wants, wants_color
from lifecycle.errors import LifecycleError
from lifecycle.executables.process import run_process
from lifecycle.files.codec import load, save
from lifecycle.files.half_replaced import check_not_half_replaced
from lifecycle.model.api import LATEST_PLATFORM_API, PlatformApi, PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.plan import Plan
from lifecycle.phases.cache_sources import NO_SOURCES
from lifecycle.phases.rebase import RebaseInputs, find_run_image, plan_rebase, rebase
from lifecycle.phases.restore_run_image import identify_run_image, must_be_identified, with_readable_run_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.images.store import ImageStore
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.phases.cache_sources import CacheSources

_LOG = logging.getLogger(__name__)

_FAILED_TO = {
    Phase.ANALYZER: "analyze",
    Phase.DETECTOR: "detect",
    Phase.RESTORER: "restore",
    Phase.BUILDER: "build",
    Phase.EXPORTER: "export",
    Phase.CREATOR: "create",
    Phase.REBASER: "rebase",
}

_LAYOUT_PHASES = (Phase.ANALYZER, Phase.EXPORTER, Phase.CREATOR)
"""Those in which a layout is an experimental feature, as in the reference."""


def run_phase(phase: Phase, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a phase as platforms call it and return its exit code."""
    start_log(level=logging.DEBUG, color=wants_color(arguments, environment))
    running = _Running(phase, environment)
    try:
        running.start(arguments)
    except FlagError as error:
        sys.stderr.write(f"{error}\n{_usage(phase, running.api)}")
        return exit_code(error, None)
    except LifecycleError as error:
        verb = _FAILED_TO[running.step or phase]
        _LOG.error("%s", f"failed to {verb}: {error}" if running.step else error)  # no traceback
        return exit_code(error, running.step)
    return 0


class _Running:
    """A phase on its way: what it was asked and which step it is in."""

    def __init__(self, phase: Phase, environment: Mapping[str, str]) -> None:
        self.phase = phase
        self.environment = environment
        self.api = LATEST_PLATFORM_API
        self.step: Phase | None = None

    def start(self, arguments: Sequence[str]) -> None:
        if wants(arguments, "help", "h"):
            sys.stdout.write(_usage(self.phase, self.api))
            return
        self.api = PlatformApi.parse(self.environment.get("CNB_PLATFORM_API"))
        if wants(arguments, "version"):
            sys.stdout.write(f"{__version__}\n")
            return
        settings = resolve(self.phase, self.api, read_flags(self.phase, self.api, arguments), self.environment)
        color = not settings.switch("no_color") and "NO_COLOR" not in self.environment
        level = parse_level(settings.text("log_level"))
        start_log(level=level, color=color)
        self.output = raw_output(color=color)
        caches = (*source_specs(settings), *target_specs(settings), *shared_specs(settings))
        insecure = (*settings.list("insecure_registry"), *insecure_names(caches))
        self.remote = RemoteStores(self.environment, insecure=insecure)
        _LOG.debug("Starting %s...", self.phase)
        _LOG.debug("Parsing inputs...")
        check_arguments(settings, self.environment)
        if settings.switch("layout") and self.phase in _LAYOUT_PHASES:
            self.guard(settings, "export to OCI layout format", experimental=True)
            settings = by_path(settings)
        if self.phase is not Phase.REBASER:
            self.take_user(settings)
        _RUN[self.phase](self, settings)

    def take_user(self, settings: Settings, *images: str) -> None:
        """Become the user of the build; ``images`` are used besides those that the inputs name."""
        _LOG.debug("Ensuring privileges...")
        self.remote, self.environment = take_user(settings, self.environment, self.remote, more_images=images)
        _LOG.debug("Executing command...")

    def images(self, settings: Settings) -> ImageStore:
        """Return where images are kept."""
        return open_images(settings, self.remote)

    def guard(self, settings: Settings, feature: str, *, experimental: bool) -> None:
        """Let an experimental feature pass as the platform said.  Spec: platform.md "Experimental Features"."""
        if not experimental:
            return
        match settings.text("experimental_mode"):
            case "error":
                _LOG.error("Platform requested experimental feature '%s'", feature)
                raise LifecycleError(
                    "experimental features are disabled by CNB_EXPERIMENTAL_MODE=error",
                    remedy="set CNB_EXPERIMENTAL_MODE to warn or silent",
                )
            case "quiet" | "silent":
                pass
            case _:
                _LOG.warning("Platform requested experimental feature '%s'", feature)

    def analyzer(self, settings: Settings) -> None:
        images = self.images(settings)
        self.step = Phase.ANALYZER
        analyzed = steps.analyze(settings, images=images, cache_images=cache_images(settings, self.remote))
        save(settings.path("analyzed"), analyzed.struct())

    def detector(self, settings: Settings) -> None:
        analyzed = steps.read_analyzed(settings)
        self.step = Phase.DETECTOR
        found = self._detect(settings, analyzed)
        save(settings.path("group"), found.group.struct())
        save(settings.path("plan"), found.plan.struct())
        if found.group.group_extensions:
            save(settings.path("analyzed"), found.analyzed.struct())

    def _detect(self, settings: Settings, analyzed: Analyzed, *, generates: bool = True) -> steps.DetectedGroup:
        return steps.detect(
            settings,
            analyzed,
            environment=self.environment,
            run=run_process,
            output=self.output,
            allow_extensions=lambda: self.guard(
                settings, "Dockerfiles", experimental=PlatformFeature.EXTENSIONS_EXPERIMENTAL in settings.api
            ),
            generates=generates,
        )

    def restorer(self, settings: Settings) -> None:
        group = steps.read_group(settings)
        analyzed = steps.read_analyzed_if_usable(settings)
        if PlatformFeature.RESTORER_READS_RUN_TOML in settings.api:
            analyzed = with_readable_run_image(analyzed, run=steps.read_run(settings), images=self.images(settings))
        if must_be_identified(analyzed, group):
            analyzed = identify_run_image(analyzed, api=settings.api, images=self.images(settings))
        save(settings.path("analyzed"), analyzed.struct())
        cache = open_cache(settings, self.remote)
        lease_cache(settings, self.remote)
        sources = self.sources(settings, analyzed, analyzed.image.reference if analyzed.image else "")
        if sources.opened:
            sources = with_own_layers(sources, cache, analyzed)
            plan = load(Plan, settings.path("plan"), missing_ok=True) or Plan()
            inputs = steps.build_inputs(settings, analyzed, group, plan, environment=self.environment)
            sources = steps.with_step_keys(sources, inputs, analyzed, steps.IN_PLACE)
        self.step = Phase.RESTORER
        account = steps.restore(settings, analyzed, group, cache=cache, sources=sources)
        use = use_of(settings, analyzed, sources, account)
        save_snapshot(settings, use)
        if use is not None:
            write_report(settings.optional_path("cache_report"), use.report)

    def sources(self, settings: Settings, analyzed: Analyzed, written: str) -> CacheSources:
        """Open the caches that the platform names; ``written`` is, or is like, the name of the image to write."""
        specs = (*source_specs(settings), *shared_specs(settings))
        if not specs or steps.skips_layers(settings):
            return NO_SOURCES
        elsewhere = settings.switch("daemon") or settings.switch("layout")
        return open_sources(
            specs,
            self.remote,
            target=steps.known_target(analyzed),
            exec_env=steps.exec_env(settings),
            layers_dir=str(settings.path("layers")),
            registry="" if elsewhere else registry_of(written),
        )

    def builder(self, settings: Settings) -> None:
        group = steps.read_group(settings)
        plan = load(Plan, settings.path("plan"))
        analyzed = steps.read_analyzed(settings)
        self.step = Phase.BUILDER
        steps.build(settings, analyzed, group, plan, environment=self.environment, run=run_process, output=self.output)

    def exporter(self, settings: Settings) -> None:
        images = self.images(settings)
        with steps.resolving_inputs():
            analyzed = steps.read_analyzed(settings)
        group = steps.read_group(settings)
        metadata = load(BuildMetadata, settings.path("layers") / "config" / "metadata.toml")
        check_not_half_replaced(settings.path("layers"))
        cache = open_cache(settings, self.remote)
        use = load_snapshot(settings, self.remote)
        lease = lease_cache(settings, self.remote)
        taken = use.elsewhere if use else {}
        shared = share_build(settings, self.remote, analyzed, images=images, taken=taken, lease=lease)
        if shared is not None:
            self.step = Phase.EXPORTER
            metadata = shared.publish(settings.path("layers"), group, metadata, settings.api)
            self.step = None
        ready = steps.prepare_export(settings, analyzed, group, metadata, images=images)
        targets = open_targets(settings, self.remote)
        self.step = Phase.EXPORTER
        steps.export(settings, ready, images=images, cache=cache, use=use, targets=targets, shared=shared)

    def creator(self, settings: Settings) -> None:
        images = self.images(settings)
        cache = open_cache(settings, self.remote)
        self._enter(Phase.ANALYZER, "ANALYZING")
        analyzed = steps.analyze(settings, images=images, cache_images=cache_images(settings, self.remote))
        save(settings.path("analyzed"), analyzed.struct())
        self._enter(Phase.DETECTOR, "DETECTING")
        found = self._detect(settings, analyzed, generates=False)
        save(settings.path("group"), found.group.struct())
        save(settings.path("plan"), found.plan.struct())
        use = None
        lease = lease_cache(settings, self.remote)
        if PlatformFeature.CREATOR_ALWAYS_RESTORES in settings.api or not settings.switch("skip_restore"):
            self._enter(Phase.RESTORER, "RESTORING")
            sources = self.sources(settings, found.analyzed, settings.images[0])
            if sources.opened:
                sources = with_own_layers(sources, cache, found.analyzed)
                inputs = steps.build_inputs(
                    settings, found.analyzed, found.group, found.plan, environment=self.environment
                )
                sources = steps.with_step_keys(sources, inputs, found.analyzed, steps.IN_PLACE)
            account = steps.restore(settings, found.analyzed, found.group, cache=cache, sources=sources)
            use = use_of(settings, found.analyzed, sources, account)
        taken = use.elsewhere if use else {}
        shared = share_build(settings, self.remote, found.analyzed, images=images, taken=taken, lease=lease)
        self._enter(Phase.BUILDER, "BUILDING")
        metadata = steps.build(
            settings,
            found.analyzed,
            found.group,
            found.plan,
            environment=self.environment,
            run=run_process,
            output=self.output,
            shared=shared,
        )
        self._enter(None, "EXPORTING")
        ready = steps.prepare_export(settings, found.analyzed, found.group, metadata, images=images)
        targets = open_targets(settings, self.remote)
        self.step = Phase.EXPORTER
        steps.export(settings, ready, images=images, cache=cache, use=use, targets=targets, shared=shared)

    def rebaser(self, settings: Settings) -> None:
        inputs = RebaseInputs(
            api=settings.api,
            names=settings.images,
            previous_image=settings.text("previous_image"),
            run_image=settings.text("image") or settings.text("run_image"),
            force=settings.switch("force"),
        )
        if settings.switch("daemon"):
            self.take_user(settings)
        self.step = Phase.REBASER
        plan = plan_rebase(inputs, images=self.images(settings))
        self.step = None
        if not settings.switch("daemon"):
            # Only the app image tells which run image there are credentials to be read for.
            self.take_user(settings, plan.run_image)
        images = self.images(settings)
        base = find_run_image(plan, images=images)
        self.step = Phase.REBASER
        rebased = rebase(inputs, plan, base, images=images)
        save(settings.path("report"), rebased.report.struct())

    def _enter(self, step: Phase | None, title: str) -> None:
        self.step = step
        _LOG.info("===> %s", title)


_RUN = {
    Phase.ANALYZER: _Running.analyzer,
    Phase.DETECTOR: _Running.detector,
    Phase.RESTORER: _Running.restorer,
    Phase.BUILDER: _Running.builder,
    Phase.EXPORTER: _Running.exporter,
    Phase.CREATOR: _Running.creator,
    Phase.REBASER: _Running.rebaser,
}


def _usage(phase: Phase, api: PlatformApi) -> str:
    lines = [f"Usage of {phase}:"]
    for row in inputs_of(phase, api):
        value = "" if row.kind is Kind.FLAG else f" {row.kind.name.lower()}"
        source = f" (environment: {row.variable})" if row.variable else ""
        default = f" (default: {row.default})" if row.default else ""
        lines.append(f"  -{row.flag}{value}{source}{default}")
    return "\n".join([*lines, ""])
