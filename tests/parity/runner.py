"""The two lifecycles under one interface, and what a run of either leaves."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from parity.entry import BUILDER, MOUNTS

REFERENCE_DIR = "CNB_REFERENCE_DIR"
"""Names a folder with the executables of the reference."""

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "CNB_EXPERIMENTAL_MODE": "warn"}
RECORDED_LAUNCHER = {"version": "0.21.17", "repository": "github.com/buildpacks/lifecycle", "commit": "4bd4b13e"}
"""What the build label says of the launcher in every recorded digest."""


@dataclass(frozen=True)
class Result:
    """How a command ended; ``out`` and ``err`` hold what it wrote."""

    code: int
    out: str
    err: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of the layers directory once the command had ended."""


@dataclass(frozen=True)
class Call:
    """A phase to run: flags and arguments, and environment beyond ``ENVIRONMENT``."""

    phase: str
    arguments: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    unset: Sequence[str] = ()
    """Variables of ``ENVIRONMENT`` that it does not get."""
    user: tuple[int, int] = (BUILDER, BUILDER)
    """Uid and gid that it is started with, where root runs it."""


class ViewError(Exception):
    """This host can't give a run its own view."""


class Lifecycle:
    """A lifecycle that runs phases: ours, or the reference's executables."""

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self.name = name
        self._directory = directory
        self._launcher = _launcher_of(directory) if directory else RECORDED_LAUNCHER

    def run(self, root: Path, calls: Sequence[Call], *, registry: bool = False) -> list[Result]:
        """Run phases one after the other with the directories of ``root``."""
        output = root / "output"
        output.mkdir(exist_ok=True)
        if not os.getuid():
            output.chmod(0o777)
        request = {"root": str(root), "registry": registry, "commands": [self._command(call) for call in calls]}
        return [Result(**each) for each in _server().ask(request)]

    def _command(self, call: Call) -> dict:
        executable = str(self._directory / call.phase) if self._directory else None
        return {
            "executable": executable,
            "argv": [executable or call.phase, *call.arguments],
            "env": {key: value for key, value in {**ENVIRONMENT, **call.env}.items() if key not in call.unset},
            "user": call.user,
            "launcher": reference_launcher(),
        }


@cache
def reference() -> Lifecycle | None:
    """Return the reference, if this machine has it."""
    directory = os.environ.get(REFERENCE_DIR)
    return Lifecycle("reference", Path(directory).absolute()) if directory else None


@cache
def reference_launcher() -> dict[str, str]:
    """Return what the reference says of itself in labels."""
    directory = os.environ.get(REFERENCE_DIR)
    return _launcher_of(Path(directory)) if directory else RECORDED_LAUNCHER


OURS = Lifecycle("ours")
_ETC = {
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "passwd": f"root:x:0:0:root:/root:/bin/sh\nbuilder:x:{BUILDER}:{BUILDER}:The Builder:/home/builder:/bin/sh\n",
    "group": f"root:x:0:\nbuilder:x:{BUILDER}:\n",
    "os-release": 'ID="parity"\nVERSION_ID="1"\n',
}
"""What programs that a run starts know of their machine."""


def _launcher_of(directory: Path) -> dict[str, str]:
    said = subprocess.run([directory / "lifecycle", "-version"], check=True, capture_output=True, text=True).stdout
    found = re.fullmatch(r"([^+\n]+)\+?([0-9a-f]*)\n", said)
    assert found, said
    return {**RECORDED_LAUNCHER, "version": found[1], "commit": found[2]}


class _Server:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "parity.entry"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def ask(self, request: dict) -> list[dict]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs the lifecycles has ended")
        answer = json.loads(line)
        if "problem" in answer:
            raise ViewError(answer["problem"])
        return answer["results"]

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


_servers: list[_Server] = []


def _server() -> _Server:
    if not _servers:
        _servers.append(_Server())
    return _servers[0]


def stop() -> None:
    """End the process that runs the lifecycles."""
    while _servers:
        _servers.pop().close()


def obstacle(root: Path) -> str | None:
    """Return why runs are impossible on this host, ``None`` if they are possible."""
    make_directories(root)
    try:
        OURS.run(root, [])
    except ViewError as error:
        return str(error).strip().splitlines()[-1]
    return None


def make_directories(root: Path) -> None:
    """Make the directories that a run sees at ``/``."""
    root.mkdir(parents=True, exist_ok=True)
    for name in MOUNTS:
        (root / name).mkdir(exist_ok=True, mode=0o755)
        own(root / name)
    for name, text in _ETC.items():
        (root / "etc" / name).write_text(text)


def own(path: Path) -> None:
    """Give a file to the user of the build, where that needs to be done."""
    if not os.getuid():
        os.chown(path, BUILDER, BUILDER, follow_symlinks=False)


def own_tree(path: Path) -> None:
    """Give all files to the user of the build."""
    own(path)
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            own(Path(directory, name))


def remove(root: Path) -> None:
    """Remove a root with all that runs left in it."""
    shutil.rmtree(root, ignore_errors=True)
