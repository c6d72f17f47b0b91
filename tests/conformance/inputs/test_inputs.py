"""Every input of every phase in every Platform API: flag, environment and default, as the specification lists them.

Spec: platform.md, the table "Inputs" of each phase.
"""

import pytest

from lifecycle.cli.inputs.flags import FlagError
from lifecycle.cli.inputs.settings import read_flags, resolve
from lifecycle.cli.inputs.table import inputs_of
from lifecycle.cli.phase_names import Phase
from lifecycle.model.api import PLATFORM_APIS, PlatformApi

LIST_FLAGS = {"-insecure-registry", "-tag"}
SWITCHES = {"-daemon", "-force", "-layout", "-parallel", "-skip-layers", "-skip-restore"}
NUMBERS = {"-uid", "-gid"}
ENV_ONLY = {"CNB_EXEC_ENV": "exec_env", "SOURCE_DATE_EPOCH": "source_date_epoch"}

# requirement, phase, flag, environment variable, default, first and last Platform API
TABLE = [
    ("PLAT-ANA-001", "analyzer", "-analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "0.7", "0.15"),
    ("PLAT-ANA-002", "analyzer", "-cache-image", "CNB_CACHE_IMAGE", "", "0.7", "0.15"),
    ("PLAT-ANA-003", "analyzer", "-daemon", "CNB_USE_DAEMON", "false", "0.7", "0.15"),
    ("PLAT-ANA-004", "analyzer", "-gid", "CNB_GROUP_ID", "0", "0.7", "0.15"),
    ("PLAT-ANA-005", "analyzer", "-insecure-registry", "CNB_INSECURE_REGISTRIES", "", "0.13", "0.15"),
    ("PLAT-ANA-006", "analyzer", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-ANA-007", "analyzer", "-layout", "CNB_USE_LAYOUT", "false", "0.12", "0.15"),
    ("PLAT-ANA-008", "analyzer", "-layout-dir", "CNB_LAYOUT_DIR", "", "0.12", "0.15"),
    ("PLAT-ANA-010", "analyzer", "-launch-cache", "CNB_LAUNCH_CACHE_DIR", "", "0.9", "0.15"),
    ("PLAT-ANA-011", "analyzer", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-ANA-012", "analyzer", "-previous-image", "CNB_PREVIOUS_IMAGE", "", "0.7", "0.15"),
    ("PLAT-ANA-013", "analyzer", "-run", "CNB_RUN_PATH", "/cnb/run.toml", "0.12", "0.15"),
    ("PLAT-ANA-014", "analyzer", "-run-image", "CNB_RUN_IMAGE", "", "0.7", "0.15"),
    ("PLAT-ANA-015", "analyzer", "-skip-layers", "CNB_SKIP_LAYERS", "false", "0.9", "0.15"),
    ("PLAT-ANA-016", "analyzer", "-stack", "CNB_STACK_PATH", "/cnb/stack.toml", "0.7", "0.11"),
    ("PLAT-ANA-017", "analyzer", "-tag", "", "", "0.7", "0.15"),
    ("PLAT-ANA-018", "analyzer", "-uid", "CNB_USER_ID", "0", "0.7", "0.15"),
    ("PLAT-DET-001", "detector", "-analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "0.10", "0.15"),
    ("PLAT-DET-002", "detector", "-app", "CNB_APP_DIR", "/workspace", "0.7", "0.15"),
    (
        "PLAT-DET-003",
        "detector",
        "-build-config",
        "CNB_BUILD_CONFIG_DIR",
        "/cnb/build-config",
        "0.11",
        "0.15",
    ),
    ("PLAT-DET-004", "detector", "-buildpacks", "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", "0.7", "0.15"),
    ("PLAT-DET-005", "detector", "", "CNB_EXEC_ENV", "production", "0.15", "0.15"),
    ("PLAT-DET-006", "detector", "-extensions", "CNB_EXTENSIONS_DIR", "/cnb/extensions", "0.10", "0.15"),
    ("PLAT-DET-007", "detector", "-generated", "CNB_GENERATED_DIR", "<layers>/generated", "0.10", "0.15"),
    ("PLAT-DET-008", "detector", "-group", "CNB_GROUP_PATH", "<layers>/group.toml", "0.7", "0.15"),
    ("PLAT-DET-009", "detector", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-DET-010", "detector", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-DET-011", "detector", "-order", "CNB_ORDER_PATH", "/cnb/order.toml", "0.7", "0.15"),
    ("PLAT-DET-012", "detector", "-plan", "CNB_PLAN_PATH", "<layers>/plan.toml", "0.7", "0.15"),
    ("PLAT-DET-013", "detector", "-platform", "CNB_PLATFORM_DIR", "/platform", "0.7", "0.15"),
    ("PLAT-DET-014", "detector", "-run", "CNB_RUN_PATH", "/cnb/run.toml", "0.12", "0.15"),
    ("PLAT-DET-015", "detector", "-system", "CNB_SYSTEM_PATH", "/cnb/system.toml", "0.15", "0.15"),
    ("PLAT-RES-001", "restorer", "-analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "0.7", "0.15"),
    ("PLAT-RES-002", "restorer", "-build-image", "CNB_BUILD_IMAGE", "", "0.10", "0.15"),
    ("PLAT-RES-003", "restorer", "-cache-dir", "CNB_CACHE_DIR", "", "0.7", "0.15"),
    ("PLAT-RES-004", "restorer", "-cache-image", "CNB_CACHE_IMAGE", "", "0.7", "0.15"),
    ("PLAT-RES-005", "restorer", "-daemon", "CNB_USE_DAEMON", "false", "0.12", "0.15"),
    ("PLAT-RES-006", "restorer", "-gid", "CNB_GROUP_ID", "0", "0.7", "0.15"),
    ("PLAT-RES-007", "restorer", "-group", "CNB_GROUP_PATH", "<layers>/group.toml", "0.7", "0.15"),
    ("PLAT-RES-008", "restorer", "-insecure-registry", "CNB_INSECURE_REGISTRIES", "", "0.13", "0.15"),
    ("PLAT-RES-010", "restorer", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-RES-011", "restorer", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-RES-012", "restorer", "-skip-layers", "CNB_SKIP_LAYERS", "false", "0.7", "0.15"),
    ("PLAT-RES-013", "restorer", "-uid", "CNB_USER_ID", "0", "0.7", "0.15"),
    ("PLAT-RES-014", "restorer", "-run", "CNB_RUN_PATH", "/cnb/run.toml", "0.14", "0.15"),
    ("PLAT-RES-015", "restorer", "", "CNB_EXEC_ENV", "production", "0.15", "0.15"),
    ("PLAT-BLD-001", "builder", "-analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "0.12", "0.15"),
    ("PLAT-BLD-002", "builder", "-app", "CNB_APP_DIR", "/workspace", "0.7", "0.15"),
    ("PLAT-BLD-003", "builder", "-build-config", "CNB_BUILD_CONFIG_DIR", "/cnb/build-config", "0.11", "0.15"),
    ("PLAT-BLD-004", "builder", "-buildpacks", "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", "0.7", "0.15"),
    ("PLAT-BLD-005", "builder", "", "CNB_EXEC_ENV", "production", "0.15", "0.15"),
    ("PLAT-BLD-006", "builder", "-group", "CNB_GROUP_PATH", "<layers>/group.toml", "0.7", "0.15"),
    ("PLAT-BLD-007", "builder", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-BLD-008", "builder", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-BLD-009", "builder", "-plan", "CNB_PLAN_PATH", "<layers>/plan.toml", "0.7", "0.15"),
    ("PLAT-BLD-010", "builder", "-platform", "CNB_PLATFORM_DIR", "/platform", "0.7", "0.15"),
    ("PLAT-EXP-001", "exporter", "-analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", "0.7", "0.15"),
    ("PLAT-EXP-002", "exporter", "-app", "CNB_APP_DIR", "/workspace", "0.7", "0.15"),
    ("PLAT-EXP-003", "exporter", "-cache-dir", "CNB_CACHE_DIR", "", "0.7", "0.15"),
    ("PLAT-EXP-004", "exporter", "-cache-image", "CNB_CACHE_IMAGE", "", "0.7", "0.15"),
    ("PLAT-EXP-005", "exporter", "-daemon", "CNB_USE_DAEMON", "false", "0.7", "0.15"),
    ("PLAT-EXP-006", "exporter", "-extended", "CNB_EXTENDED_DIR", "<layers>/extended", "0.12", "0.15"),
    ("PLAT-EXP-007", "exporter", "-gid", "CNB_GROUP_ID", "0", "0.7", "0.15"),
    ("PLAT-EXP-008", "exporter", "-group", "CNB_GROUP_PATH", "<layers>/group.toml", "0.7", "0.15"),
    ("PLAT-EXP-010", "exporter", "-insecure-registry", "CNB_INSECURE_REGISTRIES", "", "0.13", "0.15"),
    ("PLAT-EXP-011", "exporter", "-launch-cache", "CNB_LAUNCH_CACHE_DIR", "", "0.7", "0.15"),
    ("PLAT-EXP-012", "exporter", "-launcher-sbom", "", "/cnb/lifecycle", "0.11", "0.15"),
    ("PLAT-EXP-013", "exporter", "-launcher", "", "/cnb/lifecycle/launcher", "0.7", "0.15"),
    ("PLAT-EXP-015", "exporter", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-EXP-016", "exporter", "-layout", "CNB_USE_LAYOUT", "false", "0.12", "0.15"),
    ("PLAT-EXP-017", "exporter", "-layout-dir", "CNB_LAYOUT_DIR", "", "0.12", "0.15"),
    ("PLAT-EXP-018", "exporter", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-EXP-019", "exporter", "-parallel", "CNB_PARALLEL_EXPORT", "false", "0.13", "0.15"),
    ("PLAT-EXP-020", "exporter", "-process-type", "CNB_PROCESS_TYPE", "", "0.7", "0.15"),
    (
        "PLAT-EXP-021",
        "exporter",
        "-project-metadata",
        "CNB_PROJECT_METADATA_PATH",
        "<layers>/project-metadata.toml",
        "0.7",
        "0.15",
    ),
    ("PLAT-EXP-022", "exporter", "-report", "CNB_REPORT_PATH", "<layers>/report.toml", "0.7", "0.15"),
    ("PLAT-EXP-023", "exporter", "-run", "CNB_RUN_PATH", "/cnb/run.toml", "0.12", "0.15"),
    ("PLAT-EXP-024", "exporter", "-stack", "CNB_STACK_PATH", "/cnb/stack.toml", "0.7", "0.11"),
    ("PLAT-EXP-025", "exporter", "-uid", "CNB_USER_ID", "0", "0.7", "0.15"),
    ("PLAT-EXP-026", "exporter", "", "SOURCE_DATE_EPOCH", "", "0.9", "0.15"),
    ("PLAT-REB-001", "rebaser", "-daemon", "CNB_USE_DAEMON", "false", "0.7", "0.15"),
    ("PLAT-REB-002", "rebaser", "-force", "CNB_FORCE_REBASE", "false", "0.12", "0.15"),
    ("PLAT-REB-003", "rebaser", "-gid", "CNB_GROUP_ID", "0", "0.7", "0.15"),
    ("PLAT-REB-005", "rebaser", "-insecure-registry", "CNB_INSECURE_REGISTRIES", "", "0.13", "0.15"),
    ("PLAT-REB-006", "rebaser", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-REB-007", "rebaser", "-previous-image", "CNB_PREVIOUS_IMAGE", "", "0.11", "0.15"),
    ("PLAT-REB-008", "rebaser", "-report", "CNB_REPORT_PATH", "<layers>/report.toml", "0.7", "0.15"),
    ("PLAT-REB-009", "rebaser", "-run-image", "CNB_RUN_IMAGE", "", "0.7", "0.15"),
    ("PLAT-REB-010", "rebaser", "-uid", "CNB_USER_ID", "0", "0.7", "0.15"),
    ("PLAT-CRE-007", "creator", "-previous-image", "CNB_PREVIOUS_IMAGE", "", "0.7", "0.15"),
    ("PLAT-CRE-008", "creator", "-skip-restore", "CNB_SKIP_RESTORE", "false", "0.7", "0.15"),
    ("PLAT-CRE-009", "creator", "-tag", "", "", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-app", "CNB_APP_DIR", "/workspace", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-buildpacks", "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-cache-dir", "CNB_CACHE_DIR", "", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-cache-image", "CNB_CACHE_IMAGE", "", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-daemon", "CNB_USE_DAEMON", "false", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-gid", "CNB_GROUP_ID", "0", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-launch-cache", "CNB_LAUNCH_CACHE_DIR", "", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-launcher", "", "/cnb/lifecycle/launcher", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-layers", "CNB_LAYERS_DIR", "/layers", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-log-level", "CNB_LOG_LEVEL", "info", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-order", "CNB_ORDER_PATH", "/cnb/order.toml", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-platform", "CNB_PLATFORM_DIR", "/platform", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-process-type", "CNB_PROCESS_TYPE", "", "0.7", "0.15"),
    (
        "PLAT-CRE-002",
        "creator",
        "-project-metadata",
        "CNB_PROJECT_METADATA_PATH",
        "<layers>/project-metadata.toml",
        "0.7",
        "0.15",
    ),
    ("PLAT-CRE-002", "creator", "-report", "CNB_REPORT_PATH", "<layers>/report.toml", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-run-image", "CNB_RUN_IMAGE", "", "0.7", "0.15"),
    ("PLAT-CRE-002", "creator", "-uid", "CNB_USER_ID", "0", "0.7", "0.15"),
    ("PLAT-CRE-003", "creator", "-stack", "CNB_STACK_PATH", "/cnb/stack.toml", "0.7", "0.11"),
    ("PLAT-CRE-004", "creator", "-run", "CNB_RUN_PATH", "/cnb/run.toml", "0.12", "0.15"),
    ("PLAT-CRE-005", "creator", "-layout", "CNB_USE_LAYOUT", "false", "0.12", "0.15"),
    ("PLAT-CRE-005", "creator", "-layout-dir", "CNB_LAYOUT_DIR", "", "0.12", "0.15"),
    ("PLAT-CRE-006", "creator", "-insecure-registry", "CNB_INSECURE_REGISTRIES", "", "0.13", "0.15"),
]

# The flags that the reference accepts and the specification's usage does not list, or lists later.
BESIDE_THE_SPECIFICATION = {
    "analyzer": {"-no-color"},
    "builder": {"-cache-repo", "-cache-to", "-no-color"},
    "creator": {
        "-build-config", "-cache-from", "-cache-repo", "-cache-report", "-cache-to", "-launcher-sbom", "-no-color",
        "-parallel", "-system",
    },
    "detector": {"-no-color"},
    "exporter": {"-cache-repo", "-cache-report", "-cache-to", "-image", "-no-color", "-parallel", "-run-image"},
    "rebaser": {"-image", "-no-color"},
    "restorer": {
        "-cache-from", "-cache-repo", "-cache-report", "-generated", "-layout", "-layout-dir", "-no-color",
    },
}  # fmt: skip


def minor(api):
    return int(api.removeprefix("0."))


def holds(since, until, api):
    return minor(since) <= minor(api) <= minor(until)


WITH_FLAG = [row for row in TABLE if row[2]]
WITH_VARIABLE = [row for row in TABLE if row[3]]


def name_of(row):
    return f"{row[0]}{row[2] or row[3]}"


def apis_of(row):
    """Return the Platform APIs that have the input."""
    return [str(api) for api in PLATFORM_APIS if holds(row[5], row[6], str(api))]


def apis_without(row):
    """Return the Platform APIs that don't have the flag, unless the reference accepts it there."""
    if row[2] in BESIDE_THE_SPECIFICATION[row[1]]:
        return []
    return [str(api) for api in PLATFORM_APIS if not holds(row[5], row[6], str(api))]


def settings_of(row, api, *arguments, **environment):
    phase, platform_api = Phase(row[1]), PlatformApi.parse(api)
    return resolve(phase, platform_api, read_flags(phase, platform_api, arguments), environment)


def two_values(row):
    """Return two values of the kind that the input takes, neither of them its default."""
    if row[2] in SWITCHES:
        return "true", "false"
    if row[2] in NUMBERS:
        return "1234", "4321"
    if row[2] == "-log-level":
        return "debug", "warn"
    return "/some/value", "/another/value"


def value_of(settings, row):
    """Return what a phase gets to see of the input."""
    name = row[2].removeprefix("-").replace("-", "_") or ENV_ONLY[row[3]]
    if row[2] in LIST_FLAGS:
        return settings.list(name)
    if row[2] in SWITCHES:
        return settings.switch(name)
    if row[2] in NUMBERS:
        return settings.number(name)
    return settings.text(name)


def expected(row, text):
    """Return how a phase sees the text."""
    if row[2] in LIST_FLAGS:
        return (text,) if text else ()
    if row[2] in SWITCHES:
        return text == "true"
    if row[2] in NUMBERS:
        return int(text)
    return text.replace("<layers>", "/layers")


@pytest.mark.requirement(
    "PLAT-ANA-001",
    "PLAT-ANA-002",
    "PLAT-ANA-003",
    "PLAT-ANA-004",
    "PLAT-ANA-005",
    "PLAT-ANA-006",
    "PLAT-ANA-007",
    "PLAT-ANA-008",
    "PLAT-ANA-010",
    "PLAT-ANA-011",
    "PLAT-ANA-012",
    "PLAT-ANA-013",
    "PLAT-ANA-014",
    "PLAT-ANA-015",
    "PLAT-ANA-016",
    "PLAT-ANA-017",
    "PLAT-ANA-018",
    "PLAT-DET-001",
    "PLAT-DET-002",
    "PLAT-DET-003",
    "PLAT-DET-004",
    "PLAT-DET-005",
    "PLAT-DET-006",
    "PLAT-DET-007",
    "PLAT-DET-008",
    "PLAT-DET-009",
    "PLAT-DET-010",
    "PLAT-DET-011",
    "PLAT-DET-012",
    "PLAT-DET-013",
    "PLAT-DET-014",
    "PLAT-DET-015",
    "PLAT-RES-001",
    "PLAT-RES-002",
    "PLAT-RES-003",
    "PLAT-RES-004",
    "PLAT-RES-005",
    "PLAT-RES-006",
    "PLAT-RES-007",
    "PLAT-RES-008",
    "PLAT-RES-010",
    "PLAT-RES-011",
    "PLAT-RES-012",
    "PLAT-RES-013",
    "PLAT-RES-014",
    "PLAT-RES-015",
    "PLAT-BLD-001",
    "PLAT-BLD-002",
    "PLAT-BLD-003",
    "PLAT-BLD-004",
    "PLAT-BLD-005",
    "PLAT-BLD-006",
    "PLAT-BLD-007",
    "PLAT-BLD-008",
    "PLAT-BLD-009",
    "PLAT-BLD-010",
    "PLAT-EXP-001",
    "PLAT-EXP-002",
    "PLAT-EXP-003",
    "PLAT-EXP-004",
    "PLAT-EXP-005",
    "PLAT-EXP-006",
    "PLAT-EXP-007",
    "PLAT-EXP-008",
    "PLAT-EXP-010",
    "PLAT-EXP-011",
    "PLAT-EXP-012",
    "PLAT-EXP-013",
    "PLAT-EXP-015",
    "PLAT-EXP-016",
    "PLAT-EXP-017",
    "PLAT-EXP-018",
    "PLAT-EXP-019",
    "PLAT-EXP-020",
    "PLAT-EXP-021",
    "PLAT-EXP-022",
    "PLAT-EXP-023",
    "PLAT-EXP-024",
    "PLAT-EXP-025",
    "PLAT-EXP-026",
    "PLAT-CRE-007",
    "PLAT-CRE-008",
    "PLAT-CRE-009",
    "PLAT-CRE-002",
    "PLAT-CRE-003",
    "PLAT-CRE-004",
    "PLAT-CRE-005",
    "PLAT-CRE-006",
    "PLAT-REB-001",
    "PLAT-REB-002",
    "PLAT-REB-003",
    "PLAT-REB-005",
    "PLAT-REB-006",
    "PLAT-REB-007",
    "PLAT-REB-008",
    "PLAT-REB-009",
    "PLAT-REB-010",
)
@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_an_input_that_is_not_given_has_its_default(row):
    for api in apis_of(row):
        assert value_of(settings_of(row, api), row) == expected(row, row[4])


@pytest.mark.requirement(
    "PLAT-ANA-001",
    "PLAT-ANA-002",
    "PLAT-ANA-003",
    "PLAT-ANA-004",
    "PLAT-ANA-005",
    "PLAT-ANA-006",
    "PLAT-ANA-007",
    "PLAT-ANA-008",
    "PLAT-ANA-010",
    "PLAT-ANA-011",
    "PLAT-ANA-012",
    "PLAT-ANA-013",
    "PLAT-ANA-014",
    "PLAT-ANA-015",
    "PLAT-ANA-016",
    "PLAT-ANA-017",
    "PLAT-ANA-018",
    "PLAT-DET-001",
    "PLAT-DET-002",
    "PLAT-DET-003",
    "PLAT-DET-004",
    "PLAT-DET-005",
    "PLAT-DET-006",
    "PLAT-DET-007",
    "PLAT-DET-008",
    "PLAT-DET-009",
    "PLAT-DET-010",
    "PLAT-DET-011",
    "PLAT-DET-012",
    "PLAT-DET-013",
    "PLAT-DET-014",
    "PLAT-DET-015",
    "PLAT-RES-001",
    "PLAT-RES-002",
    "PLAT-RES-003",
    "PLAT-RES-004",
    "PLAT-RES-005",
    "PLAT-RES-006",
    "PLAT-RES-007",
    "PLAT-RES-008",
    "PLAT-RES-010",
    "PLAT-RES-011",
    "PLAT-RES-012",
    "PLAT-RES-013",
    "PLAT-RES-014",
    "PLAT-RES-015",
    "PLAT-BLD-001",
    "PLAT-BLD-002",
    "PLAT-BLD-003",
    "PLAT-BLD-004",
    "PLAT-BLD-005",
    "PLAT-BLD-006",
    "PLAT-BLD-007",
    "PLAT-BLD-008",
    "PLAT-BLD-009",
    "PLAT-BLD-010",
    "PLAT-EXP-001",
    "PLAT-EXP-002",
    "PLAT-EXP-003",
    "PLAT-EXP-004",
    "PLAT-EXP-005",
    "PLAT-EXP-006",
    "PLAT-EXP-007",
    "PLAT-EXP-008",
    "PLAT-EXP-010",
    "PLAT-EXP-011",
    "PLAT-EXP-012",
    "PLAT-EXP-013",
    "PLAT-EXP-015",
    "PLAT-EXP-016",
    "PLAT-EXP-017",
    "PLAT-EXP-018",
    "PLAT-EXP-019",
    "PLAT-EXP-020",
    "PLAT-EXP-021",
    "PLAT-EXP-022",
    "PLAT-EXP-023",
    "PLAT-EXP-024",
    "PLAT-EXP-025",
    "PLAT-EXP-026",
    "PLAT-CRE-007",
    "PLAT-CRE-008",
    "PLAT-CRE-009",
    "PLAT-CRE-002",
    "PLAT-CRE-003",
    "PLAT-CRE-004",
    "PLAT-CRE-005",
    "PLAT-CRE-006",
    "PLAT-REB-001",
    "PLAT-REB-002",
    "PLAT-REB-003",
    "PLAT-REB-005",
    "PLAT-REB-006",
    "PLAT-REB-007",
    "PLAT-REB-008",
    "PLAT-REB-009",
    "PLAT-REB-010",
)
@pytest.mark.parametrize("row", WITH_VARIABLE, ids=name_of)
def test_the_environment_gives_an_input(row):
    for api in apis_of(row):
        for text in two_values(row):
            assert value_of(settings_of(row, api, **{row[3]: text}), row) == expected(row, text)
        assert value_of(settings_of(row, api, **{row[3]: ""}), row) == expected(row, row[4])


@pytest.mark.requirement(
    "PLAT-ANA-001",
    "PLAT-ANA-002",
    "PLAT-ANA-003",
    "PLAT-ANA-004",
    "PLAT-ANA-005",
    "PLAT-ANA-006",
    "PLAT-ANA-007",
    "PLAT-ANA-008",
    "PLAT-ANA-010",
    "PLAT-ANA-011",
    "PLAT-ANA-012",
    "PLAT-ANA-013",
    "PLAT-ANA-014",
    "PLAT-ANA-015",
    "PLAT-ANA-016",
    "PLAT-ANA-017",
    "PLAT-ANA-018",
    "PLAT-DET-001",
    "PLAT-DET-002",
    "PLAT-DET-003",
    "PLAT-DET-004",
    "PLAT-DET-005",
    "PLAT-DET-006",
    "PLAT-DET-007",
    "PLAT-DET-008",
    "PLAT-DET-009",
    "PLAT-DET-010",
    "PLAT-DET-011",
    "PLAT-DET-012",
    "PLAT-DET-013",
    "PLAT-DET-014",
    "PLAT-DET-015",
    "PLAT-RES-001",
    "PLAT-RES-002",
    "PLAT-RES-003",
    "PLAT-RES-004",
    "PLAT-RES-005",
    "PLAT-RES-006",
    "PLAT-RES-007",
    "PLAT-RES-008",
    "PLAT-RES-010",
    "PLAT-RES-011",
    "PLAT-RES-012",
    "PLAT-RES-013",
    "PLAT-RES-014",
    "PLAT-RES-015",
    "PLAT-BLD-001",
    "PLAT-BLD-002",
    "PLAT-BLD-003",
    "PLAT-BLD-004",
    "PLAT-BLD-005",
    "PLAT-BLD-006",
    "PLAT-BLD-007",
    "PLAT-BLD-008",
    "PLAT-BLD-009",
    "PLAT-BLD-010",
    "PLAT-EXP-001",
    "PLAT-EXP-002",
    "PLAT-EXP-003",
    "PLAT-EXP-004",
    "PLAT-EXP-005",
    "PLAT-EXP-006",
    "PLAT-EXP-007",
    "PLAT-EXP-008",
    "PLAT-EXP-010",
    "PLAT-EXP-011",
    "PLAT-EXP-012",
    "PLAT-EXP-013",
    "PLAT-EXP-015",
    "PLAT-EXP-016",
    "PLAT-EXP-017",
    "PLAT-EXP-018",
    "PLAT-EXP-019",
    "PLAT-EXP-020",
    "PLAT-EXP-021",
    "PLAT-EXP-022",
    "PLAT-EXP-023",
    "PLAT-EXP-024",
    "PLAT-EXP-025",
    "PLAT-EXP-026",
    "PLAT-CRE-007",
    "PLAT-CRE-008",
    "PLAT-CRE-009",
    "PLAT-CRE-002",
    "PLAT-CRE-003",
    "PLAT-CRE-004",
    "PLAT-CRE-005",
    "PLAT-CRE-006",
    "PLAT-REB-001",
    "PLAT-REB-002",
    "PLAT-REB-003",
    "PLAT-REB-005",
    "PLAT-REB-006",
    "PLAT-REB-007",
    "PLAT-REB-008",
    "PLAT-REB-009",
    "PLAT-REB-010",
)
@pytest.mark.parametrize("row", WITH_FLAG, ids=name_of)
def test_the_flag_gives_an_input(row):
    for api in apis_of(row):
        for text in two_values(row):
            for dashes in ("", "-"):
                assert value_of(settings_of(row, api, f"{dashes}{row[2]}={text}"), row) == expected(row, text)
            if row[2] not in SWITCHES:
                assert value_of(settings_of(row, api, row[2], text), row) == expected(row, text)
        if row[2] in SWITCHES:
            assert value_of(settings_of(row, api, row[2]), row) is True


@pytest.mark.requirement("PLAT-API-005")
@pytest.mark.parametrize("row", [row for row in WITH_FLAG if row[3]], ids=name_of)
def test_the_flag_wins_over_the_environment(row):
    for api in apis_of(row):
        one, other = two_values(row)
        for flag, variable in ((one, other), (other, one)):
            settings = settings_of(row, api, f"{row[2]}={flag}", **{row[3]: variable})
            assert value_of(settings, row) == expected(row, flag)


@pytest.mark.parametrize("row", [row for row in WITH_FLAG if apis_without(row)], ids=name_of)
def test_a_flag_is_refused_outside_of_its_platform_apis(row):
    for api in apis_without(row):
        with pytest.raises(FlagError, match=f"flag provided but not defined: {row[2]}$"):
            settings_of(row, api, f"{row[2]}={two_values(row)[0]}")


@pytest.mark.parametrize("api", [str(api) for api in PLATFORM_APIS])
@pytest.mark.parametrize("phase", sorted({row[1] for row in TABLE}))
def test_a_phase_has_no_flags_but_those_of_its_platform_api(phase, api):
    accepted = {f"-{row.flag}" for row in inputs_of(Phase(phase), PlatformApi.parse(api))}
    listed = {row[2] for row in TABLE if row[1] == phase and row[2] and holds(row[5], row[6], api)}
    assert listed <= accepted
    assert accepted - listed <= BESIDE_THE_SPECIFICATION[phase]


@pytest.mark.requirement("PLAT-ANA-005", "PLAT-ANA-017", "PLAT-RES-008", "PLAT-EXP-010", "PLAT-CRE-006", "PLAT-CRE-009")
@pytest.mark.parametrize("row", [row for row in WITH_FLAG if row[2] in LIST_FLAGS], ids=name_of)
def test_a_repeatable_input_keeps_all_its_values_in_order(row):
    for api in apis_of(row):
        assert value_of(settings_of(row, api, row[2], "b", row[2], "a"), row) == ("b", "a")
        if row[3]:
            assert value_of(settings_of(row, api, **{row[3]: "b,a"}), row) == ("b", "a")


@pytest.mark.requirement("PLAT-DET-011")
@pytest.mark.parametrize("phase", ["detector", "creator"])
@pytest.mark.parametrize("api", [str(api) for api in PLATFORM_APIS])
def test_the_order_of_the_layers_directory_precedes_that_of_the_builder(tmp_path, phase, api):
    row = ("PLAT-DET-011", phase)
    assert settings_of(row, api, "-layers", str(tmp_path)).text("order") == "/cnb/order.toml"
    (tmp_path / "order.toml").touch()
    assert settings_of(row, api, "-layers", str(tmp_path)).text("order") == f"{tmp_path}/order.toml"
    assert settings_of(row, api, "-layers", str(tmp_path), "-order", "/missing").text("order") == "/missing"


@pytest.mark.requirement(
    "PLAT-ANA-001",
    "PLAT-DET-001",
    "PLAT-DET-007",
    "PLAT-DET-008",
    "PLAT-DET-012",
    "PLAT-RES-001",
    "PLAT-RES-007",
    "PLAT-BLD-001",
    "PLAT-BLD-006",
    "PLAT-BLD-009",
    "PLAT-EXP-001",
    "PLAT-EXP-006",
    "PLAT-EXP-008",
    "PLAT-EXP-021",
    "PLAT-EXP-022",
    "PLAT-REB-001",
    "PLAT-REB-002",
    "PLAT-REB-003",
    "PLAT-REB-005",
    "PLAT-REB-006",
    "PLAT-REB-007",
    "PLAT-REB-008",
    "PLAT-REB-009",
    "PLAT-REB-010",
)
@pytest.mark.parametrize("row", [row for row in TABLE if row[4].startswith("<layers>")], ids=name_of)
def test_defaults_follow_the_layers_directory(row):
    for api in apis_of(row):
        wanted = row[4].replace("<layers>", "/my/layers")
        if row[1] != "rebaser":  # which has no such flag
            assert value_of(settings_of(row, api, "-layers", "/my/layers"), row) == wanted
        assert value_of(settings_of(row, api, CNB_LAYERS_DIR="/my/layers"), row) == wanted


@pytest.mark.requirement("PLAT-ANA-009", "PLAT-EXP-009", "PLAT-REB-004")
@pytest.mark.parametrize("phase", ["analyzer", "exporter", "creator", "rebaser"])
@pytest.mark.parametrize("api", [str(api) for api in PLATFORM_APIS])
def test_images_are_the_arguments_after_the_flags(phase, api):
    row = ("", phase)
    assert settings_of(row, api, "-daemon", "-uid", "1", "one", "two").images == ("one", "two")


@pytest.mark.parametrize(
    ("phase", "flag", "name"), [("analyzer", "-tag", "tag"), ("exporter", "-insecure-registry", "insecure_registry")]
)
def test_an_empty_value_of_a_flag_that_may_be_repeated_is_not_given(phase, flag, name):
    api = PlatformApi.parse("0.15")

    def given(*arguments):
        return resolve(Phase(phase), api, read_flags(Phase(phase), api, arguments), {}).list(name)

    assert given(f"{flag}=") == ()
    assert given(flag, "", f"{flag}=one.example", flag, "two.example") == ("one.example", "two.example")


@pytest.mark.parametrize(
    ("given", "path"), [("//elsewhere", "/elsewhere"), ("/a/../b//c/", "/b/c"), ("///", "/"), ("//", "/")]
)
@pytest.mark.parametrize("name", ["app", "layers", "cache_dir"])
def test_a_path_is_made_absolute_as_go_does(name, given, path):
    api = PlatformApi.parse("0.15")
    flag = f"-{name.replace('_', '-')}"
    assert str(resolve(Phase.CREATOR, api, read_flags(Phase.CREATOR, api, [flag, given]), {}).path(name)) == path
