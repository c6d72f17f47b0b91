"""Buildpacks and extensions as small shell scripts, and detection of an order of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lifecycle.executables.process import run_process
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.descriptor import Order, System
from lifecycle.phases.detect import DetectInputs, detect

if TYPE_CHECKING:
    from pathlib import Path


class Builder:
    """The directories of a builder, filled by tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.app_dir = root / "app"
        self.app_dir.mkdir()
        self.calls = root / "calls"
        self.calls.touch()

    def buildpack(self, name: str, script: str = "", *, version: str = "1", api: str = "0.12", toml: str = "") -> Path:
        """Add a component buildpack whose bin/detect is the script, after noting that it was called."""
        root = self.root / "buildpacks" / name.replace("/", "_") / version
        self._module(root, "buildpack", name, version=version, api=api, toml=toml)
        self._script(root / "bin" / "detect", f"echo {name}@{version} >> '{self.calls}'\n{script}")
        self._script(root / "bin" / "build", "")
        return root

    def composite(self, name: str, *groups: str, version: str = "1", api: str = "0.12", toml: str = "") -> Path:
        """Add a composite buildpack; ``a b?`` is a group of two, the second optional."""
        root = self.root / "buildpacks" / name.replace("/", "_") / version
        order = "".join(
            "[[order]]\n"
            + "".join(
                f"[[order.group]]\nid={e['id']!r}\nversion={e['version']!r}\noptional={str(e['optional']).lower()}\n"
                for e in elements(group)
            )
            for group in groups
        )
        self._module(root, "buildpack", name, version=version, api=api, toml=toml + order)
        return root

    def extension(self, name: str, script: str | None = None, *, api: str = "0.12", toml: str = "") -> Path:
        """Add an image extension; without a script it has no bin/detect."""
        root = self.root / "extensions" / name.replace("/", "_") / "1"
        self._module(root, "extension", name, version="1", api=api, toml=toml)
        if script is not None:
            self._script(root / "bin" / "detect", script)
        return root

    def _module(self, root: Path, kind: str, name: str, *, version: str, api: str, toml: str) -> None:
        root.mkdir(parents=True)
        text = f"api = '{api}'\n[{kind}]\nid = '{name}'\nversion = '{version}'\n{toml}"
        (root / f"{kind}.toml").write_text(text)

    def _script(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def inputs(self, *groups: str, extensions: tuple[str, ...] = (), system=None, api=LATEST_PLATFORM_API, **given):
        """Return inputs for an order of the groups."""
        order = {"order": [{"group": elements(group)} for group in groups]}
        order["order-extensions"] = [{"group": elements(group)} for group in extensions]
        return DetectInputs(
            platform_api=api,
            app_dir=self.app_dir,
            buildpacks_dir=self.root / "buildpacks",
            extensions_dir=self.root / "extensions",
            platform_dir=self.root / "platform",
            build_config_dir=self.root / "build-config",
            order=Order.model_validate(order),
            system=System.model_validate({"system": system or {}}),
            process_env={"PATH": os.environ["PATH"], "CNB_EXPERIMENTAL_MODE": "warn"},
            **given,
        )

    def detect(self, *groups: str, **given):
        """Detect with real processes."""
        return detect(self.inputs(*groups, **given), run=run_process)

    def group(self, *groups: str, **given) -> list[str]:
        """Return the ids of the buildpacks that detection chose."""
        return [element.id for element in self.detect(*groups, **given).group.group]

    def called(self) -> list[str]:
        """Return which bin/detect ran, sorted, as they ran in parallel."""
        return sorted(self.calls.read_text().split())


def elements(text: str):
    found = []
    for word in text.split():
        name, _, version = word.removesuffix("?").partition("@")
        found.append({"id": name, "version": version or "1", "optional": word.endswith("?")})
    return found


@pytest.fixture
def builder(tmp_path) -> Builder:
    return Builder(tmp_path)
