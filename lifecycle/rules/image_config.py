"""The configuration of an app image, made from that of its run image.

Spec: platform.md "Exporter" (environment, ENTRYPOINT, working directory, labels), "Reproducibility".
Reference: phase/exporter.go for the order of variables and the quirk of PATH; imgutil for history and times.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.model.api import PlatformFeature
from lifecycle.oci.config import HistoryEntry, ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from lifecycle.model.api import PlatformApi
    from lifecycle.oci.digest import DiffId

LIFECYCLE_LABEL = "io.buildpacks.lifecycle.metadata"
BUILD_LABEL = "io.buildpacks.build.metadata"
PROJECT_LABEL = "io.buildpacks.project.metadata"
EXEC_ENV_LABEL = "io.buildpacks.exec-env"

PROCESS_DIR = "/cnb/process"
LIFECYCLE_DIR = "/cnb/lifecycle"
LAUNCHER_PATH = "/cnb/lifecycle/launcher"

CREATION_TIME = datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC)
"""When every image and file was made, unless SOURCE_DATE_EPOCH says otherwise."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds())
_LAST = int((datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH).total_seconds())
_DECIMAL = re.compile(r"[+-]?[0-9]{1,20}\Z", re.ASCII)


def creation_time(api: PlatformApi, source_date_epoch: str | None) -> datetime | None:
    """Return the instant of ``created`` in UTC; ``None`` for a SOURCE_DATE_EPOCH outside years 1 to 9999.

    Spec: platform.md "Exporter", SOURCE_DATE_EPOCH.
    """
    if PlatformFeature.SOURCE_DATE_EPOCH not in api or not source_date_epoch:
        return CREATION_TIME
    if _DECIMAL.match(source_date_epoch) is None or not _FIRST <= int(source_date_epoch) <= _LAST:
        return None
    return _EPOCH + timedelta(seconds=int(source_date_epoch))


def variable(env: Sequence[str], name: str) -> str:
    """Return a variable of an image, ``""`` where it is missing or its value holds a ``=``.

    Reference: imgutil reads only entries that split at ``=`` into exactly two parts.
    """
    for entry in env:
        match entry.split("="):
            case [key, value] if key == name:
                return value
    return ""


def with_variable(env: Sequence[str], name: str, value: str) -> tuple[str, ...]:
    """Return ``env`` with a variable replaced where it first stands, or appended."""
    entry = f"{name}={value}"
    for index, present in enumerate(env):
        if present.partition("=")[0] == name:
            return (*env[:index], entry, *env[index + 1 :])
    return (*env, entry)


def app_environment(
    env: Sequence[str], *, api: PlatformApi, layers_dir: PurePath, app_dir: PurePath
) -> tuple[str, ...]:
    """Return the environment of an app image: that of the run image, and what the launcher needs."""
    path = f"{PROCESS_DIR}:{LIFECYCLE_DIR}:{variable(env, 'PATH')}"
    result = tuple(env)
    for name, value in (
        ("CNB_LAYERS_DIR", str(layers_dir)),
        ("CNB_APP_DIR", str(app_dir)),
        ("CNB_PLATFORM_API", str(api)),
        ("CNB_DEPRECATION_MODE", "quiet"),
        ("PATH", path),
    ):
        result = with_variable(result, name, value)
    return result


def entrypoint(process_type: str) -> str:
    """Return what an app image runs: the link of its default process type, or the launcher."""
    return f"{PROCESS_DIR}/{process_type}" if process_type else LAUNCHER_PATH


def base_history(config: ImageConfig) -> tuple[HistoryEntry, ...]:
    """Return one entry for each layer of an image, blank ones where its history does not fit them."""
    entries = tuple(entry for entry in config.history if not entry.empty_layer)
    if len(entries) != len(config.diff_ids):
        return (HistoryEntry(),) * len(config.diff_ids)
    return entries


def app_history(
    base: Sequence[HistoryEntry], added: Sequence[HistoryEntry], *, api: PlatformApi, created: str
) -> tuple[HistoryEntry, ...]:
    """Return the history of an app image; before Platform API 0.12 it tells times only."""
    entries = (*base, *added)
    if PlatformFeature.HISTORY not in api:
        return (HistoryEntry(created=created),) * len(entries)
    return tuple(replace(entry, created=created, empty_layer=False) for entry in entries)


def app_config(
    base: ImageConfig,
    *,
    api: PlatformApi,
    layers: Sequence[tuple[DiffId, HistoryEntry]],
    labels: Mapping[str, str],
    layers_dir: PurePath,
    app_dir: PurePath,
    process_type: str,
    created: str,
    extended_run: Mapping[str, Any] | None = None,
) -> ImageConfig:
    """Return the configuration of an app image with ``layers`` on top of the run image ``base``.

    ``extended_run`` replaces the whole object ``config`` of the run image, as image extensions may have
    changed it. What is not named here stays as it is in the run image.
    """
    run = dict(base.run if extended_run is None else extended_run)
    run.pop("Cmd", None)
    run["Env"] = app_environment(run.get("Env") or (), api=api, layers_dir=layers_dir, app_dir=app_dir)
    run["Labels"] = {**(run.get("Labels") or {}), **labels}
    run["WorkingDir"] = str(app_dir)
    run["Entrypoint"] = (entrypoint(process_type),)
    return replace(
        base,
        diff_ids=(*base.diff_ids, *(diff_id for diff_id, _ in layers)),
        history=app_history(base_history(base), [entry for _, entry in layers], api=api, created=created),
        run=run,
        created=created,
        container="",
    )


def top_layer(config: ImageConfig) -> str:
    """Return the diffID by which a rebase finds the end of the run image, ``""`` for one without layers.

    Reference: a run image without layers fails there, because it also stands for one that is missing.
    """
    return config.diff_ids[-1] if config.diff_ids else ""
