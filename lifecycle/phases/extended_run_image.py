"""The run image as image extensions left it: a sparse image that has the blobs of their layers only.

Spec: image_extension.md "Phase: Extension"; platform.md "Exporter" <extended>.
Reference: phase/exporter.go for the ids of layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import ExportError
from lifecycle.files.atomic import write_atomic
from lifecycle.images.store import BlobSource
from lifecycle.layers.blob import write_blob
from lifecycle.layers.rewrite import normalised_layer
from lifecycle.oci.config import HistoryEntry
from lifecycle.rules.export_plan import Candidate, LayerKind

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.images.store import Image
    from lifecycle.phases.export_layers import LayerStack


def extended_layout(extended_dir: Path) -> Path | None:
    """Return the directory of the extended run image, the only one in ``<extended>/run``, if there is any."""
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
    """Put on the layers that extensions made; they are always new.  The base's layers have no blob here."""
    if not isinstance(extended, BlobSource):
        raise ExportError("can't be read as it is stored", where=extended.name)
    history = [entry for entry in extended.config.history if not entry.empty_layer]
    for index, descriptor in enumerate(extended.manifest.layers):
        if not extended.has_blob(descriptor):
            continue
        entry = history[index] if index < len(history) else HistoryEntry()
        candidate = Candidate(
            id=f"from extensions:extended-layer-{index}",
            kind=LayerKind.EXTENSION,
            created_by=entry.created_by,
        )
        stored = stack.work_dir / f"extended-{index}"
        write_atomic(stored, extended.blob(descriptor), fsync=False)
        blob = write_blob(normalised_layer(stored, descriptor), stack.work_dir)
        stored.unlink()
        stack.add(candidate, blob, entry)
