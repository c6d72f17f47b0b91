"""Every input that platforms give to phases: one row each.

A value comes from the flag, else from the environment (empty is unset), else from the default.
Spec: platform.md, the table "Inputs" of each phase.  ``cache_from``, ``cache_report``, ``cache_repo``
and ``cache_to`` are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.model.api import ApiVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.model.api import PlatformApi

_LETTERS = {
    "a": Phase.ANALYZER,
    "d": Phase.DETECTOR,
    "r": Phase.RESTORER,
    "x": Phase.EXTENDER,
    "b": Phase.BUILDER,
    "e": Phase.EXPORTER,
    "c": Phase.CREATOR,
    "R": Phase.REBASER,
}


class Kind(Enum):
    """How the text of a value is read; in the environment, ``LIST`` has commas and ``LINES`` has one value a line."""

    TEXT = auto()
    PATH = auto()
    FLAG = auto()
    ID = auto()
    DURATION = auto()
    LIST = auto()
    LINES = auto()


@dataclass(frozen=True, slots=True)
class Input:
    """One input; ``since`` and ``until`` tell in which Platform APIs each phase accepts the flag."""

    name: str
    kind: Kind
    variable: str
    default: str
    since: dict[Phase, ApiVersion]
    until: ApiVersion | None = None
    has_flag: bool = True

    @property
    def flag(self) -> str:
        """The flag without its dash."""
        return self.name.replace("_", "-")

    def accepted_by(self, phase: Phase, api: PlatformApi) -> bool:
        """Say whether ``phase`` has the flag in ``api``."""
        since = self.since.get(phase)
        return (
            self.has_flag
            and since is not None
            and since <= api.version
            and (self.until is None or api.version <= self.until)
        )


def _row(
    name: str, kind: Kind, variable: str, default: str, phases: str, *, until: str | None = None, has_flag: bool = True
) -> Input:
    """Read ``phases`` such as ``a7 d10``: a letter for the phase, then N of the Platform API 0.N that brought it."""
    since = {_LETTERS[word[0]]: ApiVersion(0, int(word[1:])) for word in phases.split()}
    return Input(name, kind, variable, default, since, None if until is None else ApiVersion.parse(until), has_flag)


INPUTS: tuple[Input, ...] = (
    _row("analyzed", Kind.PATH, "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "a7 d10 r7 b12 e7 x10"),
    _row("app", Kind.PATH, "CNB_APP_DIR", "/workspace", "d7 b7 e7 c7 x10"),
    _row("build_config", Kind.PATH, "CNB_BUILD_CONFIG_DIR", "/cnb/build-config", "d11 b11 c11 x11"),
    _row("build_image", Kind.TEXT, "CNB_BUILD_IMAGE", "", "r10"),
    _row("buildpacks", Kind.PATH, "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", "d7 b7 c7 x10"),
    _row("cache_dir", Kind.PATH, "CNB_CACHE_DIR", "", "r7 e7 c7"),
    _row("cache_from", Kind.LINES, "CNB_CACHE_FROM", "", "r7 c7"),
    _row("cache_image", Kind.TEXT, "CNB_CACHE_IMAGE", "", "a7 r7 e7 c7"),
    _row("cache_report", Kind.PATH, "CNB_CACHE_REPORT", "", "r7 e7 c7"),
    _row("cache_repo", Kind.TEXT, "CNB_CACHE_REPO", "", "r7 b7 e7 c7"),
    _row("cache_to", Kind.LINES, "CNB_CACHE_TO", "", "b7 e7 c7"),
    _row("daemon", Kind.FLAG, "CNB_USE_DAEMON", "false", "a7 r12 e7 c7 R7"),
    _row("exec_env", Kind.TEXT, "CNB_EXEC_ENV", "production", "d15 r15 b15 e15 c15 x15", has_flag=False),
    _row("experimental_mode", Kind.TEXT, "CNB_EXPERIMENTAL_MODE", "error", "", has_flag=False),
    _row("extended", Kind.PATH, "CNB_EXTENDED_DIR", "<layers>/extended", "e12 x12"),
    _row("extensions", Kind.PATH, "CNB_EXTENSIONS_DIR", "/cnb/extensions", "d10"),
    _row("force", Kind.FLAG, "CNB_FORCE_REBASE", "false", "R12"),
    _row("generated", Kind.PATH, "CNB_GENERATED_DIR", "<layers>/generated", "d10 r12 x10"),
    _row("gid", Kind.ID, "CNB_GROUP_ID", "0", "a7 r7 e7 c7 R7 x10"),
    _row("group", Kind.PATH, "CNB_GROUP_PATH", "<layers>/group.toml", "d7 r7 b7 e7 x10"),
    _row("image", Kind.TEXT, "", "", "e7 R7"),
    _row("insecure_registry", Kind.LIST, "CNB_INSECURE_REGISTRIES", "", "a13 r13 e13 c13 R13"),
    _row("kaniko_cache_ttl", Kind.DURATION, "CNB_KANIKO_CACHE_TTL", "336h0m0s", "x10"),
    _row("kind", Kind.TEXT, "CNB_EXTEND_KIND", "build", "x12"),
    _row("launch_cache", Kind.PATH, "CNB_LAUNCH_CACHE_DIR", "", "a9 e7 c7"),
    _row("launcher", Kind.PATH, "", "/cnb/lifecycle/launcher", "e7 c7"),
    _row("launcher_sbom", Kind.PATH, "", "/cnb/lifecycle", "e11 c11"),
    _row("layers", Kind.PATH, "CNB_LAYERS_DIR", "/layers", "a7 d7 r7 b7 e7 c7 x10"),
    _row("layout", Kind.FLAG, "CNB_USE_LAYOUT", "false", "a12 r12 e12 c12"),
    _row("layout_dir", Kind.PATH, "CNB_LAYOUT_DIR", "", "a12 r12 e12 c12"),
    _row("log_level", Kind.TEXT, "CNB_LOG_LEVEL", "info", "a7 d7 r7 b7 e7 c7 R7 x10"),
    _row("no_color", Kind.FLAG, "CNB_NO_COLOR", "false", "a7 d7 r7 b7 e7 c7 R7 x10"),
    _row("order", Kind.PATH, "CNB_ORDER_PATH", "<layers>/order.toml", "d7 c7"),
    _row("parallel", Kind.FLAG, "CNB_PARALLEL_EXPORT", "false", "e7 c7"),
    _row("plan", Kind.PATH, "CNB_PLAN_PATH", "<layers>/plan.toml", "d7 b7 x10"),
    _row("platform", Kind.PATH, "CNB_PLATFORM_DIR", "/platform", "d7 b7 c7 x10"),
    _row("previous_image", Kind.TEXT, "CNB_PREVIOUS_IMAGE", "", "a7 c7 R11"),
    _row("process_type", Kind.TEXT, "CNB_PROCESS_TYPE", "", "e7 c7"),
    _row("project_metadata", Kind.PATH, "CNB_PROJECT_METADATA_PATH", "<layers>/project-metadata.toml", "e7 c7"),
    _row("report", Kind.PATH, "CNB_REPORT_PATH", "<layers>/report.toml", "e7 c7 R7"),
    _row("run", Kind.PATH, "CNB_RUN_PATH", "/cnb/run.toml", "a12 d12 r14 e12 c12"),
    _row("run_image", Kind.TEXT, "CNB_RUN_IMAGE", "", "a7 e7 c7 R7"),
    _row("skip_layers", Kind.FLAG, "CNB_SKIP_LAYERS", "false", "a9 r7"),
    _row("skip_restore", Kind.FLAG, "CNB_SKIP_RESTORE", "false", "c7"),
    _row("source_date_epoch", Kind.TEXT, "SOURCE_DATE_EPOCH", "", "e9 c9", has_flag=False),
    _row("stack", Kind.PATH, "CNB_STACK_PATH", "/cnb/stack.toml", "a7 e7 c7", until="0.11"),
    _row("stack_id", Kind.TEXT, "CNB_STACK_ID", "", "d7 c7", has_flag=False),
    _row("system", Kind.PATH, "CNB_SYSTEM_PATH", "/cnb/system.toml", "d15 c15"),
    _row("tag", Kind.LIST, "", "", "a7 c7"),
    _row("uid", Kind.ID, "CNB_USER_ID", "0", "a7 r7 e7 c7 R7 x10"),
)

BUILDER_ORDER = "/cnb/order.toml"
"""Where the order is when ``<layers>/order.toml`` is missing and no other is named."""


def inputs_of(phase: Phase, api: PlatformApi) -> Iterable[Input]:
    """Return the rows whose flag ``phase`` accepts in ``api``."""
    return (row for row in INPUTS if row.accepted_by(phase, api))
