"""Podman's service, which answers as a Docker daemon does, on a private socket with a store of its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from parts.dockerd import Daemon
from parts.shared_process import OWN_MOUNTS, run_directory, shared_process


@contextlib.contextmanager
def running_podman(factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Share one service with the other workers; skip where there can't be one."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman is not installed: apt-get install podman")
    if os.geteuid() != 0:
        pytest.skip("podman's service needs root or ranges of user ids, and these tests have neither")
    directory = run_directory(factory, "podman")
    daemon = Daemon(directory / "s.sock")
    # Native overlay is tried by starting it: what it needs differs between versions.
    for driver in ("overlay", "vfs"):
        options = [
            f"--root={directory}/data/{driver}",
            f"--runroot={directory}/data/{driver[0]}",  # podman takes 50 characters at most
            f"--storage-driver={driver}",
        ]
        tried = subprocess.run([*OWN_MOUNTS, podman, *options, "info"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            break
    else:
        pytest.skip(f"podman can't store images here, neither with overlay nor with vfs: {tried.stderr}")
    command = [podman, *options, "system", "service", "--time=0", f"unix://{daemon.socket}"]
    with shared_process(directory, command, answers=daemon.answers):
        yield daemon
