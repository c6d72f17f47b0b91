"""A file system as small as can be, and phases run in it as root: what a container of a base image is to the extender.

The interpreter and the modules under test are the host's and loaded before, so they are no part of the image.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import lifecycle
from parts.containers import COLOR

SOURCE = Path(lifecycle.__file__).parents[1]
APPLETS = ("sh", "cat", "chmod", "chown", "cp", "echo", "env", "id", "ln", "ls", "mkdir", "mv", "rm", "sleep", "touch")
USERS = {"root": (0, "/root"), "cnb": (1000, "/home/cnb")}

# Forks a process for each line of JSON, which enters a mount namespace and the root directory of its own there.
# Everything but the image's own files is mounted; what is mounted is in no layer.  All modules are loaded once.
_FORKS = """
import ctypes, gc, importlib, json, os, pkgutil, subprocess, sys
import encodings.idna, http.cookiejar, lifecycle, uuid
for module in pkgutil.walk_packages(lifecycle.__path__, "lifecycle."):
    if not module.name.endswith("__main__") and not module.name.startswith(("lifecycle.dist.", "lifecycle.testing.")):
        importlib.import_module(module.name)
from lifecycle.cli.main import main
gc.freeze()

def enter(root):
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
        raise OSError(ctypes.get_errno(), "unshare")
    mounts = [("--make-rprivate", "/"), ("--bind", root, root)]
    mounts += [("--rbind", "/" + name, f"{root}/{name}") for name in ("proc", "dev")] + [("--rbind", "/", f"{root}/host")]
    mounts += [("--bind", f"{root}.volumes/{name}", f"{root}/{name}") for name in VOLUMES]
    for arguments in mounts:
        if arguments[-1].startswith(root):
            os.makedirs(arguments[-1], exist_ok=True)
        subprocess.run(["mount", *arguments], check=True)
    sys.path[:] = ["/host" + path for path in sys.path]
    os.chroot(root)
    os.chdir("/")

for line in sys.stdin:
    call = json.loads(line)
    child = os.fork()
    if not child:
        output = os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        enter(call["root"])
        if call["user"]:
            os.setgroups([])
            os.setresgid(*[call["user"]] * 3)
            os.setresuid(*[call["user"]] * 3)
        os.environ.clear()
        os.environ.update(call["environment"])
        sys.argv = ["lifecycle", *call["arguments"]]
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
VOLUMES = ("layers", "workspace", "kaniko", "platform")


@dataclass(frozen=True)
class Finished:
    """What a phase in the container left."""

    code: int
    output: str


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
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        output = Path(f"{self.root}.output")
        call = {
            "root": str(self.root),
            "arguments": [name, *arguments],
            "environment": {**self.variables, "CNB_PLATFORM_API": api, **variables},
            "output": str(output),
            "user": user,
        }
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        printed = COLOR.sub("", output.read_text(errors="replace"))
        assert "Traceback" not in printed, printed
        return Finished(code, printed)


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that forks phases, which ends with this one."""
    server = subprocess.Popen(
        [sys.executable, "-c", f"VOLUMES = {VOLUMES!r}\n{_FORKS}"],
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    with server:
        if server.stdin is not None:
            server.stdin.close()


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
