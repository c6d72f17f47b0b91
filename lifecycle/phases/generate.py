"""Generation: image extensions write the Dockerfiles by which base images are switched and extended.

Spec: image_extension.md "Phase: Generation", platform.md "detector".
"""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ExtensionGenerateError, GenerateError, InvalidFileError, LifecycleError
from lifecycle.executables.process import Command, ending
from lifecycle.files.codec import load, save
from lifecycle.files.dockerfile import read_dockerfile
from lifecycle.files.modules import find_extension
from lifecycle.files.work_dir import work_directory
from lifecycle.model.api import PlatformFeature
from lifecycle.model.extend_config import ExtendConfig
from lifecycle.model.ids import directory_name
from lifecycle.model.plan import BuildpackPlan
from lifecycle.model.run import Run
from lifecycle.oci.reference import same_image_name
from lifecycle.phases.module_environment import ModuleEnvironments
from lifecycle.phases.timer import timed
from lifecycle.rules.environment import Phase
from lifecycle.rules.extensions.dockerfiles import Kind, check_dockerfile
from lifecycle.rules.extensions.run_image import decide_run_image, switches, with_run_image
from lifecycle.rules.plan import entries_for, without_entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.executables.process import Runner
    from lifecycle.files.modules import Extension
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.model.target import TargetData
    from lifecycle.rules.extensions.dockerfiles import Checked

_LOG = logging.getLogger(__name__)

EXTEND_CONFIG = "extend-config.toml"
_SHARED_CONTEXT = "context"


@dataclass(frozen=True, kw_only=True)
class GenerateInputs:
    """Everything that generation depends on; paths are absolute.

    ``group`` and ``plan`` are those of detection, ``run_metadata`` is run.toml, ``target`` that of detection.
    """

    platform_api: PlatformApi
    app_dir: Path
    extensions_dir: Path
    generated_dir: Path
    platform_dir: Path
    build_config_dir: Path
    group: Group
    plan: Plan
    analyzed: Analyzed
    run_metadata: Run = field(default_factory=Run)
    target: TargetData | None = None
    process_env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GeneratedDockerfile:
    """A Dockerfile where the extender looks for it; one that is void has the suffix ``.ignore``.

    ``applies`` says whether it has instructions for the extender, so that it does more than choose an image.
    """

    extension_id: str
    kind: Kind
    path: Path
    applies: bool
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    """analyzed.toml and plan.toml to write anew, and the Dockerfiles in group order."""

    analyzed: Analyzed
    plan: Plan
    dockerfiles: tuple[GeneratedDockerfile, ...]


