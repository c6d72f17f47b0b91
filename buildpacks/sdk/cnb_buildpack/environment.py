"""How a layer changes the environment of later buildpacks and of the app.

Spec: buildpack.md "Provided by the Buildpacks", "Environment Variable Modification Rules", "Layer Paths".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING

from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import child_name, remove, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from pathlib import Path


class Types(Flag):
    """Who needs a layer or a variable: later buildpacks, the running app."""

    BUILD = auto()
    LAUNCH = auto()


BUILD, LAUNCH = Types.BUILD, Types.LAUNCH

_LAYER_PATHS = {
    BUILD: {
        "PATH": "bin",
        "LD_LIBRARY_PATH": "lib",
        "LIBRARY_PATH": "lib",
        "CPATH": "include",
        "PKG_CONFIG_PATH": "pkgconfig",
    },
    LAUNCH: {"PATH": "bin", "LD_LIBRARY_PATH": "lib"},
}
_DIRECTORIES = {BUILD | LAUNCH: "env", BUILD: "env.build", LAUNCH: "env.launch"}
_VARIABLE = re.compile(r"[^=./\0]+")


@dataclass(slots=True)
class LayerEnv:
    """The variables of one layer, declared anew in each build; files appear when the build ends well.

    ``scope`` says for whom a variable is; ``process`` limits it to one process type of the app.
    """

    files: dict[str, str] = field(default_factory=dict)
    """The text of each file, by its path in the layer."""

    def override(
        self, name: str, value: str | PathLike[str], *, scope: Types = BUILD | LAUNCH, process: str = ""
    ) -> None:
        """Set a variable, whatever its value was."""
        self._add(name, ("override", value), scope, process)

    def default(
        self, name: str, value: str | PathLike[str], *, scope: Types = BUILD | LAUNCH, process: str = ""
    ) -> None:
        """Set a variable that has no value."""
        self._add(name, ("default", value), scope, process)

    def append(
        self,
        name: str,
        value: str | PathLike[str],
        *,
        delim: str,
        scope: Types = BUILD | LAUNCH,
        process: str = "",
    ) -> None:
        """Put text behind the value of a variable, with ``delim`` between the two, as ``":"`` for directories.

        A second call puts its text behind that of the first.
        """
        self._add(name, ("append", value), scope, process, delim)

    def prepend(
        self,
        name: str,
        value: str | PathLike[str],
        *,
        delim: str,
        scope: Types = BUILD | LAUNCH,
        process: str = "",
    ) -> None:
        """Put text before the value of a variable, with ``delim`` between the two, as ``":"`` for directories.

        A second call puts its text before that of the first.
        """
        self._add(name, ("prepend", value), scope, process, delim)

    def apply(
        self, env: Mapping[str, str], layer_dir: Path, *, scope: Types = BUILD, process: str = ""
    ) -> dict[str, str]:
        """Return the environment that a later buildpack (or with ``LAUNCH`` the app) has of ``env`` and this layer."""
        result = dict(env)
        for name, directory in _LAYER_PATHS[scope].items():
            if (layer_dir / directory).is_dir():
                result[name] = ":".join(filter(None, (str(layer_dir / directory), result.get(name))))
        directories = ["env", _DIRECTORIES[scope], *([f"env.launch/{process}"] if process else [])]
        for directory in directories:
            for path, text in sorted(self.files.items()):
                parent, _, file_name = path.rpartition("/")
                name, _, action = file_name.partition(".")
                if parent == directory:
                    delim = self.files.get(f"{parent}/{name}.delim", "")
                    _modify(result, name, action, text, delim)
        return result

    def write(self, layer_dir: Path) -> None:
        """Replace the variables in the directory of a layer by these."""
        for directory in _DIRECTORIES.values():
            remove(layer_dir / directory)
        for path, text in self.files.items():
            write_atomic(layer_dir / path, text.encode(errors="surrogateescape"))

    @classmethod
    def read(cls, layer_dir: Path) -> LayerEnv:
        """Return the variables in the directory of a layer."""
        found: dict[str, str] = {}
        for directory in _DIRECTORIES.values():
            for path in sorted((layer_dir / directory).rglob("*")):
                if path.is_file():
                    text = path.read_bytes().decode(errors="surrogateescape")
                    found[str(path.relative_to(layer_dir))] = text
        return cls(found)

    def _add(
        self, name: str, value: tuple[str, str | PathLike[str]], scope: Types, process: str, delim: str = ""
    ) -> None:
        if not _VARIABLE.fullmatch(name):
            raise BuildpackError(f"{name!r} can't be a variable of a layer", fix="use a name without '.', '/' and '='")
        if process and scope is BUILD:
            raise BuildpackError(f"{name}: a process has no variables at build time", fix="leave out scope or process")
        directory = f"env.launch/{child_name(process, 'process type')}" if process else _DIRECTORIES[scope]
        action, text = value[0], str(value[1])
        path = f"{directory}/{name}.{action}"
        # The specification has one file for all of them.
        first = self.files.get(path, "")
        if first and action == "append":
            text = f"{first}{delim}{text}"
        elif first and action == "prepend":
            text = f"{text}{delim}{first}"
        self.files[path] = text
        if delim:
            self.files[f"{directory}/{name}.delim"] = delim


def _modify(env: dict[str, str], name: str, action: str, text: str, delim: str) -> None:
    old = env.get(name, "")
    match action:
        case "append":
            env[name] = f"{old}{delim if old else ''}{text}"
        case "prepend":
            env[name] = f"{text}{delim if old else ''}{old}"
        case "default":
            env[name] = old or text
        case "delim":
            pass
        case _:
            env[name] = text
