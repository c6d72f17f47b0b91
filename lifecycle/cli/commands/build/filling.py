"""What buildpacks find in the workspace of ``lifecycle build``: the app, themselves, variables and bindings.

Spec: platform.md "Build" (operation); extensions/project-descriptor.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.cli.commands.build.buildpack_tree import BuildpackTree, write_order
from lifecycle.cli.commands.build.saved_steps import SavedSteps, copy_tree
from lifecycle.cli.stores.locations import Place, read_source
from lifecycle.cli.stores.opening import open_image
from lifecycle.errors import InvalidInputError
from lifecycle.files.app_source import copy_app
from lifecycle.files.codec import save
from lifecycle.oci.gojson import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from lifecycle.cli.commands.build.build import BuildRequest
    from lifecycle.cli.commands.build.paths import BuildPaths
    from lifecycle.cli.commands.build.workspace import Workspace
    from lifecycle.cli.logs.build_log import BuildLog
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.model.project_descriptor import ProjectBuildpacks

_HOME = "home"
_LONGEST_NAME = 255
"""Bytes of a file's name, which a variable for buildpacks is."""


def copy_app_to(
    app: Path,
    workspace: Workspace,
    project: ProjectBuildpacks,
    own: Collection[Path],
    *,
    rerun: str,
    saved: SavedSteps | None,
    log: BuildLog,
) -> None:
    """Copy the app, or what earlier steps had made of it when the last build ran."""
    changed = None if saved is None else saved.app_before(saved.index(rerun))
    if changed is not None:
        log.note(f"the app is as the steps before {rerun} left it in the last build")
        copy_tree(changed, workspace.app)
        return
    files = copy_app(app, workspace.app, include=project.include, exclude=project.exclude, own=own)
    log.detail(f"copied {files} file{'' if files == 1 else 's'} of {app}")


def fill_tree(
    tree: BuildpackTree, request: BuildRequest, project: ProjectBuildpacks, app: Path, remote: RemoteStores
) -> None:
    """Link the buildpacks and extensions that the request or the project names, and write their order."""
    if request.buildpacks_dir is not None:
        tree.add_all(request.buildpacks_dir)
    if request.extensions_dir is not None:
        tree.add_extensions(request.extensions_dir)
    project_dir = app if request.descriptor is None else request.descriptor.resolve().parent
    write_order(
        tree,
        tree.path.parent / "order.toml",
        given=request.buildpacks,
        order=request.order,
        project=project,
        project_dir=project_dir,
        open_image=lambda text: open_image(text, remote),
    )


def fill_platform(workspace: Workspace, request: BuildRequest, project: ProjectBuildpacks) -> None:
    """Write the variables for buildpacks, and copy the service bindings.

    Spec: buildpack.md "Provided by the Platform", extensions/bindings.md.
    """
    if request.bindings is not None:
        if not request.bindings.is_dir():
            raise InvalidInputError("is not a directory", where=request.bindings, remedy="correct --bindings")
        # Kubernetes has its entries as links.
        copy_tree(request.bindings, workspace.platform / "bindings", links=False)
    values = {entry.name: entry.value for entry in project.build.env} | dict(request.env)
    for name, value in values.items():
        if "/" in name or "\0" in name + value or name in {"", ".", ".."} or len(os.fsencode(name)) > _LONGEST_NAME:
            raise InvalidInputError(f"{name!r} can't be the name of an environment variable")
        (workspace.platform / "env" / name).write_bytes(os.fsencode(value))


def write_run(workspace: Workspace, request: BuildRequest) -> None:
    """Let the image tell by which name a rebase finds its run image; a path on this host is none."""
    location = read_source(request.run_image)
    if location.place in {Place.REGISTRY, Place.DAEMON}:
        save(workspace.path / "run.toml", Struct(images=[Struct(image=location.name)]))


def with_own_home(environment: Mapping[str, str], workspace: Workspace, paths: BuildPaths) -> dict[str, str]:
    """Return the environment with an empty home, called the same on all builders.

    Keys name the home and not what lies in it: what buildpacks would find there is no input that others could see.
    """
    (workspace.platform / _HOME).mkdir()
    return {**environment, "HOME": str(paths.platform / _HOME)}
