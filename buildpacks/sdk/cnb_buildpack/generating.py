"""What bin/generate of an image extension knows and leaves behind.  Spec: image_extension.md "Generation"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnb_buildpack.api import Feature
from cnb_buildpack.context import Context, common
from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import write_atomic, write_toml
from cnb_buildpack.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_RESERVED = frozenset({"base_image", "build_id", "user_id", "group_id"})
_CONTINUED = re.compile(r"\\[ \t]*\n")
_BASE = re.compile(r"FROM\s+\$(?:\{base_image\}|base_image)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateContext(Context):
    """What an extension knows when it writes Dockerfiles."""

    output_dir: Path
    plan: Plan
    _args: dict[str, dict[str, str]] = field(default_factory=lambda: {"build": {}, "run": {}})

    @classmethod
    def at(
        cls,
        *,
        root: Path,
        app_dir: Path,
        output_dir: Path,
        platform_dir: Path = Path("/platform"),
        plan: Plan | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """Return the context for these directories, plan and environment."""
        fields: dict[str, Any] = common(root, app_dir, platform_dir, env or {})
        fields["descriptor"].api.require(Feature.EXTENSIONS, fields["descriptor"].id)
        return cls(**fields, output_dir=output_dir, plan=plan or Plan())

    @property
    def extension_dir(self) -> Path:
        """The directory of the extension."""
        return self.root

    def build_dockerfile(self, text: str) -> None:
        """Write the Dockerfile that extends the build image: ``ARG base_image``, ``FROM ${base_image}``, more."""
        instructions = _instructions(text)
        if [name for name, _ in instructions[:2]] != ["ARG", "FROM"] or not _BASE.fullmatch(instructions[1][1]):
            raise BuildpackError(
                "build.Dockerfile does not start from the build image",
                fix="let it start with the lines 'ARG base_image' and 'FROM ${base_image}'",
            )
        self._write("build", text, instructions)

    def run_dockerfile(self, text: str) -> None:
        """Write the Dockerfile that switches the run image (``FROM image``) or extends it."""
        instructions = _instructions(text)
        if any(name not in {"ARG", "FROM"} for name, _ in instructions):
            self.descriptor.api.require(Feature.RUN_DOCKERFILE_EXTENDS, "run.Dockerfile", otherwise="leave only FROM")
        self._write("run", text, instructions)

    def build_arg(self, name: str, value: str) -> None:
        """Give an argument to build.Dockerfile."""
        self._add_arg("build", name, value)

    def run_arg(self, name: str, value: str) -> None:
        """Give an argument to run.Dockerfile."""
        self.descriptor.api.require(Feature.RUN_ARGS, f"argument {name}", otherwise="write its value into the file")
        self._add_arg("run", name, value)

    def context_dir(self, kind: Literal["build", "run"] | None = None) -> Path:
        """Return a new directory that the Dockerfile of the kind (of both if ``None``) has as its build context."""
        name = "context" if kind is None else f"context.{kind}"
        self.descriptor.api.require(Feature.CONTEXT_DIRS, name, otherwise="write the files from the Dockerfile")
        shared, own = self.output_dir / "context", self.output_dir.glob("context.*")
        if any(own) if kind is None else shared.exists():
            raise BuildpackError(
                f"{name} is asked for besides {'one of a kind' if kind is None else 'context'}",
                fix="use either the shared build context or those of a kind",
            )
        path = self.output_dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self) -> None:
        """Write extend-config.toml."""
        table = {
            kind: {"args": [{"name": name, "value": value} for name, value in args.items()]}
            for kind, args in self._args.items()
            if args
        }
        if table:
            write_toml(self.output_dir / "extend-config.toml", table)

    def _write(self, kind: str, text: str, instructions: list[tuple[str, str]]) -> None:
        if sum(name == "FROM" for name, _ in instructions) != 1:
            raise BuildpackError(f"{kind}.Dockerfile has not exactly one FROM", fix="write it without further stages")
        write_atomic(self.output_dir / f"{kind}.Dockerfile", text.encode())

    def _add_arg(self, kind: str, name: str, value: str) -> None:
        if name in _RESERVED:
            raise BuildpackError(f"argument {name} of {kind}.Dockerfile is given by the lifecycle", fix="rename it")
        self._args[kind][name] = value


def _instructions(text: str) -> list[tuple[str, str]]:
    """Return the name of each instruction, in capitals, and its text."""
    uncommented = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = (line.strip() for line in _CONTINUED.sub(" ", f"{uncommented}\n").splitlines())
    return [(line.split()[0].upper(), line) for line in lines if line]
