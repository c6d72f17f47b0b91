"""Phases as processes, run as root or as another user."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import LayoutStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from parts.containers import COLOR
from parts.forks import Command, forks

if TYPE_CHECKING:
    import subprocess

USER = 12345


def home() -> str:
    """Return the HOME that container engines give the user of the phases, and that the creator looks up."""
    try:
        return pwd.getpwuid(os.geteuid() or USER).pw_dir
    except KeyError:
        return "/"


@dataclass(frozen=True)
class Finished:
    """What a phase left behind: its exit code and all its output, without colors and as it came."""

    code: int
    output: str
    colored: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("ERROR: ")]


def run_phase(phase, *arguments, api="0.15", as_root=False, user=(USER, USER), **variables):
    """Run a phase in a clean environment and a process of its own.

    It is run as uid and gid of ``user`` if this is root; ``api=None`` leaves CNB_PLATFORM_API unset.
    """
    environment = {"PATH": "/usr/bin:/bin", **variables}
    if api is not None:
        environment["CNB_PLATFORM_API"] = api
    command = Command(
        arguments=[phase, *map(str, arguments)],
        environment=environment,
        user=user if os.geteuid() == 0 and not as_root else None,
    )
    return finished(forks().run(command, merged=True))


def finished(done: subprocess.CompletedProcess[str]) -> Finished:
    """Return how a phase ended, all of whose output was merged; no phase prints a traceback."""
    output = COLOR.sub("", done.stdout)
    assert "Traceback" not in output, output
    return Finished(done.returncode, output, done.stdout)


class Place:
    """The directories of a build, which the user of the phases owns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layers = root / "layers"
        self.platform = root / "platform"
        for name in ("layers/config", "app", "buildpacks", "platform/env", "build-config", "images"):
            (root / name).mkdir(parents=True)

    def write(self, path, text):
        """Write a file, executable if it is a script."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def buildpack(self, *, detect="exit 0", build="exit 0", toml=""):
        """Write the buildpack ``a/b``, the order and group that hold it, and an empty plan."""
        root = "buildpacks/a_b/1"
        self.write(f"{root}/buildpack.toml", toml or 'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\n')
        self.write(f"{root}/bin/detect", f"#!/bin/sh\n{detect}\n")
        self.write(f"{root}/bin/build", f"#!/bin/sh\n{build}\n")
        self.write("layers/order.toml", '[[order]]\n[[order.group]]\nid = "a/b"\nversion = "1"\n')
        self.write("layers/group.toml", '[[group]]\nid = "a/b"\nversion = "1"\napi = "0.10"\n')
        self.write("layers/plan.toml", "")

    def run_image(self, name):
        """Write an empty image to the layout directory."""
        base = scratch_image(architecture="amd64")
        store = LayoutStore(self.root / "images", platform=ImagePlatform("linux", "amd64"))
        store.write(NewImage(base=base, layers=(), config=base.config), [name])

    def run(self, phase, *arguments, **more):
        """Run a phase on these directories, which are given to its user first."""
        if os.geteuid() == 0:
            self.give(USER, USER)
        return self.run_as_it_is(phase, *arguments, **more)

    def give(self, uid, gid):
        """Give all files and directories to a user."""
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)

    def run_as_it_is(self, phase, *arguments, **more):
        """Run a phase on these directories, whosever they are."""
        directories = {
            "CNB_LAYERS_DIR": self.layers,
            "CNB_APP_DIR": self.root / "app",
            "CNB_BUILDPACKS_DIR": self.root / "buildpacks",
            "CNB_PLATFORM_DIR": self.platform,
            "CNB_BUILD_CONFIG_DIR": self.root / "build-config",
            "CNB_SYSTEM_PATH": self.root / "system.toml",
            "CNB_LAYOUT_DIR": self.root / "images",
            "CNB_RUN_PATH": self.root / "run.toml",
        }
        return run_phase(phase, *arguments, **{k: str(v) for k, v in directories.items()} | more)


@contextlib.contextmanager
def temporary_place():
    """Make the directories of a build where other users may enter, as they may not in tmp_path.

    The name of its root is unique, and part of a valid image name, as that of a temporary directory need not be.
    """
    with tempfile.TemporaryDirectory(prefix="lifecycle-inputs-") as parent:
        Path(parent).chmod(0o755)
        root = Path(parent) / secrets.token_hex(8)
        root.mkdir()
        yield Place(root)
