"""The directories of one build below a temporary one, as a platform lays them out."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Bindings = Mapping[str, Mapping[str, str | bytes]]
    """The entries of service bindings by name and entry."""

IMAGE_LAYERS: Final = PurePosixPath("/layers")
IMAGE_APP: Final = PurePosixPath("/workspace")
OWNER: Final = 1000
"""User and group to whom the files of an exported image belong, whoever runs the test."""


@dataclass(frozen=True, slots=True)
class Place:
    """The directories of a build; ``layers`` and ``app`` have the same paths in every build of the place."""

    root: Path

    @property
    def layers(self) -> Path:
        """The layers directory."""
        return self.root / "layers"

    @property
    def app(self) -> Path:
        """The copy of the app that is built."""
        return self.root / "workspace"

    @property
    def platform(self) -> Path:
        """The platform directory."""
        return self.root / "platform"

    @property
    def cnb(self) -> Path:
        """Buildpacks and extensions."""
        return self.root / "cnb"

    @property
    def home(self) -> Path:
        """``HOME`` of the executables."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """``TMPDIR`` of executables that run as another user, to whom what earlier builds left in /tmp is closed."""
        return self.root / "temporary"

    @property
    def generated(self) -> Path:
        """What extensions generate."""
        return self.root / "generated"

    @property
    def mounts(self) -> dict[str, Path]:
        """Where the image and its builder have the directories."""
        return {
            str(IMAGE_LAYERS): self.layers,
            str(IMAGE_APP): self.app,
            "/platform": self.platform,
            "/cnb": self.cnb,
            "/temporary": self.temporary,
        }

    def make(self) -> None:
        """Make the directories that are missing."""
        for path in (self.layers, self.platform / "env", self.cnb, self.home, self.temporary, self.root / "view"):
            path.mkdir(parents=True, exist_ok=True)

    def fill_app(self, source: Path | None, files: Mapping[str, str | bytes]) -> None:
        """Let the app be a fresh copy of ``source`` with ``files`` written over it."""
        if source is not None and not source.is_dir():
            raise InvalidInputError("is not a directory", where=source, remedy="name the directory of an app")
        if self.app.exists():
            shutil.rmtree(self.app)
        if source is None:
            self.app.mkdir()
        else:
            shutil.copytree(source, self.app, symlinks=True)
        for name, content in files.items():
            path = self.app / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def fill_platform(self, env: Mapping[str, str], bindings: Bindings) -> None:
        """Let these be the variables and service bindings that the user gives.

        Spec: platform.md "User-Provided Variables", extensions/bindings.md.
        """
        shutil.rmtree(self.platform, ignore_errors=True)
        _write_entries(self.platform / "env", env)
        for name, entries in bindings.items():
            if "type" not in entries:
                raise InvalidInputError(f"binding {name!r} has no type", remedy='give it an entry "type"')
            _write_entries(self.platform / "bindings" / name, entries)

    def give_to(self, user: int) -> None:
        """Let ``user`` own what the executables may write, as a builder image does; root alone can do that."""
        for top in (self.layers, self.app, self.home, self.temporary):
            for path in (top, *top.rglob("*")):
                os.chown(path, user, user, follow_symlinks=False)


def _write_entries(directory: Path, entries: Mapping[str, str | bytes]) -> None:
    directory.mkdir(parents=True)
    for name, value in entries.items():
        (directory / name).write_bytes(os.fsencode(value))


def make_read_only(directory: Path) -> None:
    """Let nobody but root write below ``directory``."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
        if os.geteuid() == 0:
            os.chown(path, 0, 0, follow_symlinks=False)
