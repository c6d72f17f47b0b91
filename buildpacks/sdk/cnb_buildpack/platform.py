"""What a platform gives to a build: the target, user-provided variables, service bindings.

Spec: buildpack.md "Targets", "Provided by the Platform"; extensions/bindings.md; servicebinding.io, "Workload
Projection".
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


@dataclass(frozen=True, slots=True)
class Target:
    """What is built for, in the names of the OCI image specification."""

    os: str
    arch: str
    variant: str = ""
    distro_name: str = ""
    distro_version: str = ""

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Target:
        """Return the target in ``CNB_TARGET_*``; where Buildpack API 0.9 and older tell none, this machine."""
        machine = os.uname().machine
        return cls(
            os=env.get("CNB_TARGET_OS") or "linux",
            arch=env.get("CNB_TARGET_ARCH") or _ARCHITECTURES.get(machine, machine),
            variant=env.get("CNB_TARGET_ARCH_VARIANT", ""),
            distro_name=env.get("CNB_TARGET_DISTRO_NAME", ""),
            distro_version=env.get("CNB_TARGET_DISTRO_VERSION", ""),
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """Credentials and addresses of a service.  Neither ``repr`` nor errors show a value."""

    path: Path
    type: str
    provider: str = ""

    @property
    def name(self) -> str:
        """The name that the binding was given."""
        return self.path.name

    def keys(self) -> tuple[str, ...]:
        """Return the names of the values, sorted, without ``type`` and ``provider``."""
        return tuple(sorted(name for name in _file_names(self.path) if name not in {"type", "provider"}))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __getitem__(self, key: str) -> str:
        """Return a value without the line end that editors leave; ``BuildpackError`` if there is none."""
        try:
            return self.bytes(key).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise BuildpackError(f"binding {self.name}: {key} is not UTF-8", fix="read it with bytes()") from None

    def bytes(self, key: str) -> bytes:
        """Return a value as it is; ``BuildpackError`` if there is none."""
        return self.file(key).read_bytes()

    def file(self, key: str) -> Path:
        """Return the path of a value, for programs that want a file; ``BuildpackError`` if there is none."""
        if key not in self:
            raise BuildpackError(
                f"binding {self.name} of type {self.type} has no {key!r}",
                fix=f"add it; the binding has {', '.join(self.keys()) or 'no values'}",
            )
        return self.path / key


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform directory."""

    dir: Path
    bindings_dir: Path
    _cache: dict[str, dict[str, str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, platform_dir: Path, env: Mapping[str, str]) -> Platform:
        """Return the platform; SERVICE_BINDING_ROOT, if it is set, is where its bindings are."""
        root = env.get("SERVICE_BINDING_ROOT")
        return cls(platform_dir, Path(root) if root else platform_dir / "bindings")

    @property
    def env(self) -> dict[str, str]:
        """The user-provided variables, also those that ``clear-env`` keeps out of the environment."""
        if "env" not in self._cache:
            directory = self.dir / "env"
            self._cache["env"] = {
                name: os.fsdecode((directory / name).read_bytes()) for name in sorted(_file_names(directory))
            }
        return self._cache["env"]

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The service bindings, sorted by name; ``BuildpackError`` for one without a type."""
        if not self.bindings_dir.is_dir():
            return ()
        roots = (path for path in sorted(self.bindings_dir.iterdir()) if not path.name.startswith("."))
        return tuple(_read_binding(path) for path in roots if path.is_dir())

    def binding(self, type: str, *, provider: str | None = None, name: str | None = None) -> Binding | None:  # noqa: A002
        """Return the one binding of a type (compared without regard to case), ``None`` if there is none.

        Raises ``BuildpackError`` if there are several.
        """
        found = [
            each
            for each in self.bindings
            if each.type.lower() == type.lower()
            and (provider is None or each.provider.lower() == provider.lower())
            and name in {None, each.name}
        ]
        if len(found) > 1:
            raise BuildpackError(
                f"there are {len(found)} service bindings of type {type}: {', '.join(each.name for each in found)}",
                fix="give the build one of them",
            )
        return found[0] if found else None


def _read_binding(path: Path) -> Binding:
    names = _file_names(path)
    if "type" not in names:
        raise BuildpackError(f"{path}: a service binding without type", fix="add a file 'type' that says what it is")
    read = {name: (path / name).read_text(encoding="utf-8").strip() for name in ("type", "provider") if name in names}
    return Binding(path, read["type"], read.get("provider", ""))


def _file_names(directory: Path) -> set[str]:
    """Return the names of files.  Kubernetes keeps what it projects in directories and links that begin with ``..``."""
    if not directory.is_dir():
        return set()
    return {path.name for path in directory.iterdir() if not path.name.startswith("..") and path.is_file()}
