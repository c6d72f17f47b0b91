"""What an app image tells the next build: the label io.buildpacks.lifecycle.metadata.

The same data stands as ``[metadata]`` in analyzed.toml, with the keys of TOML, and, less some keys, in a cache as
io.buildpacks.lifecycle.cache.metadata.  Spec: platform.md "io.buildpacks.lifecycle.metadata (JSON)".
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.model.layer import LayerTypes, Store
from lifecycle.model.run import RunImage
from lifecycle.oci.gojson import Struct


class LayerSha(SpecModel):
    """The diffID of a layer, ``""`` where the image has no such layer."""

    sha: str = ""

    def struct(self) -> Struct:
        """Return the object, which is written even when empty."""
        return Struct(sha=self.sha)


class BuildpackLayer(SpecModel):
    """One layer of a buildpack: its diffID, its types, and the ``[metadata]`` of its ``<layer>.toml``.

    ``data`` is any JSON value as it was read; ``None`` where the buildpack wrote no such table.
    """

    sha: str = ""
    data: Any = None
    build: bool = False
    launch: bool = False
    cache: bool = False

    @property
    def types(self) -> LayerTypes:
        """The flags of the layer."""
        return LayerTypes(build=self.build, launch=self.launch, cache=self.cache)

    def label(self) -> Struct:
        """Return the JSON object."""
        return Struct(sha=self.sha, data=self.data, build=self.build, launch=self.launch, cache=self.cache)

    def struct(self) -> Struct:
        """Return the table ``[metadata.buildpacks.layers.<name>]``."""
        return Struct(sha=self.sha, build=self.build, launch=self.launch, cache=self.cache, metadata=self.data)


class BuildpackLayers(SpecModel):
    """The layers and the store of one buildpack."""

    key: str
    version: str = ""
    layers: dict[str, BuildpackLayer] = Field(default_factory=dict)
    store: Store | None = None

    def label(self) -> Struct:
        """Return the JSON object."""
        layers = {name: layer.label() for name, layer in self.layers.items()}
        fields = Struct(key=self.key, version=self.version, layers=layers)
        if self.store is not None:
            fields["store"] = Struct(metadata=self.store.metadata)
        return fields

    def struct(self) -> Struct:
        """Return the table ``[[metadata.buildpacks]]``."""
        return Struct(
            key=self.key,
            version=self.version,
            layers={name: layer.struct() for name, layer in self.layers.items()},
            store=None if self.store is None else Struct(metadata=self.store.metadata),
        )


class RunImageMetadata(SpecModel):
    """What an app image knows of its base: top layer, reference, name and mirrors."""

    topLayer: str = Field(default="", alias="topLayer")  # noqa: N815  # the label's key
    reference: str = ""
    image: str = ""
    mirrors: ListOf[str] = ()

    @property
    def names(self) -> RunImage:
        """Name and mirrors of the base; a label may have mirrors of nothing, which name none."""
        return RunImage(image=self.image, mirrors=self.mirrors) if self.image else RunImage()

    def label(self) -> Struct:
        """Return the JSON object; name and mirrors are left out when unknown."""
        return Struct({"topLayer": self.topLayer, "reference": self.reference, **self.names.struct()})

    def struct(self) -> Struct:
        """Return the table ``[metadata.run-image]``."""
        return Struct({"top-layer": self.topLayer, "reference": self.reference, **self.names.struct()})


class StackMetadata(SpecModel):
    """The deprecated object ``stack``: the run image of run.toml or stack.toml."""

    runImage: RunImage = Field(default_factory=RunImage, alias="runImage")  # noqa: N815  # the label's key


class LifecycleMetadata(SpecModel):
    """The label io.buildpacks.lifecycle.metadata."""

    app: ListOf[LayerSha] | None = None
    sbom: LayerSha | None = None
    buildpacks: ListOf[BuildpackLayers] | None = None
    config: LayerSha = Field(default_factory=LayerSha)
    launcher: LayerSha = Field(default_factory=LayerSha)
    process_types: LayerSha = Field(default_factory=LayerSha)
    runImage: RunImageMetadata = Field(default_factory=RunImageMetadata, alias="runImage")  # noqa: N815
    stack: StackMetadata | None = None

    def of(self, buildpack_id: str) -> BuildpackLayers | None:
        """Return the layers of a buildpack, whatever its version was."""
        return next((each for each in self.buildpacks or () if each.key == buildpack_id), None)

    def label(self) -> Struct:
        """Return the JSON object in the reference's order of keys."""
        fields = Struct(app=None if self.app is None else [sha.struct() for sha in self.app])
        if self.sbom is not None:
            fields["sbom"] = self.sbom.struct()
        fields["buildpacks"] = None if self.buildpacks is None else [each.label() for each in self.buildpacks]
        fields["config"] = self.config.struct()
        fields["launcher"] = self.launcher.struct()
        fields["process-types"] = self.process_types.struct()
        fields["runImage"] = self.runImage.label()
        if self.stack is not None:
            fields["stack"] = Struct(runImage=self.stack.runImage.struct())
        return fields

    def struct(self) -> Struct:
        """Return the table ``[metadata]`` of analyzed.toml."""
        return Struct(
            {
                "app": None if self.app is None else [sha.struct() for sha in self.app],
                "sbom": None if self.sbom is None else self.sbom.struct(),
                "buildpacks": None if self.buildpacks is None else [each.struct() for each in self.buildpacks],
                "config": self.config.struct(),
                "launcher": self.launcher.struct(),
                "process-types": self.process_types.struct(),
                "run-image": self.runImage.struct(),
                "stack": None if self.stack is None else Struct({"run-image": self.stack.runImage.struct()}),
            }
        )


class CacheMetadata(SpecModel):
    """The label or file io.buildpacks.lifecycle.cache.metadata."""

    sbom: LayerSha = Field(default_factory=LayerSha)
    buildpacks: ListOf[BuildpackLayers] | None = None

    def of(self, buildpack_id: str) -> BuildpackLayers | None:
        """Return the cached layers of a buildpack, whatever its version was."""
        return next((each for each in self.buildpacks or () if each.key == buildpack_id), None)

    def label(self) -> Struct:
        """Return the JSON object; ``sbom`` is always present."""
        return Struct(
            sbom=self.sbom.struct(),
            buildpacks=None if not self.buildpacks else [each.label() for each in self.buildpacks],
        )
