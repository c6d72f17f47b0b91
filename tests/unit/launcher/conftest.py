from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lifecycle.launcher import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packaged = build.SOURCES_DIR / "bin" / f"linux-{build.host_arch()}" / "launcher"
    if build.is_current(packaged):
        return packaged
    return build.build_launcher(tmp_path_factory.mktemp("launcher") / "launcher")


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

    def file(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.layers / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def run(self, name: str, *args: str, api: str | None = "0.15", **env: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": "/usr/bin:/bin",
            "CNB_LAYERS_DIR": str(self.layers),
            "CNB_APP_DIR": str(self.app),
        }
        variables |= {"CNB_NO_COLOR": "true", **self.env, **env}
        if api is not None:
            variables["CNB_PLATFORM_API"] = api
        return subprocess.run(
            [name, *args],
            executable=self.launcher,
            env=variables,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@pytest.fixture
def image(launcher: Path, tmp_path: Path) -> Image:
    made = Image(launcher, tmp_path)
    made.app.mkdir()
    made.metadata('processes = []\n[[buildpacks]]\nid = "a/b"\nversion = "1"\napi = "0.12"\n')
    return made
