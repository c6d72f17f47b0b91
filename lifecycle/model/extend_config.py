"""extend-config.toml, which bin/generate leaves beside its Dockerfiles.

Spec: image_extension.md "extend-config.toml (TOML)".
"""

from __future__ import annotations

from pydantic import Field, field_validator

from lifecycle.model.base import ListOf, SpecModel

_RESERVED = ("build_id", "user_id", "group_id")


class BuildArg(SpecModel):
    """A build argument for a Dockerfile; the names that the lifecycle gives itself can't be used."""

    name: str
    value: str = ""

    @field_validator("name")
    @classmethod
    def _not_given_by_the_lifecycle(cls, name: str) -> str:
        if name in _RESERVED:
            raise ValueError(f"{name!r} is given by the lifecycle; remove it, as {', '.join(_RESERVED)} are reserved")
        return name


class ImageArgs(SpecModel):
    """``[build]`` or ``[run]``."""

    args: ListOf[BuildArg] = ()


class ExtendConfig(SpecModel):
    """extend-config.toml."""

    build: ImageArgs = Field(default_factory=ImageArgs)
    run: ImageArgs = Field(default_factory=ImageArgs)
