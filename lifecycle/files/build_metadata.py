"""``<layers>/config/metadata.toml``, which is part of the image.

Spec: platform.md "metadata.toml (TOML)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.files.codec import save

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import BuildMetadata


def metadata_path(layers_dir: Path) -> Path:
    """Return where builder leaves metadata.toml for exporter and launcher."""
    return layers_dir / "config" / "metadata.toml"


def save_metadata(path: Path, metadata: BuildMetadata, api: PlatformApi) -> None:
    """Write metadata.toml as the Platform API has it."""
    save(path, metadata.struct(api))
