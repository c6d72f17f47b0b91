"""report.toml, which exporter and rebaser write for the platform.  Spec: platform.md "report.toml (TOML)"."""

from __future__ import annotations

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.model.cache_report import CacheReport
from lifecycle.model.launch import AttributedBomEntry
from lifecycle.oci.gojson import Struct


class ImageReport(SpecModel):
    """The image that was written.

    ``digest`` for a registry, ``image_id`` for a daemon, ``manifest_size`` in bytes (0: unknown).
    """

    tags: ListOf[str] = ()
    image_id: str = ""
    digest: str = ""
    manifest_size: int = 0


class Report(SpecModel):
    """report.toml."""

    image: ImageReport
    build_bom: ListOf[AttributedBomEntry] = ()
    cache: CacheReport | None = None

    def struct(self) -> Struct:
        """Return the tables; ``[build]`` only with a bill of materials of the build, ``[cache]`` with named sources."""
        bom = [entry.struct() for entry in self.build_bom]
        return Struct(
            build=Struct(bom=bom) if bom else None,
            cache=None if self.cache is None else self.cache.struct(),
            image=Struct(
                {
                    "tags": list(self.image.tags),
                    "image-id": self.image.image_id or None,
                    "digest": self.image.digest or None,
                    "manifest-size": self.image.manifest_size or None,
                }
            ),
        )
