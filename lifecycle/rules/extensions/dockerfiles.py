"""What extensions may put into their Dockerfiles.  Spec: image_extension.md "Dockerfile Requirements"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.errors import GenerateError
from lifecycle.model.api import PlatformFeature
from lifecycle.rules.extensions.dockerfile_syntax import (
    DockerfileError,
    argument_names,
    has_variable,
    parse_dockerfile,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from lifecycle.model.api import PlatformApi
    from lifecycle.rules.extensions.dockerfile_syntax import Dockerfile, Stage

BASE_IMAGE = "${base_image}"
_BASE_ARGUMENT = "base_image"
_RECOMMENDED = frozenset({"ADD", "ARG", "COPY", "ENV", "LABEL", "RUN", "SHELL", "USER", "WORKDIR"})


@unique
class Kind(StrEnum):
    """Which image a Dockerfile is for."""

    BUILD = "build"
    RUN = "run"

    @property
    def file_name(self) -> str:
        """The file that ``bin/generate`` writes."""
        return f"{self}.Dockerfile"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a permitted Dockerfile does.

    ``base`` is the image that it puts in place of the one there is, ``""`` if it keeps that; ``instructions``
    says whether there is anything to apply; ``warnings`` are for the user.
    """

    base: str
    instructions: bool
    warnings: tuple[str, ...]


def check_dockerfile(kind: Kind, text: str, *, platform_api: PlatformApi) -> Checked:
    """Check the Dockerfile of an extension; raise ``GenerateError`` for one that is not permitted."""
    name = kind.file_name
    try:
        dockerfile = parse_dockerfile(text)
    except DockerfileError as error:
        raise GenerateError(f"failed to parse {name}: {error}") from error
    if len(dockerfile.stages) > 1:
        raise GenerateError(f"{name} is not permitted to use multistage build", remedy="keep a single FROM instruction")
    base = ""
    match kind:
        case Kind.BUILD:
            _check_build(dockerfile)
        case Kind.RUN:
            base = _run_base(dockerfile, platform_api)
    stages = dockerfile.stages
    return Checked(base, any(stage.instructions for stage in stages), tuple(_warnings(name, stages, _RECOMMENDED)))


def _check_build(dockerfile: Dockerfile) -> None:
    name = Kind.BUILD.file_name
    names = [argument_names(instruction) for instruction in dockerfile.arguments]
    if names != [(_BASE_ARGUMENT,)]:
        raise GenerateError(
            f"{name} did not start with required ARG command", remedy=f"begin it with: ARG {_BASE_ARGUMENT}"
        )
    if not dockerfile.stages or dockerfile.stages[0].base != BASE_IMAGE:
        raise GenerateError(
            f"{name} did not contain required FROM {BASE_IMAGE} command",
            remedy=f"let FROM {BASE_IMAGE} follow the ARG",
        )


def _run_base(dockerfile: Dockerfile, platform_api: PlatformApi) -> str:
    name = Kind.RUN.file_name
    base = dockerfile.stages[0].base if dockerfile.stages else BASE_IMAGE
    if base != BASE_IMAGE and has_variable(base):
        raise GenerateError(
            f"{name} has FROM {base}, whose variable has no value here",
            remedy=f"write {BASE_IMAGE} or the name of an image",
        )
    if PlatformFeature.RUN_IMAGE_EXTENSION not in platform_api:
        for stage in dockerfile.stages:
            for instruction in stage.instructions:
                raise GenerateError(
                    f"{name} is not permitted to have instructions other than FROM: "
                    f"line {instruction.line} has {instruction.keyword}",
                    remedy=f"platform API {platform_api} can switch the run image but not extend it",
                )
    return "" if base == BASE_IMAGE else base


def _warnings(name: str, stages: tuple[Stage, ...], recommended: Collection[str]) -> list[str]:
    return [
        f"{name} command {instruction.keyword} on line {instruction.line} is not recommended"
        for stage in stages
        for instruction in stage.instructions
        if instruction.keyword not in recommended
    ]
