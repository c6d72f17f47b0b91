"""The launcher as a process, in a layers and an app directory that a test fills."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.launcher import build

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def launcher_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The launcher for an architecture: the packaged one, or one of the sources where they are newer."""

    def find(arch: str) -> Path:
        packaged = build.SOURCES_DIR / "bin" / f"linux-{arch}" / "launcher"
        if build.is_current(packaged):
            return packaged
        return build.build_launcher(tmp_path_factory.mktemp("launcher") / "launcher", arch=arch)

    return find


@pytest.fixture(scope="session")
def launcher(launcher_for: Callable[[str], Path]) -> Path:
    """The one for this host, or the executable that CNB_LAUNCHER names: of an emulator, of another lifecycle."""
    given = os.environ.get("CNB_LAUNCHER")
    return launcher_for(build.host_arch()) if given is None else Path(given)


@dataclass
class Image:
    """A layers and an app directory, and the launcher that runs in them."""

    launcher: Path
    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def app(self) -> Path:
        return self.root / "app"

    def metadata(self, text: str) -> None:
        self.file("config/metadata.toml", text)

    def process(self, text: str, api: str = "0.12") -> None:
        """Give the image the process type web of buildpack a/b, with these keys; there is also a buildpack second."""
        self.metadata(
            f'[[buildpacks]]\nid = "a/b"\nversion = "1"\napi = "{api}"\n'
            '[[buildpacks]]\nid = "second"\nversion = "2"\napi = "0.8"\n'
            f'[[processes]]\ntype = "web"\nbuildpack-id = "a/b"\n{text}\n'
        )

    def file(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.layers / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def execd(self, name: str, script: str) -> Path:
        return self.file(name, f"#!/bin/sh\n{script}\n", 0o755)

    def variables(self, api: str | None = "0.15", **env: str) -> dict[str, str]:
        found = {
            "PATH": "/usr/bin:/bin",
            "CNB_LAYERS_DIR": str(self.layers),
            "CNB_APP_DIR": str(self.app),
            "CNB_NO_COLOR": "true",
            **self.env,
            **env,
        }
        return found if api is None else {**found, "CNB_PLATFORM_API": api}

    def run(self, name: str, *args: str, api: str | None = "0.15", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [name, *args],
            executable=self.launcher,
            env=self.variables(api, **env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def printed_env(self, name: str = "x") -> dict[str, str]:
        """The environment of a direct process."""
        done = self.run(name, *([] if name == "web" else ["--"]), "env", "-0")
        assert done.returncode == 0, done.stdout
        return dict(each.split("=", 1) for each in done.stdout.split("\0") if each)


@pytest.fixture
def image(launcher: Path, tmp_path: Path) -> Image:
    made = Image(launcher, tmp_path)
    made.app.mkdir()
    made.metadata('processes = []\n[[buildpacks]]\nid = "a/b"\nversion = "1"\napi = "0.12"\n')
    return made
