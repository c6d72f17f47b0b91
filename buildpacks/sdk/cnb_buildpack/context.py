"""What a buildpack or extension knows in every phase, and what it answers in detection.

Spec: buildpack.md "Detection", "Build"; image_extension.md "Detection", "Generation".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cnb_buildpack.descriptor import Descriptor
from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.platform import Platform, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from cnb_buildpack.plan import BuildPlan

_PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is the same in every phase; ``root`` is the directory of the buildpack or extension."""

    root: Path
    app_dir: Path
    platform: Platform
    descriptor: Descriptor
    target: Target
    exec_env: str
    env: dict[str, str] = field(repr=False)

    @property
    def buildpack_dir(self) -> Path:
        """The directory of the buildpack."""
        return self.root


@dataclass(frozen=True, slots=True)
class Detected:
    """The answer of detection; ``reason`` says why it did not pass."""

    passed: bool
    plan: BuildPlan | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectContext(Context):
    """What detection knows."""

    @classmethod
    def at(
        cls, *, root: Path, app_dir: Path, platform_dir: Path = Path("/platform"), env: Mapping[str, str] | None = None
    ) -> Self:
        """Return the context for these directories and the environment ``env``."""
        return cls(**common(root, app_dir, platform_dir, env or {}))  # type: ignore[arg-type]  # a field each

    def pass_(self, plan: BuildPlan | None = None) -> Detected:
        """Answer that this app can be built, if ``plan`` can be met."""
        sections = () if plan is None else (plan, *plan.alternatives)
        if self.descriptor.is_extension and any(each.requires for each in sections):
            raise BuildpackError(
                f"{self.descriptor.id}: an image extension can't require anything", fix="leave it with provides alone"
            )
        return Detected(passed=True, plan=plan)

    def fail(self, reason: str) -> Detected:
        """Answer that this app is none for this buildpack; that is no error."""
        return Detected(passed=False, reason=reason)


def common(root: Path, app_dir: Path, platform_dir: Path, env: Mapping[str, str]) -> dict[str, object]:
    """Return the fields of ``Context``."""
    return {
        "root": root,
        "app_dir": app_dir,
        "platform": Platform.of(platform_dir, env),
        "descriptor": Descriptor.read(root),
        "target": Target.of(env),
        "exec_env": env.get("CNB_EXEC_ENV") or _PRODUCTION,
        "env": dict(env),
    }
