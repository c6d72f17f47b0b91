"""The run image as image extensions left it: a sparse image that has the blobs of their layers only.

Spec: image_extension.md "Phase: Extension"; platform.md "Exporter" <extended>.  Reference: phase/exporter.go for ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.images.store import BlobSource
from lifecycle.layers.blob import write_blob
from lifecycle.layers.rewrite import normalised
from lifecycle.oci.config import HistoryEntry
from lifecycle.rules.export_plan import Candidate, LayerKind

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.images.store import Image
    from lifecycle.phases.export_layers import LayerStack


def extended_layout(extended_dir: Path) -> Path | None:
    """Return the directory of the extended run image, the only one in ``<extended>/run``; ``None`` if there is none."""
    parent = extended_dir / "run"
    try:
        found = sorted(parent.iterdir())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExportError(f"can't be read: {error.strerror}", where=parent) from error
    if len(found) != 1:
        raise ExportError(
            f"holds {len(found)} entries, expected one image in OCI layout format",
            where=parent,
            remedy="empty it and run the extender again",
        )
    return found[0]


def add_extension_layers(extended: Image, stack: LayerStack) -> None:
    """Put on the layers that extensions made; they are always new.  Layers without a blob are those of the base."""
    history = [entry for entry in extended.config.history if not entry.empty_layer]
    for index, (descriptor, diff_id) in enumerate(
        zip(extended.manifest.layers, extended.config.diff_ids, strict=True)
    ):
        if isinstance(extended, BlobSource) and not extended.has_blob(descriptor):
            continue
        entry = history[index] if index < len(history) else HistoryEntry()
        candidate = Candidate(
            id=f"from extensions:extended-layer-{index}",
            kind=LayerKind.EXTENSION,
            created_by=entry.created_by,
        )
        stack.add(candidate, write_blob(normalised(extended, diff_id), stack.work_dir), entry)
