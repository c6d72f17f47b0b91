"""The directories of one phase of a buildpack on the SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL_SBOMS = '["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json"]'


@dataclass
class Site:
    """A buildpack (or extension) and the directories that a lifecycle gives it."""

    path: Path
    api: str = "0.12"
    kind: str = "buildpack"
    declared: str = f"sbom-formats = {ALL_SBOMS}\n"

    def __post_init__(self) -> None:
        for name in ("buildpack", "app", "layers", "platform"):
            (self.path / name).mkdir(parents=True)
        (self.root / f"{self.kind}.toml").write_text(
            f'api = "{self.api}"\n[{self.kind}]\nid = "test/it"\nversion = "1.2.3"\n{self.declared}[metadata]\nkey = 1\n'
        )
        self.plan_path.write_text("")

    @property
    def root(self) -> Path:
        return self.path / "buildpack"

    @property
    def app(self) -> Path:
        return self.path / "app"

    @property
    def layers(self) -> Path:
        return self.path / "layers"

    @property
    def platform(self) -> Path:
        return self.path / "platform"

    @property
    def plan_path(self) -> Path:
        return self.path / "plan.toml"

    def build(self, **env: str) -> bp.BuildContext:
        """Return the context of a build, of the same layers directory each time."""
        return bp.BuildContext.at(
            root=self.root,
            app_dir=self.app,
            layers_dir=self.layers,
            platform_dir=self.platform,
            plan=bp.Plan.parse(bp.read_toml(self.plan_path)),
            env=env,
        )

    def env(self, **more: str) -> dict[str, str]:
        """Return the variables of Buildpack API 0.8 and newer."""
        return {
            "CNB_BUILDPACK_DIR": str(self.root),
            "CNB_LAYERS_DIR": str(self.layers),
            "CNB_PLATFORM_DIR": str(self.platform),
            "CNB_BP_PLAN_PATH": str(self.plan_path),
            "CNB_BUILD_PLAN_PATH": str(self.plan_path),
            "CNB_OUTPUT_DIR": str(self.path / "output"),
            **more,
        }


@pytest.fixture
def new_site(tmp_path: Path) -> Callable[..., Site]:
    """A function that makes a site with the given fields."""

    def make(**fields: str) -> Site:
        return Site(tmp_path / "site", **fields)

    return make


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    return new_site()
