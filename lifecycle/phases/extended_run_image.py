"""The run image as image extensions left it: ``<extended>/run/<digest>``, a layout with the new layers only.

Spec: image_extension.md "Extender"; platform.md "Exporter" <extended>.  Reference: phase/exporter.go for the
ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ExportError
from lifecycle.layers.blob import write_blob
from lifecycle.layers.rewrite import normalised_layer
from lifecycle.model.api import PlatformFeature
from lifecycle.oci.config import HistoryEntry, ImageConfig, read_config
from lifecycle.oci.digest import verified
from lifecycle.oci.manifest import Descriptor, read_index, read_manifest
from lifecycle.rules.export_plan import Candidate, LayerKind

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.phases.export_layers import LayerStack

_MAX_DOCUMENT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExtendedRunImage:
    """A layout of which only the layers above the original run image have blobs."""

    directory: Path
    config: ImageConfig
    layers: tuple[Descriptor, ...]

    def add_layers(self, stack: LayerStack) -> None:
        """Put on the layers that extensions made; they are always new."""
        history = [entry for entry in self.config.history if not entry.empty_layer]
        for index, descriptor in enumerate(self.layers):
            path = blob_path(self.directory, descriptor.digest)
            if not path.exists():
                continue
            entry = history[index] if index < len(history) else HistoryEntry()
            candidate = Candidate(
                id=f"from extensions:extended-layer-{index}",
                kind=LayerKind.EXTENSION,
                created_by=entry.created_by,
            )
            stack.add(candidate, write_blob(normalised_layer(path, descriptor), stack.work_dir), entry)


def read_extended_run_image(inputs: ExportInputs) -> ExtendedRunImage | None:
    """Read the extended run image; ``None`` where extensions left none."""
    if PlatformFeature.RUN_IMAGE_EXTENSION not in inputs.api or inputs.extended_dir is None:
        return None
    parent = inputs.extended_dir / "run"
    try:
        found = sorted(path for path in parent.iterdir())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExportError(f"can't be read: {error.strerror}", where=parent) from error
    if len(found) != 1:
        raise ExportError(
            f"holds {len(found)} entries, expected one image in OCI layout format",
            where=parent,
            remedy="run the extender again with an empty directory",
        )
    directory = found[0]
    index = read_index(_read(directory / "index.json"), where=str(directory))
    if len(index) != 1:
        raise CorruptImageError(f"has {len(index)} manifests, expected one", where=str(directory))
    manifest = read_manifest(_read_blob(directory, index[0]), where=str(directory))
    config = read_config(_read_blob(directory, manifest.config), where=str(directory))
    return ExtendedRunImage(directory, config, manifest.layers)


def blob_path(directory: Path, digest: str) -> Path:
    """Return where a layout keeps a blob."""
    algorithm, _, encoded = digest.partition(":")
    return directory / "blobs" / algorithm / encoded


def _read_blob(directory: Path, descriptor: Descriptor) -> bytes:
    path = blob_path(directory, descriptor.digest)
    return b"".join(verified([_read(path)], digest=descriptor.digest, size=descriptor.size, where=str(path)))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_DOCUMENT + 1)
    except OSError as error:
        raise CorruptImageError(f"can't be read: {error.strerror}", where=path) from error
    if len(data) > _MAX_DOCUMENT:
        raise CorruptImageError("is too large for a document of an image", where=path)
    return data
