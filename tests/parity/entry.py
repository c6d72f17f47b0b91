"""A warm process that runs lifecycles in a view of the file system of their own; one JSON request a line.

A view has ``/layers``, ``/workspace`` and the like as images have them, whoever builds: root, or an ordinary user in
a user namespace.  In it one uid stands for the user of the build, so that ids in layers are the same on every machine.
"""

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from lifecycle.executables.mounts import Unshared, call, libc, unshare
from lifecycle.executables.namespace import enter, map_ids
from lifecycle.model.build_metadata import LauncherSource
from parts.forks import become, end_after, redirect, run_main, warm

BUILDER = 1000
MOUNTS = ("layers", "workspace", "cnb", "platform", "layout", "cache", "etc", "kaniko")
FILES = ("analyzed.toml", "group.toml", "plan.toml", "report.toml", "config/metadata.toml")
_SETTLED = 120.0
_CAPABILITIES_VERSION = 0x20080522


def serve() -> None:
    """Answer requests until there are no more."""
    warm()
    with contextlib.ExitStack() as stack:
        network = _Network(stack)
        for line in sys.stdin:
            try:
                answer = _apart(json.loads(line), network)
            except Exception:  # noqa: BLE001  # it is the answer
                answer = json.dumps({"problem": traceback.format_exc()})
            sys.stdout.write(answer + "\n")
            sys.stdout.flush()


def _apart(request: dict, network: "_Network") -> str:
    """Return the answer, in JSON, of a child in which a request is run."""
    root = Path(request["root"])
    network.prepare(root, registry=request.get("registry", False))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        with os.fdopen(writer, "w") as stream:
            try:
                answer = {"results": _run(root, request["commands"], ordinary_user=network.ordinary_user)}
            except BaseException:  # noqa: BLE001  # the child has no caller
                answer = {"problem": traceback.format_exc()}
            json.dump(answer, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer


class _Network:
    """This process's network, in which localhost:5000 is a docker-registry: a name that no other process can take here.

    One registry serves all requests; ``prepare`` gives it the storage of the next one.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._storage: Path | None = None
        self._user, self._group = os.getuid(), os.getgid()
        self.ordinary_user = bool(self._user)

    def prepare(self, root: Path, *, registry: bool) -> None:
        """Make ``root`` that of the next request; raise LifecycleError where the host refuses namespaces."""
        if os.getuid():
            _become(0, 0, self._user, self._group)
        if not registry:
            return
        if self._storage is None:
            made = tempfile.TemporaryDirectory(prefix="parity-registry", dir=root.parent)
            directory = Path(self._stack.enter_context(made))
            unshare(Unshared.NETWORK, step="unshare the network")
            self._stack.enter_context(_registry(directory))
            self._storage = directory / "storage"
        self._storage.unlink(missing_ok=True)
        (root / "registry").mkdir(exist_ok=True)
        self._storage.symlink_to(root / "registry" / "storage")


def _run(root: Path, commands: list[dict], *, ordinary_user: bool) -> list[dict]:
    scratch = root / "view"
    scratch.mkdir(exist_ok=True)
    enter({f"/{name}": root / name for name in MOUNTS if (root / name).is_dir()}, scratch)
    if ordinary_user:
        _become(BUILDER, BUILDER, 0, 0)
    results = []
    for each in commands:
        results.append(_command(each, root / "output"))
        if results[-1]["code"]:
            break
    return results


def _become(uid: int, gid: int, from_uid: int, from_gid: int) -> None:
    unshare(Unshared.USERS, step="unshare user")
    map_ids(uid, gid, from_uid=from_uid, from_gid=from_gid)


def _give_up_rights() -> None:
    """Be who has no capabilities, as ordinary users have none: in a namespace of one's own all of them come back."""
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    call(libc().capset, header, bytes(24), step="give up capabilities")


@contextlib.contextmanager
def _registry(directory: Path):
    """Run docker-registry as localhost:5000."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    configuration = directory / "config.json"
    configuration.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "error", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}},
                "http": {"addr": "127.0.0.1:5000"},
            }
        )
    )
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", configuration], stdout=log, stderr=log, env={**os.environ, "GOGC": "1000"}
        )
    try:
        _wait_for(server, directory / "log")
        yield
    finally:
        server.kill()
        server.wait()


def _wait_for(server: subprocess.Popen, log: Path) -> None:
    import http.client

    until = time.monotonic() + _SETTLED
    while server.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", 5000, timeout=5)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.01)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"docker-registry did not start:\n{log.read_text()}")


def _command(command: dict, output: Path) -> dict:
    out, err = output / "out", output / "err"
    child = os.fork()
    if not child:
        end_after(lambda: _start(command, out, err))
    _, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": out.read_bytes().decode(errors="backslashreplace"),
        "err": err.read_bytes().decode(errors="backslashreplace"),
        "files": {name: _text(Path("/layers", name)) for name in FILES if Path("/layers", name).is_file()},
    }


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="backslashreplace")


def _start(command: dict, out: Path, err: Path) -> None:
    redirect(out, err)
    os.umask(0o022)
    os.chdir("/")
    uid, gid = command["user"]
    if uid and not os.getuid():
        become(uid, gid)
    if os.getuid():
        _give_up_rights()
    if command["executable"]:
        os.execve(command["executable"], command["argv"], command["env"])
    claimed = LauncherSource(**command["launcher"])
    for name, module in sys.modules.items():
        if name.startswith("lifecycle.cli.") and hasattr(module, "LauncherSource"):
            module.LauncherSource = lambda **_: claimed
    run_main(command["argv"], command["env"])


if __name__ == "__main__":
    serve()
