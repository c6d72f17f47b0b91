"""Runs bin/detect and bin/build as the specification says a lifecycle does."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).parents[3]
OURS = ROOT / "buildpacks"
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass
class Workspace:
    """The directories of one build and how buildpacks are run in them."""

    root: Path
    path: str = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env: dict[str, str] = field(default_factory=dict)
    positional: bool = False
    umask: int = 0o022

    def __post_init__(self) -> None:
        for directory in (self.app, self.layers, self.platform / "env"):
            directory.mkdir(parents=True)

    @property
    def app(self) -> Path:
        return self.root / "app"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def platform(self) -> Path:
        return self.root / "platform"

    @property
    def plan(self) -> Path:
        return self.root / "plan.toml"

    def detect(self, buildpack: Path) -> subprocess.CompletedProcess[str]:
        self.plan.write_text("")
        return self._run(
            buildpack,
            "detect",
            [self.platform, self.plan],
            {"CNB_PLATFORM_DIR": self.platform, "CNB_BUILD_PLAN_PATH": self.plan},
        )

    def build(self, buildpack: Path) -> subprocess.CompletedProcess[str]:
        if not self.plan.exists():
            self.plan.write_text("")
        return self._run(
            buildpack,
            "build",
            [self.layers, self.platform, self.plan],
            {"CNB_LAYERS_DIR": self.layers, "CNB_PLATFORM_DIR": self.platform, "CNB_BP_PLAN_PATH": self.plan},
        )

    def _run(
        self, buildpack: Path, phase: str, arguments: list[Path], variables: dict[str, Path]
    ) -> subprocess.CompletedProcess[str]:
        cnb = {} if self.positional else {name: str(path) for name, path in variables.items()}
        return subprocess.run(
            [buildpack / "bin" / phase, *arguments],
            cwd=self.app,
            env={
                "PATH": self.path,
                "HOME": str(self.root),
                **self.env,
                "CNB_BUILDPACK_DIR": str(buildpack),
                **cnb,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            umask=self.umask,
        )


@pytest.fixture
def new_workspace(tmp_path: Path) -> Callable[..., Workspace]:
    """A function that makes an empty workspace of the given name."""

    def make(name: str = "workspace", **settings: object) -> Workspace:
        return Workspace(tmp_path / name, **settings)  # type: ignore[arg-type]  # tests pass the fields

    return make


@pytest.fixture
def workspace(new_workspace: Callable[..., Workspace]) -> Workspace:
    return new_workspace()


@pytest.fixture(scope="session")
def ours() -> Path:
    """The directory of this project's buildpacks."""
    return OURS


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The directory of fixture apps and buildpacks."""
    return FIXTURES


@pytest.fixture(scope="session")
def load() -> Callable[[Path], ModuleType]:
    """A function that loads a Python file of a buildpack, which is no package."""

    def load_file(path: Path) -> ModuleType:
        name = f"buildpack_{path.parent.parent.name}_{path.stem}".replace("-", "_")
        loader = importlib.machinery.SourceFileLoader(name, str(path))
        spec = importlib.util.spec_from_loader(name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name.
        sys.modules[name] = module
        writes = sys.dont_write_bytecode
        sys.dont_write_bytecode = True
        try:
            loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = writes
        return module

    return load_file


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of tiny wheels: greeter 1.0 and 1.1, which requires Some.Words 2.0."""
    directory = tmp_path_factory.mktemp("wheelhouse")
    for version in ("1.0", "1.1"):
        _wheel(
            directory,
            "greeter",
            version,
            metadata="License-Expression: MIT\nRequires-Dist: some-words\n",
            files={
                "greeter/__init__.py": "import some_words\n\ndef main():\n    print(some_words.HELLO)\n",
                f"greeter-{version}.dist-info/entry_points.txt": "[console_scripts]\ngreet = greeter:main\n",
                f"greeter-{version}.data/scripts/greet-too": "#!python\nimport greeter\ngreeter.main()\n",
                f"greeter-{version}.data/data/share/greeter/words.txt": "hello\n",
            },
        )
    _wheel(
        directory,
        "Some.Words",
        "2.0",
        metadata="License: BSD\n",
        files={
            "some_words.py": "HELLO = 'hello from a wheel'\n",
            "lib/__init__.py": "",
            "env/__init__.py": "",
        },
    )
    return directory


def _wheel(directory: Path, name: str, version: str, *, metadata: str, files: dict[str, str]) -> None:
    module = name.replace(".", "_").lower()
    info = f"{module}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
