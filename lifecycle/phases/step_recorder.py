"""What the key of each step consists of, looked at while a build runs.  Design: caching-design.md §6."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from lifecycle.files.merkle import tree_digest
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.canonical import canonical_digest, tagged
from lifecycle.model.observed_step import ObservedStep
from lifecycle.rules import step_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lifecycle.model.target import TargetData
    from lifecycle.oci.digest import Digest
    from lifecycle.phases.build import StepStart


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What all steps of a build have in common.

    ``paths`` are the layers, app and platform directories as buildpacks see them, ``base`` says what is known of the
    build image, ``salt`` keys the digests of secrets and is empty where the user gave none.  Variables of
    ``secret_names`` count as secrets.
    """

    app_dir: Path
    platform_dir: Path
    paths: Mapping[str, str]
    target: TargetData | None
    exec_env: str
    base: Mapping[str, str]
    user: tuple[int, int]
    cache_version: str = ""
    salt: bytes = field(default=b"", repr=False)
    secret_names: frozenset[str] = frozenset()

    @property
    def facts(self) -> StepFacts:
        """What of it a cache tells in clear."""
        target = step_key.target_content(self.target)
        return StepFacts(
            os=target.get("os", ""),
            arch=target.get("arch", ""),
            variant=target.get("arch-variant", ""),
            distro=target.get("distro-name", ""),
            distro_version=target.get("distro-version", ""),
            exec_env=self.exec_env,
            layers_dir=self.paths.get("layers", ""),
        )


class StepRecorder:
    """A ``StepObserver`` that takes the digests of everything a step starts from.

    The app directory is read once for each state that it is in.  Raises ``InvalidFileError`` for what can't be read.
    """

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._app: Digest | None = None
        self._begun: dict[str, tuple[Mapping[str, Digest], Digest]] = {}
        self._steps: list[ObservedStep] = []
        bindings = context.platform_dir / "bindings"
        self._bindings = tree_digest(bindings) if bindings.is_dir() and any(bindings.iterdir()) else None

    @property
    def steps(self) -> tuple[ObservedStep, ...]:
        """The steps that have ended, in their order."""
        return tuple(self._steps)

    def before(self, start: StepStart) -> None:
        """Take the digests of what the step starts from."""
        if self._app is None:
            self._app = tree_digest(self._context.app_dir)
        environment = canonical_digest(step_key.build_environment(start.environment))
        self._begun[start.buildpack.descriptor.buildpack.id] = self._fields(start, self._app), environment

    def after(self, start: StepStart) -> None:
        """Take the digest of the app directory and keep the step."""
        context, info = self._context, start.buildpack.descriptor.buildpack
        fields, environment = self._begun.pop(info.id)
        self._app = tree_digest(context.app_dir)
        secrets = self._bindings is not None or bool(context.secret_names & self._names(start))
        self._steps.append(
            ObservedStep(
                buildpack_id=info.id,
                version=info.version,
                fields=fields,
                environment=environment,
                app_after=self._app,
                withheld="it has bindings or secret variables, and no salt-file"
                if secrets and not context.salt
                else "",
                facts={name: text for name, text in asdict(context.facts).items() if text},
            )
        )

    def _fields(self, start: StepStart, app: Digest) -> Mapping[str, Digest]:
        context, info = self._context, start.buildpack.descriptor.buildpack
        secret = context.secret_names
        plain, hidden = (
            {
                kind: {name: value for name, value in files.items() if (_variable(name) in secret) is is_secret}
                for kind, files in (("user", start.platform_env), ("operator", start.build_config_env))
            }
            for is_secret in (False, True)
        )
        contents = {
            "buildpack": {
                "id": info.id,
                "version": info.version,
                "api": str(start.buildpack.api),
                "files": tree_digest(start.buildpack.root),
            },
            "plan": [tagged(require.struct()) for require in start.plan],
            "app": app,
            "env": {"clear": info.clear_env, **plain},
            "bindings": {"files": self._bindings or "", **hidden},
            "target": step_key.target_content(context.target),
            "exec-env": context.exec_env,
            "base": dict(context.base),
            "paths": dict(context.paths),
            "user": list(context.user),
            "format": step_key.FORMAT,
            "cache-version": context.cache_version,
        }
        return {name: step_key.field_digest(name, each, salt=context.salt) for name, each in contents.items()}

    @staticmethod
    def _names(start: StepStart) -> frozenset[str]:
        return frozenset(map(_variable, (*start.platform_env, *start.build_config_env)))


def _variable(file_name: str) -> str:
    return file_name.partition(".")[0]
