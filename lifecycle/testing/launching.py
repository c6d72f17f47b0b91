"""Processes of an exported image, started by its launcher on this host, with the image's own files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import LaunchError
from lifecycle.executables.process import Command, run_process
from lifecycle.files.build_metadata import metadata_path, save_metadata
from lifecycle.files.codec import load
from lifecycle.layers.extract import extract
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.testing.conditions import namespaces_refused, started_as
from lifecycle.testing.log import Log
from lifecycle.testing.place import IMAGE_APP, IMAGE_LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.images.store import Image
    from lifecycle.model.api import PlatformApi

_GRACE = 5.0
_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that ended: its exit status, minus the signal that killed it, and all that it printed."""

    exit_code: int
    log: Log

    def __repr__(self) -> str:
        return f"<process ended with {self.exit_code}\n{self.log.tail}\n>"


@dataclass(slots=True)
class Running:
    """A process that runs until its ``with`` block ends."""

    process: subprocess.Popen[bytes]
    path: Path

    @property
    def log(self) -> Log:
        """What it has printed so far."""
        return Log.of(self.path.read_bytes())

    @property
    def exit_code(self) -> int | None:
        """Its exit status, ``None`` while it runs."""
        return self.process.poll()

    def wait_for(self, text: str, *, timeout: float = 30.0) -> None:
        """Return once it has printed ``text``; raise ``LaunchError`` if it ends or ``timeout`` seconds pass first."""
        deadline = time.monotonic() + timeout
        while text not in (ended := self.exit_code, self.log)[1]:
            if ended is not None or time.monotonic() > deadline:
                problem = "is still running" if ended is None else f"ended with {ended}"
                raise LaunchError(f"the process {problem} and did not print {text!r}:\n{self.log.tail}")
            time.sleep(_POLL)


@dataclass(slots=True)
class Unpacked:
    """The file system of an image on disk, as far as layers say it, below ``root``."""

    root: Path
    image: Image
    api: PlatformApi
    home: Path

    @classmethod
    def of(cls, image: Image, root: Path, api: PlatformApi) -> Unpacked:
        """Unpack the layers of ``image`` below ``root``."""
        files, home = root / "files", root / "home"
        for path in (files, home, root / "view"):
            path.mkdir(parents=True)
        for diff_id in image.config.diff_ids:
            extract(image.layer(diff_id), root=PurePosixPath("/"), target=files)
        for name in (IMAGE_LAYERS, IMAGE_APP):
            (files / name.relative_to("/")).mkdir(exist_ok=True)
        return cls(root, image, api, home)

    @property
    def metadata(self) -> BuildMetadata:
        """metadata.toml of the image."""
        return load(BuildMetadata, metadata_path(self._layers))

    def command(self, process: str | None, args: Sequence[str], env: Mapping[str, str]) -> Command:
        """Return the command that starts a process, the default one unless ``process`` names another.

        Without process types ``args`` is a command of the user.  Spec: platform.md "launcher".
        """
        files = self.root / "files"
        wanted = process or self.metadata.default_process_type
        types = [each.type for each in self.metadata.processes or ()]
        if wanted and wanted not in types:
            raise LaunchError(f"the image has no process {wanted!r} but {types}")
        if not wanted and not args:
            raise LaunchError(f"the image has no default process; name one of {types} or give a command")
        variables = self.image.config.variables
        variables |= {"HOME": str(self.home), **env}
        name = wanted or "launcher"
        launcher = "/cnb/lifecycle/launcher"
        if not namespaces_refused():
            mounts = {f"/{path.name}": path for path in files.iterdir() if path.is_dir() and path.name in _MOUNTED}
            command = Command((launcher, *args), Path(IMAGE_APP), variables)
            return started_as(name, command, mounts, self.root / "view")
        places = {"CNB_LAYERS_DIR": str(self._layers), "CNB_APP_DIR": str(files / IMAGE_APP.relative_to("/"))}
        command = Command((f"{files}{launcher}", *args), Path(places["CNB_APP_DIR"]), variables | places)
        return started_as(name, command, {}, self.root / "view")

    def launch(self, process: str | None, args: Sequence[str], env: Mapping[str, str]) -> Launched:
        """Run a process to its end."""
        chunks: list[bytes] = []
        status = run_process(self.command(process, args, env), output=chunks.append)
        return Launched(status, Log.of(b"".join(chunks)))

    def environment(self, process: str | None, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that a process starts with: its command gives way to ``env`` for a moment."""
        metadata = self.metadata
        wanted = process or metadata.default_process_type
        asking = {"command": ("env", "-0"), "args": (), "direct": True}
        processes = tuple(
            each.model_copy(update=asking) if each.type == wanted else each for each in metadata.processes or ()
        )
        path = metadata_path(self._layers)
        save_metadata(path, metadata.model_copy(update={"processes": processes}), self.api)
        try:
            done = self.launch(process, () if wanted else ("env", "-0"), env)
        finally:
            save_metadata(path, metadata, self.api)
        if done.exit_code != 0:
            raise LaunchError(f"the launcher failed with {done.exit_code}:\n{done.log.tail}")
        pairs = (entry.partition("=") for entry in done.log.split("\0") if entry)
        return {name: value for name, _, value in pairs}

    @contextlib.contextmanager
    def running(self, process: str | None, args: Sequence[str], env: Mapping[str, str]) -> Iterator[Running]:
        """Start a process and end it, with its children, after the block."""
        command = self.command(process, args, env)
        descriptor, path = tempfile.mkstemp(prefix="log-", dir=self.root)
        with (
            os.fdopen(descriptor, "wb") as log,
            subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=dict(command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as started,
        ):
            try:
                yield Running(started, Path(path))
            finally:
                _end(started)

    @property
    def _layers(self) -> Path:
        return self.root / "files" / IMAGE_LAYERS.relative_to("/")


_MOUNTED = frozenset({"layers", "workspace", "cnb"})


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
