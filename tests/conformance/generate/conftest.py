"""Image extensions as small shell scripts, and generation for a group of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lifecycle.executables.process import run_process
from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.plan import Plan
from lifecycle.model.run import Run
from lifecycle.model.target import TargetData
from lifecycle.phases.generate import Generated, GenerateInputs, generate

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Extensions:
    """The directories of a builder with extensions, and what generation printed."""

    root: Path
    output: list[bytes] = field(default_factory=list)

    def add(self, name: str, script: str | None = None, *, api: str = "0.12", toml: str = "") -> Path:
        """Add an extension; without a script it has no bin/generate."""
        root = self.root / "extensions" / name.replace("/", "_") / "1"
        (root / "bin").mkdir(parents=True)
        (root / "extension.toml").write_text(f"api = '{api}'\n[extension]\nid = '{name}'\nversion = '1'\n{toml}")
        if script is not None:
            path = root / "bin" / "generate"
            path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
            path.chmod(0o755)
        return root

    def generate(self, *names: str, api=LATEST_PLATFORM_API, plan=None, images=(), **given) -> Generated:
        """Generate with real processes."""
        (self.root / "app").mkdir(exist_ok=True)
        inputs = GenerateInputs(
            platform_api=api,
            app_dir=self.root / "app",
            extensions_dir=self.root / "extensions",
            generated_dir=self.root / "generated",
            platform_dir=self.root / "platform",
            build_config_dir=self.root / "build-config",
            group=Group(group_extensions=tuple(GroupElement(id=name, version="1") for name in names)),
            plan=Plan.model_validate({"entries": plan or []}),
            run_metadata=Run.model_validate({"images": [{"image": image} for image in images]}),
            process_env={"PATH": os.environ["PATH"], "CNB_LAYERS_DIR": "/layers"},
            **{"analyzed": analyzed(), **given},
        )
        return generate(inputs, run=run_process, output=self.output.append)

    def tree(self) -> list[str]:
        """Return every file below the generated directory."""
        generated = self.root / "generated"
        return sorted(path.relative_to(generated).as_posix() for path in generated.rglob("*") if path.is_file())


def analyzed() -> Analyzed:
    target = TargetData(os="linux", arch="amd64")
    return Analyzed(run_image=RunImageChoice(reference="old@sha256:0", image="old", target=target))


@pytest.fixture
def extensions(tmp_path) -> Extensions:
    return Extensions(tmp_path)
