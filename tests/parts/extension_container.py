"""A file system as small as can be, and phases run in it as root: what a container of a base image is to the extender.

The interpreter and the modules under test are the host's and loaded before, so they are no part of the image.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from parts.forks import Command, forks
from parts.phases import Finished, finished

APPLETS = ("sh", "cat", "chmod", "chown", "cp", "echo", "env", "id", "ln", "ls", "mkdir", "mv", "rm", "sleep", "touch")
USERS = {"root": (0, "/root"), "cnb": (1000, "/home/cnb")}
VOLUMES = ("layers", "workspace", "kaniko", "platform")


@dataclass
class Container:
    """An image's file system at `root`; beside it the volumes that platforms mount."""

    root: Path
    variables: dict[str, str] = field(default_factory=lambda: {"container": "test", "PATH": "/bin"})

    @property
    def layers(self) -> Path:
        return self._volume("layers")

    @property
    def app(self) -> Path:
        return self._volume("workspace")

    @property
    def kaniko(self) -> Path:
        return self._volume("kaniko")

    def _volume(self, name: str) -> Path:
        return Path(f"{self.root}.volumes", name)

    def copy(self, root: Path, *, fresh: bool = False) -> "Container":
        """Return another container of the same image, which has the same volumes unless it is to be `fresh`."""
        shutil.copytree(self.root, root, symlinks=True)
        if fresh:
            return new_volumes(root)
        Path(f"{root}.volumes").symlink_to(f"{self.root}.volumes")
        return Container(root)

    def phase(self, name: str, *arguments: str, api: str = "0.15", user: int = 0, **variables: str) -> Finished:
        """Run a phase in it, as root or as another user."""
        command = Command(
            arguments=[name, *arguments],
            environment={**self.variables, "CNB_PLATFORM_API": api, **variables},
            user=(user, user) if user else None,
            root=str(self.root),
            volumes={each: str(self._volume(each)) for each in VOLUMES},
        )
        return finished(forks().run(command, merged=True))


def new_container(root: Path) -> Container:
    """Make the file system; skip the test where that can't be done."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed: apt-get install busybox-static")
    if os.geteuid() != 0:
        pytest.skip("an image is extended by root only")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this kernel gives no mount namespace")
    for name in ("bin", "etc", "tmp", "root", "home/cnb", "usr/lib"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "lib").symlink_to("usr/lib")
    shutil.copy(busybox, root / "bin" / "busybox")
    if subprocess.run(["chroot", root, "/bin/busybox", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("busybox is not static: apt-get install busybox-static")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    lines = [f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n" for name, (uid, home) in USERS.items()]
    (root / "etc" / "passwd").write_text("".join(lines))
    (root / "etc" / "group").write_text("root:x:0:\ncnb:x:1000:\nextra:x:1234:cnb\n")
    (root / "etc" / "os-release").write_text("ID=test\nVERSION_ID=1\n")
    os.chown(root / "home" / "cnb", 1000, 1000)
    return new_volumes(root)


def new_volumes(root: Path) -> Container:
    container = Container(root)
    for name in VOLUMES:
        container._volume(name).mkdir(parents=True)
    for path in (container.layers, container.app):
        os.chown(path, 1000, 1000)
    return container
