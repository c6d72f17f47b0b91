"""analyzed.toml.  Spec: platform.md "analyzed.toml (TOML)"."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from lifecycle.model.base import SpecModel
from lifecycle.model.lifecycle_metadata import LifecycleMetadata
from lifecycle.model.target import TargetData
from lifecycle.oci.gojson import Struct


class ImageIdentifier(SpecModel):
    """An image by its digest reference, id or layout path; ``""`` where there is none."""

    reference: str = ""

    def struct(self) -> Struct:
        """Return the table."""
        return Struct(reference=self.reference)


class RunImageChoice(SpecModel):
    """The run image that analysis (or an extension) chose."""

    reference: str = ""
    image: str = ""
    extend: bool = False
    target: TargetData | None = None

    def struct(self) -> Struct:
        """Return the table ``[run-image]``."""
        return Struct(
            reference=self.reference,
            image=self.image or None,
            extend=self.extend or None,
            target=None if self.target is None else self.target.struct(),
        )


def label_keys(table: Any) -> Any:
    """Return ``[metadata]`` with the keys of the label, which differ in case and for layers' metadata."""
    if not isinstance(table, dict):
        return table
    renamed = dict(table)
    if isinstance(run_image := renamed.pop("run-image", None), dict):
        renamed["runImage"] = {"topLayer" if key == "top-layer" else key: value for key, value in run_image.items()}
    if isinstance(stack := renamed.get("stack"), dict) and "run-image" in stack:
        renamed["stack"] = {"runImage": stack["run-image"]}
    if isinstance(buildpacks := renamed.get("buildpacks"), list):
        renamed["buildpacks"] = [_with_data(each) for each in buildpacks]
    return renamed


def _with_data(buildpack: Any) -> Any:
    if not isinstance(buildpack, dict) or not isinstance(layers := buildpack.get("layers"), dict):
        return buildpack
    return {
        **buildpack,
        "layers": {
            name: {"data" if key == "metadata" else key: value for key, value in layer.items()}
            if isinstance(layer, dict)
            else layer
            for name, layer in layers.items()
        },
    }


class Analyzed(SpecModel):
    """analyzed.toml: the previous image and the chosen base images."""

    image: ImageIdentifier | None = None
    build_image: ImageIdentifier | None = None
    metadata: LifecycleMetadata = Field(default_factory=LifecycleMetadata)
    run_image: RunImageChoice | None = None

    @field_validator("metadata", mode="before")
    @classmethod
    def _read_keys_of_toml(cls, value: Any) -> Any:
        return label_keys(value)

    def struct(self) -> Struct:
        """Return the tables in the reference's order; ``[image]`` is always written."""
        return Struct(
            {
                "image": (self.image or ImageIdentifier()).struct(),
                "build-image": None if self.build_image is None else self.build_image.struct(),
                "metadata": self.metadata.struct(),
                "run-image": None if self.run_image is None else self.run_image.struct(),
            }
        )