@timed("Generator")
def generate(inputs: GenerateInputs, *, run: Runner, output: Callable[[bytes], None]) -> Generated:
    """Run ``bin/generate`` of every extension of the group, check what it wrote and choose the run image.

    What an extension provides is met: the plan that is returned, and the next extension, don't have it.
    Raises ``ExtensionGenerateError`` for an executable that fails, ``GenerateError`` for unusable output.
    """
    with _translated("environment of extensions"):
        environments = ModuleEnvironments(
            Phase.GENERATE,
            process_env=inputs.process_env,
            platform_dir=inputs.platform_dir,
            build_config_dir=inputs.build_config_dir,
            target=inputs.target,
            exec_env="",
        )
    plan = inputs.plan
    found: list[tuple[GeneratedDockerfile, Checked]] = []
    for element in inputs.group.group_extensions:
        extension = find_extension(inputs.extensions_dir, element.id, element.version)
        with _translated(str(extension)), _output_dir(inputs, extension) as output_dir:
            _run_extension(inputs, extension, plan, output_dir, environments, run=run, output=output)
            found += _collect(inputs, extension, output_dir)
        plan = without_entries_of(plan, element.id, extension=True)
    checked = [check for dockerfile, check in found if dockerfile.kind is Kind.RUN]
    decision = decide_run_image(checked)
    if switches(inputs.analyzed, decision, platform_api=inputs.platform_api):
        _warn_of_unknown_run_image(inputs, decision.base)
    analyzed = with_run_image(inputs.analyzed, decision, platform_api=inputs.platform_api)
    return Generated(analyzed, plan, _with_void_ones([dockerfile for dockerfile, _ in found], decision.ignored))


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except InvalidFileError as error:
        raise GenerateError(error.message, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise GenerateError(
            f"its output can't be stored: {error.strerror or error}", where=error.filename or where
        ) from error


@contextmanager
def _output_dir(inputs: GenerateInputs, extension: Extension) -> Iterator[Path]:
    """Give the directory for the output: where the extender looks for it, or a temporary one in older APIs.

    What an earlier build left for this extension goes.
    """
    name = directory_name(extension.descriptor.extension.id)
    if PlatformFeature.GENERATED_BY_ID in inputs.platform_api:
        directory = inputs.generated_dir / name
        _remove(directory)
        directory.mkdir(parents=True)
        yield directory
    else:
        for kind in Kind:
            _remove(inputs.generated_dir / kind / name)
        with work_directory("generator") as directory:
            yield directory


def _remove(directory: Path) -> None:
    if directory.is_dir() and not directory.is_symlink():
        shutil.rmtree(directory)
    else:
        directory.unlink(missing_ok=True)


def _run_extension(
    inputs: GenerateInputs,
    extension: Extension,
    plan: Plan,
    output_dir: Path,
    environments: ModuleEnvironments,
    *,
    run: Runner,
    output: Callable[[bytes], None],
) -> None:
    """Fill ``output_dir`` by ``bin/generate`` or, for want of one, with the directory ``generate``."""
    executable = extension.root / "bin" / "generate"
    if not executable.exists():
        _LOG.debug("Using the generate directory of extension %s", extension)
        prepared = extension.root / "generate"
        if prepared.is_dir():
            shutil.copytree(prepared, output_dir, symlinks=True, dirs_exist_ok=True)
        return
    _LOG.debug("Running generate for extension %s", extension)
    with work_directory("generator") as directory:
        plan_path = directory / "plan.toml"
        requires = entries_for(plan, extension.descriptor.extension.id, extension=True)
        save(plan_path, BuildpackPlan(entries=requires).struct())
        argv = (str(executable), str(output_dir), str(inputs.platform_dir), str(plan_path))
        environment = environments.of(extension, plan_path=plan_path, output_dir=output_dir)
        try:
            status = run(Command(argv, inputs.app_dir, environment), output=output)
        except LifecycleError as error:
            raise ExtensionGenerateError(error.message, where=error.where, remedy=error.remedy) from error
    if status != 0:
        raise ExtensionGenerateError(f"bin/generate of extension {extension} {ending(status)}")


def _collect(
    inputs: GenerateInputs, extension: Extension, output_dir: Path
) -> list[tuple[GeneratedDockerfile, Checked]]:
    """Check the output and put its Dockerfiles where the extender looks for them."""
    extension_id = extension.descriptor.extension.id
    by_id = PlatformFeature.GENERATED_BY_ID in inputs.platform_api
    load(ExtendConfig, output_dir / EXTEND_CONFIG, missing_ok=True, regular=True)
    if by_id and (output_dir / _SHARED_CONTEXT).exists():
        specific = [kind for kind in Kind if (output_dir / f"{_SHARED_CONTEXT}.{kind}").exists()]
        if specific:
            raise GenerateError(
                "image-specific context dir is provided together with a shared context",
                where=str(extension),
                remedy=f"write either {_SHARED_CONTEXT} or {_SHARED_CONTEXT}.{specific[0]}, not both",
            )
    found = []
    for kind in Kind:
        path = output_dir / kind.file_name
        if not path.exists():
            continue
        text = read_dockerfile(path)
        try:
            checked = check_dockerfile(kind, text, platform_api=inputs.platform_api)
        except GenerateError as error:
            raise GenerateError(error.message, where=str(extension), remedy=error.remedy) from error
        for warning in checked.warnings:
            _LOG.warning("%s", warning)
        if not by_id:
            path = _copy_by_kind(inputs, extension_id, kind, output_dir)
        found.append((GeneratedDockerfile(extension_id, kind, path, checked.instructions), checked))
    return found


def _copy_by_kind(inputs: GenerateInputs, extension_id: str, kind: Kind, output_dir: Path) -> Path:
    directory = inputs.generated_dir / kind / directory_name(extension_id)
    directory.mkdir(parents=True)
    if (output_dir / EXTEND_CONFIG).exists():
        shutil.copyfile(output_dir / EXTEND_CONFIG, directory / EXTEND_CONFIG)
    return Path(shutil.copyfile(output_dir / kind.file_name, directory / "Dockerfile"))


def _warn_of_unknown_run_image(inputs: GenerateInputs, base: str) -> None:
    if PlatformFeature.RUN_TOML not in inputs.platform_api:
        return
    names = [name for image in inputs.run_metadata.images for name in image.names()]
    if not any(same_image_name(base, name) for name in names):
        _LOG.warning("new runtime base image '%s' not found in run metadata", base)


def _with_void_ones(dockerfiles: list[GeneratedDockerfile], ignored: int) -> tuple[GeneratedDockerfile, ...]:
    """Rename the first ``ignored`` run.Dockerfiles, which a later one makes void."""
    result = []
    for dockerfile in dockerfiles:
        if dockerfile.kind is Kind.RUN and ignored > 0:
            ignored -= 1
            void = dockerfile.path.with_name(f"{dockerfile.path.name}.ignore")
            with _translated(dockerfile.extension_id):
                dockerfile.path.replace(void)
            result.append(replace(dockerfile, path=void, applies=False, ignored=True))
        else:
            result.append(dockerfile)
    return tuple(result)
