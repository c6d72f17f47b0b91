"""project-metadata.toml, which a platform writes.  Spec: platform.md "project-metadata.toml (TOML)"."""

from __future__ import annotations

from lifecycle.model.base import SpecModel, Table
from lifecycle.oci.gojson import Struct


class Source(SpecModel):
    """Where the app came from."""

    type: str = ""
    version: Table | None = None
    metadata: Table | None = None


class ProjectMetadata(SpecModel):
    """project-metadata.toml and the label io.buildpacks.project.metadata."""

    source: Source | None = None

    def label(self) -> Struct:
        """Return the JSON object of the label: empty values are left out."""
        if self.source is None:
            return Struct()
        source = Struct()
        if self.source.type:
            source["type"] = self.source.type
        if self.source.version:
            source["version"] = self.source.version
        if self.source.metadata:
            source["metadata"] = self.source.metadata
        return Struct(source=source)
