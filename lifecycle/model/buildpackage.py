"""What is published of buildpacks and extensions: package.toml, and the labels of a buildpackage.

Spec: distribution.md "Buildpackage".  The layout of package.toml and of the label ``io.buildpacks.buildpack.layers``
is pack's.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.model.descriptor import BuildpackDescriptor, ExtensionDescriptor, ModuleInfo, OrderGroup, StackEntry
from lifecycle.model.ids import BuildpackId, ModuleVersion
from lifecycle.model.target import Target

PACKAGE_LABEL = "io.buildpacks.buildpackage.metadata"


class ModuleKind(StrEnum):
    """What a package is of."""

    BUILDPACK = "buildpack"
    EXTENSION = "extension"

    @property
    def layers_label(self) -> str:
        """The label that says in which layer each module is."""
        return f"io.buildpacks.{self}.layers"

    @property
    def directory(self) -> str:
        """The directory of an image below which layers have their modules."""
        return f"/cnb/{self}s"

    @property
    def descriptor(self) -> str:
        """The name of the file that describes a module."""
        return f"{self}.toml"


class License(SpecModel):
    """A row of ``[[buildpack.licenses]]``."""

    type: str = ""
    uri: str = ""


class PublishedInfo(ModuleInfo):
    """The table ``[buildpack]`` or ``[extension]`` with what only readers of packages ask for."""

    keywords: ListOf[str] = ()
    licenses: ListOf[License] = ()


class PublishedBuildpack(BuildpackDescriptor):
    """buildpack.toml as it is published."""

    buildpack: PublishedInfo


class PublishedExtension(ExtensionDescriptor):
    """extension.toml as it is published."""

    extension: PublishedInfo


class ModuleUri(SpecModel):
    """Where a module is: a directory, an archive or an image."""

    uri: str = "."


class Dependency(SpecModel):
    """A row of ``[[dependencies]]``: a package or directory by its place, or an image by its name."""

    uri: str = ""
    image: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Dependency:
        if bool(self.uri) == bool(self.image):
            raise ValueError("a dependency has either a uri or an image")
        return self


class PackageDescriptor(SpecModel):
    """package.toml."""

    buildpack: ModuleUri | None = None
    extension: ModuleUri | None = None
    dependencies: ListOf[Dependency] = ()
    targets: ListOf[Target] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> PackageDescriptor:
        if self.buildpack is not None and self.extension is not None:
            raise ValueError("a package is of a buildpack or of an extension, not of both")
        return self


class PackagedLayer(SpecModel):
    """A module in the label of layers."""

    api: str = ""
    stacks: ListOf[StackEntry] = ()
    targets: ListOf[Target] = ()
    order: ListOf[OrderGroup] = ()
    layer_diff_id: str = Field(alias="layerDiffID")
    homepage: str = ""
    name: str = ""


class PackageMetadata(SpecModel):
    """The label of the package itself."""

    id: BuildpackId
    version: ModuleVersion
    name: str = ""
    description: str = ""
    homepage: str = ""
    keywords: ListOf[str] = ()
    licenses: ListOf[License] = ()
    stacks: ListOf[StackEntry] = ()
