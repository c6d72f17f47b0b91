"""Debian's dockerd on a private socket, with a directory of its own and without networks."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.images.daemon.client import DaemonClient, connect
from parts.shared_process import run_directory, shared_process

_FIRST_WITH_CONTAINERD = 24


@dataclass(frozen=True)
class Daemon:
    """A container daemon at a Unix socket.

    All workers of a test run share it: use a repository name of your own.
    """

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    @property
    def client(self) -> DaemonClient:
        return connect(self.environment)

    def docker(self, *args: str) -> str:
        """Run Docker's command line against it and return what it prints."""
        docker = shutil.which("docker")
        if docker is None:
            pytest.skip("Docker's command line is not installed: apt-get install docker.io")
        command = [docker, "--host", f"unix://{self.socket}", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answers(self) -> bool:
        """Say whether it is there."""
        with contextlib.suppress(Exception):
            return bool(self.client.inspect("nothing/of-this-name") is None)
        return False


def _works(driver: str, directory: Path) -> bool:
    """Say whether this kernel and file system can stack directories, which dockerd finds out only as it fails."""
    if driver != "overlay2":
        return True
    parts = [directory / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir(exist_ok=True)
    options = f"lowerdir={parts[0]},upperdir={parts[1]},workdir={parts[2]}"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "none", parts[3]], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        subprocess.run(["umount", parts[3]], check=True)
    return mounted.returncode == 0


def _keeps_images_in_containerd(dockerd: str) -> bool:
    """Say whether its version can; one that it was built without counts as new."""
    printed = subprocess.run([dockerd, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)\.", printed)
    return version is None or int(version[1]) >= _FIRST_WITH_CONTAINERD


@contextlib.contextmanager
def running_dockerd(factory: pytest.TempPathFactory, *, containerd: bool = False) -> Iterator[Daemon]:
    """Share one dockerd with the other workers; skip where there can't be one.

    `containerd` lets it keep images in containerd's store, as Docker does by default since version 29.
    """
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if dockerd is None:
        pytest.skip("dockerd is not installed: apt-get install docker.io")
    if os.geteuid() != 0:
        pytest.skip("dockerd runs as root only, and these tests do not")
    if containerd and not _keeps_images_in_containerd(dockerd):
        pytest.skip("containerd's image store needs Docker 24 or later, which Debian does not have yet")
    directory = run_directory(factory, "dockerd-containerd" if containerd else "dockerd")
    settings = directory / "daemon.json"
    settings.write_text(json.dumps({"features": {"containerd-snapshotter": containerd}}))
    driver = next(each for each in ("overlay2", "vfs") if _works(each, factory.mktemp("overlay")))
    daemon = Daemon(directory / "s.sock")
    command = [
        dockerd,
        f"--host=unix://{daemon.socket}",
        f"--data-root={directory}/data/root",
        f"--exec-root={directory}/data/exec",
        f"--pidfile={directory}/pid",
        f"--config-file={settings}",
        "--bridge=none",
        "--iptables=false",
    ]
    if not containerd:
        command.append(f"--storage-driver={driver}")
    with shared_process(directory, command, answers=daemon.answers):
        yield daemon
