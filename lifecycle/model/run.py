"""run.toml and stack.toml: the run image of a builder.  Spec: platform.md "run.toml (TOML)", "stack.toml (TOML)"."""

from __future__ import annotations

from pydantic import Field, model_validator

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.oci.gojson import Struct


class RunImage(SpecModel):
    """A run image and the places that mirror it, best first."""

    image: str = ""
    mirrors: ListOf[str] = ()

    @model_validator(mode="after")
    def _mirrors_of_something(self) -> RunImage:
        if self.mirrors and not self.image:
            raise ValueError("mirrors without image; name the image that they mirror")
        return self

    def names(self) -> tuple[str, ...]:
        """Return the image and its mirrors, in the order of preference."""
        return ((self.image,) if self.image else ()) + self.mirrors

    def struct(self) -> Struct:
        """Return the keys that hold something."""
        fields = Struct()
        if self.image:
            fields["image"] = self.image
        if self.mirrors:
            fields["mirrors"] = list(self.mirrors)
        return fields


class Run(SpecModel):
    """run.toml."""

    images: ListOf[RunImage] = ()


class Stack(SpecModel):
    """stack.toml."""

    run_image: RunImage = Field(default_factory=RunImage)
