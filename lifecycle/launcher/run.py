"""Starts a process of the last build on this host, through the launcher.  Spec: platform.md "launcher"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from lifecycle.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def launch(
    *,
    launcher: Path,
    layers_dir: Path,
    app_dir: Path,
    process: str | None,
    args: Sequence[str],
    platform_api: str,
    env: Mapping[str, str],
) -> NoReturn:
    """Replace this Python process by the launcher, which starts ``process`` or the command in ``args``."""
    variables = {
        **env,
        "CNB_LAYERS_DIR": str(layers_dir.absolute()),
        "CNB_APP_DIR": str(app_dir.absolute()),
        "CNB_PLATFORM_API": platform_api,
    }
    try:
        os.execve(launcher, [process or "launcher", *args], variables)  # noqa: S606  # no shell is meant
    except OSError as error:
        raise LaunchError(
            f"the launcher can't be started: {error.strerror}",
            where=launcher,
            remedy="run on linux with the architecture that the launcher is for",
        ) from error
