"""A phase on its way from the command line to an exit code.

Spec: platform.md, one section for each phase.  Reference: cmd/lifecycle.
"""

from __future__ import annotations

import gc
import logging
import sys
from typing import TYPE_CHECKING, assert_never

from lifecycle import __version__
from lifecycle.cli.caches.specs import insecure_names, shared_specs, source_specs, target_specs
from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.inputs.arguments import check_arguments
from lifecycle.cli.inputs.flags import FlagError
from lifecycle.cli.inputs.settings import Settings, read_flags, resolve, wants, wants_color
from lifecycle.cli.inputs.table import Kind, inputs_of
from lifecycle.cli.logs.phase_log import parse_level, raw_output, start_log
from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phases.privileges import take_user
from lifecycle.cli.refusals import refusals_as_errors
from lifecycle.cli.stores.phase import by_path, open_images
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import LifecycleError
from lifecycle.model.api import LATEST_PLATFORM_API, PlatformApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.images.store import ImageStore

_LOG = logging.getLogger(__name__)

_FAILED_TO = {
    Phase.ANALYZER: "analyze",
    Phase.DETECTOR: "detect",
    Phase.RESTORER: "restore",
    Phase.EXTENDER: "extend",
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
    running = Running(phase, environment)
    try:
        with refusals_as_errors():
            running.start(arguments)
    except FlagError as error:
        sys.stderr.write(f"{error}\n{_usage(phase, running.api)}")
        return exit_code(error, None)
    except LifecycleError as error:
        verb = _FAILED_TO[running.step or phase]
        _LOG.error("%s", f"failed to {verb}: {error}" if running.step else error)  # no traceback
        return exit_code(error, running.step)
    return 0


class Running:
    """A phase on its way: what it was asked and which step it is in."""

    def __init__(self, phase: Phase, environment: Mapping[str, str]) -> None:
        self.phase = phase
        self.environment = environment
        self.api = LATEST_PLATFORM_API
        self.step: Phase | None = None

    def start(self, arguments: Sequence[str]) -> None:
        """Read flags and environment, become the user of the build, and run; raise ``LifecycleError``."""
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
        if caches:
            from lifecycle.cli.caches.key_options import read_key_files

            read_key_files(settings)
        if self.phase is not Phase.REBASER:
            self.take_user(settings)
        executable = _executable(self.phase)
        gc.freeze()
        gc.enable()
        executable(self, settings)

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

    def enter(self, step: Phase | None, title: str) -> None:
        """Tell that a step of several begins; its errors are told as those of ``step``."""
        self.step = step
        _LOG.info("===> %s", title)


def _executable(phase: Phase) -> Callable[[Running, Settings], None]:
    """Load a phase: itself alone, for a phase that has little to do spends most of its time on that."""
    match phase:
        case Phase.ANALYZER:
            from lifecycle.cli.phases.analyzer import analyzer

            return analyzer
        case Phase.DETECTOR:
            from lifecycle.cli.phases.detector import detector

            return detector
        case Phase.RESTORER:
            from lifecycle.cli.phases.restorer import restorer

            return restorer
        case Phase.EXTENDER:
            from lifecycle.cli.phases.extender import extender

            return extender
        case Phase.BUILDER:
            from lifecycle.cli.phases.builder import builder

            return builder
        case Phase.EXPORTER:
            from lifecycle.cli.phases.exporter import exporter

            return exporter
        case Phase.CREATOR:
            from lifecycle.cli.phases.creator import creator

            return creator
        case Phase.REBASER:
            from lifecycle.cli.phases.rebaser import rebaser

            return rebaser
    assert_never(phase)


def _usage(phase: Phase, api: PlatformApi) -> str:
    lines = [f"Usage of {phase}:"]
    for row in inputs_of(phase, api):
        value = "" if row.kind is Kind.FLAG else f" {row.kind.name.lower()}"
        source = f" (environment: {row.variable})" if row.variable else ""
        default = f" (default: {row.default})" if row.default else ""
        lines.append(f"  -{row.flag}{value}{source}{default}")
    return "\n".join([*lines, ""])
