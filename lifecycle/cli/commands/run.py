"""``lifecycle run``: a process of the last build, started on this host by the launcher of the image."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lifecycle.cli.commands.build.paths import APP, LAYERS, BuildPaths, fixed_names
from lifecycle.cli.commands.build.workspace import last_build, state_dir
from lifecycle.errors import LaunchError
from lifecycle.executables import namespace
from lifecycle.files.codec import load
from lifecycle.launcher import launcher_path
from lifecycle.launcher.run import launch
from lifecycle.model.build_metadata import BuildMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run_last_build(process: str | None, args: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become the process; raise ``LaunchError`` if there is no build or no such process.

    The process sees the directories of the build at their places in the image, as the build did.
    """
    workspace, facts = last_build(state_dir(environment))
    mounts = {name: Path(path) for name, path in facts.get("mounts", {}).items()}
    launcher = launcher_path()
    process = _process(workspace.layers, process)
    if mounts and namespace.obstacle(mounts, workspace.root) is None:
        namespace.enter(mounts, workspace.root)
        layers, app = Path(LAYERS), Path(APP)
    else:
        paths = fixed_names(workspace)
        layers, app = paths.layers, paths.app
        if paths.as_in_image:
            _outlive(paths)
    launch(
        launcher=launcher,
        layers_dir=layers,
        app_dir=app,
        process=process,
        args=list(args),
        platform_api=str(facts["platform_api"]),
        env=environment,
    )


def _outlive(paths: BuildPaths) -> None:
    """Go on as a child of this process, which removes the names of the build once the child has ended, as it ended."""
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to the child too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    paths.release()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _process(layers: Path, wanted: str | None) -> str:
    """Return the type of the process to start; raise ``LaunchError`` that names those there are."""
    metadata = load(BuildMetadata, layers / "config" / "metadata.toml")
    types = [process.type for process in metadata.processes or ()]
    if not types:
        raise LaunchError("the last build has no process", remedy="build with a buildpack that defines one")
    wanted = wanted or metadata.default_process_type
    if wanted not in types:
        problem = f"no process of type {wanted}" if wanted else "no default process"
        raise LaunchError(f"the last build has {problem}", remedy=f"name one that it has: {', '.join(types)}")
    return wanted
