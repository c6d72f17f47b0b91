"""The names under which a build sees its directories.

Buildpacks write the paths that they are given into layers, so these are those of the image: in a view of the file
system that this process alone has.  On a host that forbids it, root can have links of these names, as in a container
of its own.  The last resort is a link beside the builds of the app: its name is the same in each build, so that
layers with paths in them can be reused, but they work on this host alone.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from lifecycle.cli.commands.build.workspace import Workspace
from lifecycle.executables import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.cli.logs.build_log import BuildLog

LAYERS: Final = PurePosixPath("/layers")
APP: Final = PurePosixPath("/workspace")

_OURS: Final = "cnb-lifecycle"
_CURRENT: Final = "current"


@dataclass(frozen=True, slots=True)
class BuildPaths:
    """Names of the directories of a build: those of ``mounts``, or ``links``, or the directories' own."""

    layers: Path
    app: Path
    platform: Path
    cnb: Path
    mounts: Mapping[str, str] = field(default_factory=dict)
    links: tuple[Path, ...] = ()

    @property
    def as_in_image(self) -> bool:
        """Whether an image has the same names."""
        return self.layers == Path(LAYERS)

    def release(self) -> None:
        """Remove the links that nobody expects to stay on this host."""
        for link in self.links:
            if link.name != _CURRENT and _is_ours(link):
                with suppress(OSError):
                    link.unlink()


def own_names(workspace: Workspace) -> BuildPaths:
    """Return the directories of a build by their own names."""
    return BuildPaths(workspace.layers, workspace.app, workspace.platform, workspace.cnb)


def enter(workspace: Workspace, log: BuildLog) -> BuildPaths:
    """Give this process the best names that the host allows, and say so if they are not those of the image."""
    mounts = {
        str(LAYERS): workspace.layers,
        str(APP): workspace.app,
        "/platform": workspace.platform,
        "/cnb": workspace.cnb,
    }
    if Path("/cnb").exists():
        del mounts["/cnb"]
    problem = namespace.obstacle(mounts, workspace.root)
    if problem is None:
        namespace.enter(mounts, workspace.root)
        cnb = Path("/cnb") if "/cnb" in mounts else workspace.cnb
        shown = {name: str(path) for name, path in mounts.items()}
        return BuildPaths(Path(LAYERS), Path(APP), Path("/platform"), cnb, mounts=shown)
    paths = fixed_names(workspace)
    if paths.as_in_image:
        log.detail(
            f"this host forbids mount namespaces ({problem}): {LAYERS} and {APP} are links while this build runs"
        )
    else:
        log.warning(
            f"this host forbids mount namespaces ({problem}): buildpacks run in {paths.layers.parent}, so layers that "
            f"contain absolute paths will not work in the image"
        )
    return paths


def fixed_names(workspace: Workspace, root: Path = Path("/")) -> BuildPaths:
    """Link names to the directories of a build for the rest of this process, and of what it becomes by ``exec``.

    Another process that holds the same names keeps them; this one gets others then.  ``/cnb`` is never linked: other
    builds would take it for a builder's.
    """
    links = {workspace.path.parent / _CURRENT: workspace.path}
    seen = Workspace(next(iter(links)))
    if not _claim(workspace.path.parent, links):
        links, seen = {}, workspace
    names = {
        root / "layers": workspace.layers,
        root / "workspace": workspace.app,
        root / "platform": workspace.platform,
    }
    if not _claim(root, names):
        return BuildPaths(seen.layers, seen.app, seen.platform, seen.cnb, links=tuple(links))
    layers, app, platform = names
    return BuildPaths(layers, app, platform, seen.cnb, links=(*links, *names))


def _claim(parent: Path, names: Mapping[Path, Path]) -> bool:
    """Let each name below ``parent`` be a link to its directory; say whether this process got them."""
    if any(os.path.lexists(name) and not _is_ours(name) for name in names):
        return False
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name, directory in names.items():
            temporary = name.with_name(f".{_OURS}-{name.name}")
            with suppress(FileNotFoundError):
                temporary.unlink()
            temporary.symlink_to(directory)
            temporary.replace(name)
    except OSError:
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # the function's own signature
    return True


def _is_ours(name: Path) -> bool:
    return name.is_symlink() and any(part.startswith(_OURS) for part in name.readlink().parts)


def files_with_paths(workspace: Workspace, paths: BuildPaths) -> Iterator[Path]:
    """Yield the files in layers that name their directory otherwise than the image has it."""
    needles = {os.fsencode(workspace.layers)}
    if paths.mounts:
        return
    if not paths.as_in_image:
        needles.add(os.fsencode(paths.layers))
    for directory, _, names in os.walk(workspace.layers):
        for name in sorted(names):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink() and any(_contains(path, needle) for needle in needles):
                yield path


def _contains(path: Path, needle: bytes) -> bool:
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            if needle in tail + chunk:
                return True
            tail = chunk[-len(needle) :]
    return False
