"""Phases in containers, each started with what a platform gives it."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parts.dockerd import Daemon
from parts.skopeo import skopeo

COLOR = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True)
class Ended:
    """A phase whose container has ended: all its output without colors, and the seconds from start to end."""

    phase: str
    code: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Call:
    """A phase as a platform calls it: flags and arguments, options of `docker create`, and files put there before."""

    phase: str
    image: str
    arguments: Sequence[str]
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[str] = ()
    options: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    app: Path | None = None


def run_phase(daemon: Daemon, call: Call, owner: tuple[int, int] = (0, 0)) -> Ended:
    """Create the container, put the files and the app (to /workspace, as `owner`'s) into it, start it and remove it."""
    options = ["--network=host", "--entrypoint=", *call.options]
    options += [f"--user={call.user}"] if call.user else []
    options += [f"--env={name}={value}" for name, value in call.environment.items()]
    options += [f"--volume={mount}" for mount in call.mounts]
    container = daemon.docker("create", *options, call.image, f"/cnb/lifecycle/{call.phase}", *call.arguments).strip()
    try:
        docker = [str(shutil.which("docker")), "--host", daemon.environment["DOCKER_HOST"]]
        archive = _archive(call, owner)
        if archive:
            subprocess.run([*docker, "cp", "-", f"{container}:/"], input=archive, capture_output=True, check=True)
        began = time.monotonic()
        done = subprocess.run(
            [*docker, "start", "--attach", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        seconds = time.monotonic() - began
    finally:
        daemon.docker("rm", "--force", "--volumes", container)
    output = COLOR.sub("", done.stdout.decode(errors="replace"))
    assert "Traceback" not in output, output
    return Ended(call.phase, done.returncode, output, seconds)


def _archive(call: Call, owner: tuple[int, int]) -> bytes:
    if not call.files and call.app is None:
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in call.files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
        if call.app is not None:

            def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
                entry.uid, entry.gid = owner
                entry.uname = entry.gname = ""
                return entry

            archive.add(call.app, "workspace", filter=owned)
    return buffer.getvalue()


def run_in_order(daemon: Daemon, calls: Sequence[Call], owner: tuple[int, int] = (0, 0)) -> list[Ended]:
    """Run the phases one after the other, until one fails."""
    ended: list[Ended] = []
    for call in calls:
        ended.append(run_phase(daemon, call, owner))
        if ended[-1].code:
            break
    return ended


def passed(ended: Sequence[Ended]) -> str:
    """Return the log of phases, none of which may have failed."""
    log = "".join(f"{each.output}\n[{each.phase}: {each.code}]\n" for each in ended)
    assert {each.code for each in ended} == {0}, log
    return log


def added_layers(log: str) -> list[str]:
    """Return the lines about layers that an export did not reuse."""
    return [line for line in log.splitlines() if line.startswith(("Adding layer", "Added"))]


def image_in_daemon(daemon: Daemon, name: str) -> dict[str, Any]:
    """Return what the daemon tells of an image."""
    return dict(json.loads(daemon.docker("image", "inspect", name))[0])


def image_in_registry(name: str) -> str:
    """Return the id of an image in a registry without TLS: the digest of its configuration."""
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}").stdout
    return str(json.loads(raw)["config"]["digest"])


@contextlib.contextmanager
def volumes_of_one_build(daemon: Daemon) -> Iterator[list[str]]:
    """Name volumes for /layers and /workspace, which go after the build."""
    name = uuid.uuid4().hex[:10]
    yield [f"pack-layers-{name}:/layers", f"pack-app-{name}:/workspace"]
    daemon.docker("volume", "rm", "--force", f"pack-layers-{name}", f"pack-app-{name}")
