"""What the key of each step consists of, looked at while a build runs."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.merkle import module_digest, tree_digest
from lifecycle.files.modules import find_buildpack
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.canonical import canonical_digest, tagged
from lifecycle.model.ids import directory_name
from lifecycle.model.launch import Build
from lifecycle.model.observed_step import ObservedStep
from lifecycle.model.step_record import step_key as key_of
from lifecycle.phases.build import StepStart
from lifecycle.phases.module_environment import ModuleEnvironments
from lifecycle.rules import step_key
from lifecycle.rules.buildpack_plan import met_names, without_met
from lifecycle.rules.environment import Phase
from lifecycle.rules.plan import entries_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lifecycle.model.step_record import StepRecord
    from lifecycle.model.target import TargetData
    from lifecycle.oci.digest import Digest
    from lifecycle.phases.build import BuildInputs

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What all steps of a build have in common.

    ``paths`` are the layers, app and platform directories as buildpacks see them, ``image_layers_dir`` is the first of
    them as caches have it, ``base`` says what is known of the
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
    image_layers_dir: str
    cache_version: str = ""
    salt: bytes = field(default=b"", repr=False)
    secret_names: frozenset[str] = frozenset()

    @property
    def bindings_dir(self) -> Path:
        """Where service bindings are.  Spec: extensions/bindings.md."""
        return self.platform_dir / "bindings"

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
            layers_dir=self.image_layers_dir,
        )


class StepRecorder:
    """A ``StepObserver`` that takes the digests of everything a step starts from.

    The app directory is read once for each state that it is in.  What can't be read costs the step its key, no more.
    """

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._app: Digest | None = None
        self._app_is_read = False
        self._steps: list[ObservedStep] = []

    @property
    def steps(self) -> tuple[ObservedStep, ...]:
        """The steps so far, in their order."""
        return tuple(self._steps)

    def before(self, start: StepStart) -> None:
        """Take the digests of what the step starts from."""
        info = start.buildpack.descriptor.buildpack
        environment = environment_digest(start.environment)
        fields: Mapping[str, Digest] = {}
        try:
            if self._app is None:
                self._app = tree_digest(self._context.app_dir)
            withheld = _withheld(self._context, start)
            if not withheld:
                fields = step_fields(self._context, start, self._app)
        except InvalidFileError as error:
            _LOG.warning("Step %s has no key: %s", start.buildpack, error)
            withheld = str(error)
        self._steps.append(
            ObservedStep(
                buildpack_id=info.id,
                version=info.version,
                fields=fields,
                environment=environment,
                environment_after=environment,
                app_after=self._app,
                withheld=withheld,
                facts=self._context.facts,
            )
        )

    def app_after(self) -> Digest:
        """Return the digest of the app directory as the step that runs left it; raise ``InvalidFileError``."""
        if not self._app_is_read or self._app is None:
            self._app = tree_digest(self._context.app_dir)
            self._app_is_read = True
        return self._app

    def after(self, start: StepStart, environment: Mapping[str, str]) -> None:
        """Take the digests of what the step left."""
        try:
            self._app = self.app_after()
        except InvalidFileError as error:
            _LOG.warning("What step %s made of the app is not known: %s", start.buildpack, error)
            self._app = None
        self._app_is_read = False
        self._steps[-1] = replace(
            self._steps[-1], app_after=self._app, environment_after=environment_digest(environment)
        )


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """A step that a build is going to run: its key and the fields of it."""

    key: Digest
    fields: Mapping[str, Digest]


def expected_steps(
    inputs: BuildInputs, context: StepContext, find: Callable[[Digest], StepRecord | None]
) -> dict[str, ExpectedStep]:
    """Return the keys of the steps of a build before it runs, by the ids of buildpacks, as far as they can be known.

    The first key is known from the start.  Those of later steps need what earlier ones leave, which ``find`` has in
    the records of earlier builds; the first step that it does not know is the last in the result.
    Raises ``LifecycleError``.
    """
    environments = ModuleEnvironments(
        Phase.BUILD,
        process_env=inputs.process_env,
        platform_dir=inputs.platform_dir,
        build_config_dir=inputs.build_config_dir,
        target=inputs.target,
        exec_env=inputs.exec_env,
    )
    environment, app = environment_digest(environments.base), tree_digest(context.app_dir)
    plan, upstream = inputs.plan, list[step_key.UpstreamLayer]()
    expected: dict[str, ExpectedStep] = {}
    for element in inputs.group.group:
        buildpack = find_buildpack(inputs.buildpacks_dir, element.id, element.version)
        start = StepStart(
            buildpack,
            inputs.layers_dir / directory_name(element.id),
            tuple(entries_for(plan, element.id, extension=False)),
            environments.base,
            environments.platform_files,
            environments.build_config_files,
        )
        if _withheld(context, start):
            break
        content = step_key.upstream_content(upstream, environment)
        fields = {**step_fields(context, start, app), "upstream": step_key.field_digest("upstream", content)}
        expected[element.id] = ExpectedStep(key_of(fields), fields)
        record = find(expected[element.id].key)
        if record is None or record.app_after is None or record.environment_after is None:
            break
        app, environment = record.app_after, record.environment_after
        upstream += step_key.build_layers(element.id, record.layers)
        unmet = Build.model_validate(record.outputs.get("build.toml", {})).unmet
        plan = without_met(plan, met_names(start.plan, unmet))
    return expected


def environment_digest(environment: Mapping[str, str]) -> Digest:
    """Return the digest of what counts of a build environment."""
    return canonical_digest(step_key.build_environment(environment))


def step_fields(context: StepContext, start: StepStart, app: Digest) -> dict[str, Digest]:
    """Return the digests of the fields of a step's key but for ``upstream``; ``app`` is that of the app directory."""
    info = start.buildpack.descriptor.buildpack
    plain, hidden = (
        {
            kind: {name: value for name, value in files.items() if (_variable(name) in context.secret_names) is secret}
            for kind, files in (("user", start.platform_env), ("operator", start.build_config_env))
        }
        for secret in (False, True)
    )
    contents = {
        "buildpack": {
            "id": info.id,
            "version": info.version,
            "api": str(start.buildpack.api),
            "files": module_digest(start.buildpack.root),
        },
        "plan": [tagged(require.struct()) for require in start.plan],
        "app": app,
        "env": {"clear": info.clear_env, **plain},
        "bindings": {"files": tree_digest(context.bindings_dir), **hidden},
        "target": step_key.target_content(context.target),
        "exec-env": context.exec_env,
        "base": dict(context.base),
        "paths": dict(context.paths),
        "user": list(context.user),
        "format": step_key.FORMAT,
        "cache-version": context.cache_version,
    }
    return {name: step_key.field_digest(name, each, salt=context.salt) for name, each in contents.items()}


def _withheld(context: StepContext, start: StepStart) -> str:
    """Say why a step may have no key: whoever has a digest of a secret without a salt could try to guess it."""
    if context.salt:
        return ""
    if context.secret_names & set(map(_variable, (*start.platform_env, *start.build_config_env))):
        return "it has secret variables, and no salt-file"
    return "it has service bindings, and no salt-file" if _has_entries(context.bindings_dir) else ""


def _has_entries(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=directory) from error


def _variable(file_name: str) -> str:
    return file_name.partition(".")[0]
