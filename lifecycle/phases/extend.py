"""Extension: the Dockerfiles of image extensions are applied to the file system of an image.

Spec: image_extension.md "Phase: Extension", platform.md "extender".  Reference: phase/extender.go.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError, LifecycleError
from lifecycle.files.codec import load
from lifecycle.files.dockerfile import read_dockerfile
from lifecycle.model.api import PlatformFeature
from lifecycle.model.extend_config import ExtendConfig
from lifecycle.model.ids import directory_name
from lifecycle.oci.digest import digest_of
from lifecycle.phases.apply_step import StepRunner
from lifecycle.phases.timer import timed
from lifecycle.rootfs.context import open_context
from lifecycle.rules.extensions.dockerfile_steps import evaluate
from lifecycle.rules.extensions.dockerfile_syntax import DockerfileError, parse_dockerfile
from lifecycle.rules.extensions.dockerfiles import Kind
from lifecycle.rules.extensions.extended_image import after_dockerfile, sets_rebasable
from lifecycle.rules.extensions.step_chain import start_of_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.extension_steps import ExtensionCache
    from lifecycle.executables.process import Runner
    from lifecycle.images.store import Image
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.group import Group
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.digest import DiffId
    from lifecycle.phases.apply_step import Fetcher, ImageRoot
    from lifecycle.rules.extensions.dockerfile_steps import Applied

_LOG = logging.getLogger(__name__)
_CONTEXT = "context"
_CONFIG = "extend-config.toml"
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


@dataclass(frozen=True, slots=True)
class ExtensionDockerfile:
    """A Dockerfile to apply, what it gets as build arguments, and the directory that it copies from."""

    extension_id: str
    path: Path
    args: Mapping[str, str]
    context_dir: Path


@dataclass(frozen=True, kw_only=True)
class ExtendInputs:
    """Everything that an extension depends on; paths are absolute.

    ``base`` is the image whose file system is that of ``root``.
    """

    kind: Kind
    dockerfiles: Sequence[ExtensionDockerfile]
    root: ImageRoot
    base: Image
    build_id: str
    process_env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Extended:
    """The extended image: its configuration, and the layers that it has more than its base."""

    config: ImageConfig
    layers: tuple[LayerBlob, ...]


def find_dockerfiles(
    kind: Kind, group: Group, *, platform_api: PlatformApi, generated_dir: Path, app_dir: Path
) -> tuple[ExtensionDockerfile, ...]:
    """Return the Dockerfiles of a group in its order.  Spec: platform.md "extender" (outputs)."""
    found = []
    for element in group.group_extensions:
        name = directory_name(element.id)
        context_dir = app_dir
        if PlatformFeature.GENERATED_BY_ID in platform_api:
            directory = generated_dir / name
            path = directory / kind.file_name
            contexts = (directory / f"{_CONTEXT}.{kind}", directory / _CONTEXT)
            context_dir = next((each for each in contexts if each.is_dir()), app_dir)
        else:
            directory = generated_dir / kind / name
            path = directory / "Dockerfile"
        if not path.is_file():
            continue
        _LOG.debug("Found %s Dockerfile for extension '%s'", kind, element.id)
        config = load(ExtendConfig, directory / _CONFIG, missing_ok=True, regular=True) or ExtendConfig()
        args = config.build.args if kind is Kind.BUILD else config.run.args
        found.append(ExtensionDockerfile(element.id, path, {each.name: each.value for each in args}, context_dir))
    return tuple(found)


@timed("Extender")
def extend(
    inputs: ExtendInputs, *, run: Runner, output: Callable[[bytes], None], cache: ExtensionCache, fetch: Fetcher
) -> Extended:
    """Apply the Dockerfiles in their order, and return the image that they make of the base.

    A build image is extended in place; of a run image only the layers count, and its file system may be left as it is.
    Raises ``ExtendError``.
    """
    with _translated():
        runner = StepRunner(inputs.root, cache, run, output, inputs.process_env, fetch)
        extension = _Extension(inputs, runner)
        for dockerfile in inputs.dockerfiles:
            extension.apply(dockerfile)
        return extension.finish()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ExtendError:
        raise
    except LifecycleError as error:
        raise ExtendError(error.message, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise ExtendError(f"{error.strerror or error}", where=error.filename) from error


@dataclass(slots=True)
class _Extension:
    """An image on its way from Dockerfile to Dockerfile."""

    inputs: ExtendInputs
    runner: StepRunner
    config: ImageConfig = field(init=False)
    layers: list[LayerBlob] = field(default_factory=list)
    rebasable: bool = True
    original_user: str = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.inputs.base.config
        self.original_user = self.user

    @property
    def user(self) -> str:
        return self.config.run.get("User") or ""

    @property
    def diff_ids(self) -> tuple[DiffId, ...]:
        return self.config.diff_ids

    def apply(self, dockerfile: ExtensionDockerfile) -> None:
        _LOG.debug("Applying Dockerfile at %s", dockerfile.path)
        text = read_dockerfile(dockerfile.path)
        before = self.user
        try:
            applied = evaluate(
                parse_dockerfile(text), self.config.run, self._args(dockerfile, text), author=self.config.author
            )
        except DockerfileError as error:
            raise ExtendError(str(error), where=dockerfile.path) from error
        made = self._carry_out(dockerfile, applied)
        self.rebasable = self.rebasable and sets_rebasable(applied.labels)
        self.config = after_dockerfile(
            self.config, applied, made, extension_id=dockerfile.extension_id, rebasable=self.rebasable
        )
        if self._is_root() and self.user != before:
            _LOG.warning(
                "Extension from %s changed the user from %s to %s; this must not be the final user "
                "(a following extension must reset it).",
                dockerfile.path,
                before or "root",
                self.user,
            )

    def finish(self) -> Extended:
        if self.inputs.kind is Kind.BUILD:
            self.runner.settle()
        elif self._is_root():
            raise ExtendError(
                f"the final user of the run image is root ({self.user or 'it names none'})",
                remedy="let the last extension set it with USER, as in USER ${user_id}:${group_id}",
            )
        if self.user != self.original_user and self._uid(self.user) != self._uid(self.original_user):
            _LOG.warning(
                "The original user was %s but the final extension left the user set to %s.",
                self.original_user or "root",
                self.user,
            )
        return Extended(self.config, tuple(self.layers))

    def _args(self, dockerfile: ExtensionDockerfile, text: str) -> dict[str, str]:
        """Return the build arguments.  Spec: image_extension.md "Phase: Extension"."""
        given = {**dockerfile.args, "build_id": self.inputs.build_id, "base_image": f"base@{self._digest()}"}
        if "user_id" in text or "group_id" in text:
            uid, gid = self._ids(self.user)
            given |= {"user_id": str(uid), "group_id": str(gid)}
        return given

    def _carry_out(self, dockerfile: ExtensionDockerfile, applied: Applied) -> list[tuple[DiffId, str]]:
        context = open_context(dockerfile.context_dir, dockerfile=dockerfile.path)
        previous = start_of_chain(_digest_in(self.inputs.base.reference))
        made: list[tuple[DiffId, str]] = []
        for step in applied.steps:
            before = (*self.diff_ids, *(diff_id for diff_id, _ in made))
            instruction = step.instruction
            where = (
                f"{dockerfile.path}: {instruction.place}"
                if instruction.trigger
                else f"{dockerfile.path}:{instruction.line}"
            )
            previous, result = self.runner.carry_out(step, context, previous=previous, layers=before, where=where)
            if result.blob is not None:
                made.append((result.blob.diff_id, str(instruction)))
                self.layers.append(result.blob)
        return made

    def _digest(self) -> str:
        """Return the digest of the base image, or of the configuration of one that is made here and stored nowhere."""
        if self.config is self.inputs.base.config:
            return _digest_in(self.inputs.base.reference)
        return digest_of(self.config.dumps())

    def _uid(self, user: str) -> int:
        name = user.partition(":")[0]
        return int(name) if _NUMBER.match(name) else self._ids(user)[0]

    def _ids(self, user: str) -> tuple[int, int]:
        identity = self.runner.identity(user)
        return identity.uid, identity.gid

    def _is_root(self) -> bool:
        return self._uid(self.user) == 0


def _digest_in(reference: str) -> str:
    return reference.rpartition("@")[2]
