"""launch.toml: processes, labels and slices of the app image.  Spec: buildpack.md "launch.toml (TOML)"."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnb_buildpack.api import Api, Feature
from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    Word = str | PathLike[str]

_TYPE = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(slots=True)
class Launch:
    """What a buildpack adds to the app image besides layers, in the order in which it was added."""

    api: Api
    _processes: list[dict[str, Any]] = field(default_factory=list)
    _labels: dict[str, str] = field(default_factory=dict)
    _slices: list[list[str]] = field(default_factory=list)

    def process(
        self,
        type: str,  # noqa: A002  # the specification's word
        command: Sequence[Word] | str,
        *,
        args: Sequence[Word] = (),
        default: bool = False,
        working_dir: str = "",
        exec_env: Sequence[str] = (),
    ) -> None:
        """Add a process type.

        ``command`` is a program with its arguments, ``args`` are more of them that a user may replace.  A string is a
        line for the shell, which Buildpack API 0.9 and newer has not: use ``["sh", "-c", line]`` there.  ``exec_env``
        are the execution environments that have the process, all if there is none.
        """
        where = f"process {type}"
        if not _TYPE.fullmatch(type):
            raise BuildpackError(f"{type!r} is no process type", fix="use letters, digits, '.', '_' and '-'")
        if not command:
            raise BuildpackError(f"{where} has no command", fix="name a program")
        if working_dir:
            self.api.require(Feature.WORKING_DIR, where, otherwise='use ["env", "--chdir=...", ...]')
        if exec_env:
            self.api.require(Feature.EXEC_ENV, where, otherwise="leave out exec_env")
        self._check_unique(type, exec_env, default=default)
        row = {
            "type": type,
            **self._command(where, command if isinstance(command, str) else _texts(command), _texts(args)),
            "default": default or None,
            "working-dir": working_dir or None,
            "exec-env": list(exec_env) or None,
        }
        self._processes.append(row)

    def label(self, key: str, value: str) -> None:
        """Add a label; each key once."""
        if not key:
            raise BuildpackError(f"the label {value!r} has no key", fix="name it as in org.example.version")
        if key in self._labels:
            raise BuildpackError(f"label {key} is set twice", fix="set it once")
        self._labels[key] = value

    def slice(self, *globs: str) -> None:
        """Put the app's files that match any of the globs into a layer of their own."""
        if not globs or any(glob.startswith("../") or not glob for glob in globs):
            raise BuildpackError(f"a slice of {globs!r}", fix="name paths below the app directory")
        self._slices.append(list(globs))

    def table(self) -> dict[str, Any]:
        """Return the document; empty if nothing was added."""
        parts = {
            "labels": [{"key": key, "value": value} for key, value in self._labels.items()],
            "processes": self._processes,
            "slices": [{"paths": globs} for globs in self._slices],
        }
        return {name: rows for name, rows in parts.items() if rows}

    def _command(self, where: str, command: list[str] | str, args: list[str]) -> dict[str, Any]:
        """Return the keys that say what runs, in the shape of this API version."""
        if isinstance(command, str):
            self.api.require(Feature.SHELL_PROCESS, where, otherwise='write ["sh", "-c", line]')
            return {"command": command, "args": args or None, "direct": False}
        if Feature.COMMAND_LIST in self.api:
            return {"command": command, "args": args or None}
        if args:
            self.api.require(Feature.COMMAND_LIST, where, otherwise="move args into command")
        return {"command": command[0], "args": command[1:] or None, "direct": True}

    def _check_unique(self, process_type: str, exec_env: Sequence[str], *, default: bool) -> None:
        for row in self._processes:
            others = row["exec-env"]
            if others and exec_env and not set(others) & set(exec_env):
                continue
            if row["type"] == process_type:
                raise BuildpackError(f"process {process_type} is added twice", fix="give each process its own type")
            if row["default"] and default:
                raise BuildpackError(
                    f"processes {row['type']} and {process_type} are both the default", fix="choose one of them"
                )


def _texts(words: Sequence[Word]) -> list[str]:
    return [os.fspath(word) for word in words]
