"""buildpack.toml and extension.toml.

Spec: buildpack.md "buildpack.toml (TOML)", image_extension.md "extension.toml (TOML)".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnb_buildpack.api import Api
from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import read_toml

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a buildpack or extension says of itself; ``metadata`` is whatever its author put there."""

    api: Api
    id: str
    version: str
    name: str = ""
    homepage: str = ""
    sbom_formats: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    is_extension: bool = False

    @classmethod
    def read(cls, root: Path) -> Descriptor:
        """Read the file in the directory of a buildpack or extension; ``BuildpackError`` names what is wrong in it."""
        kind = "extension" if (root / "extension.toml").is_file() else "buildpack"
        path = root / f"{kind}.toml"
        try:
            document = read_toml(path)
        except OSError as error:
            raise BuildpackError(f"{path} can't be read: {error.strerror}") from error
        table = document.get(kind)
        if not isinstance(table, dict) or not isinstance(table.get("id"), str):
            raise BuildpackError(f"{path} has no {kind}.id", fix=f'write [{kind}] with id = "..." and version = "..."')
        return cls(
            api=Api.parse(document.get("api"), where=path.name),
            id=table["id"],
            version=str(table.get("version", "")),
            name=str(table.get("name", "")),
            homepage=str(table.get("homepage", "")),
            sbom_formats=tuple(table.get("sbom-formats", ())),
            metadata=document.get("metadata", {}),
            is_extension=kind == "extension",
        )
