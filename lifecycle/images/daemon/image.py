"""An image in a daemon, put together from what ``docker inspect`` and ``docker history`` say.

The API tells less than the image's own configuration holds, and so the app image has less too; the reference
loses the same.  Reference: imgutil, local store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError
from lifecycle.images.docker_archive_format import read_entries, saved_layer, saved_layer_size
from lifecycle.oci.config import ImageConfig, read_config
from lifecycle.oci.digest import DiffId, Digest, digest_of
from lifecycle.oci.gojson import rfc3339
from lifecycle.oci.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lifecycle.images.docker_archive_format import SavedEntry
    from lifecycle.images.layout_files import LayoutFiles

_RUN_KEYS = (
    "Cmd", "Healthcheck", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir", "ExposedPorts",
    "StopSignal", "Shell",
)  # fmt: skip


class SavedOnce:
    """What ``docker save`` gives of an image, asked for once, when a layer is first read."""

    def __init__(self, open_files: Callable[[], LayoutFiles]) -> None:
        self._open_files = open_files
        self._opened: tuple[LayoutFiles, tuple[SavedEntry, ...]] | None = None
        self._lock = Lock()

    def layer(self, diff_id: DiffId) -> tuple[LayoutFiles, str]:
        """Return the files and the name of a layer among them; raise ``CorruptImageError`` if it is missing."""
        files, entries = self._saved()
        # Of an image for several platforms there may be more than one.
        layers = {each: name for entry in entries for each, name in entry.layers.items()}
        if diff_id not in layers:
            raise CorruptImageError(f"was saved without the layer {diff_id}", where=files.where)
        return files, layers[diff_id]

    def config_data(self, diff_ids: tuple[DiffId, ...]) -> bytes:
        """Return the configuration of the image with these layers; raise ``CorruptImageError`` if it is missing."""
        files, entries = self._saved()
        for entry in entries:
            if entry.config.diff_ids == diff_ids:
                return entry.config_data
        raise CorruptImageError("was saved without its configuration", where=files.where)

    def _saved(self) -> tuple[LayoutFiles, tuple[SavedEntry, ...]]:
        with self._lock:
            if self._opened is None:
                files = self._open_files()
                self._opened = files, read_entries(files)
            return self._opened


@dataclass(frozen=True, slots=True)
class DaemonImage:
    """An image of a daemon; ``reference`` is its id without ``sha256:``.

    The manifest only names the layers: the daemon does not tell their sizes, which stand as 0.
    """

    name: str
    reference: str
    config: ImageConfig
    saved: SavedOnce

    @property
    def manifest(self) -> Manifest:
        """A manifest of Docker's kind, in which a layer is its uncompressed tar."""
        data = self.config.dumps()
        layers = tuple(Descriptor(DOCKER_LAYER, 0, Digest(diff_id)) for diff_id in self.config.diff_ids)
        return Manifest(DOCKER_MANIFEST, Descriptor(DOCKER_CONFIG, len(data), digest_of(data)), layers)

    def layer(self, diff_id: DiffId) -> Iterator[bytes]:
        """Yield the uncompressed tar of a layer, verified while it is read."""
        return saved_layer(*self._saved(diff_id), diff_id)

    def layer_size(self, diff_id: DiffId) -> int | None:
        """Return the bytes of the tar, ``None`` where the daemon has it compressed."""
        return saved_layer_size(*self._saved(diff_id))

    def config_data(self) -> bytes:
        """Return the bytes of the configuration, of which ``config`` has but a part; the image is saved for it."""
        return self.saved.config_data(self.config.diff_ids)

    def _saved(self, diff_id: DiffId) -> tuple[LayoutFiles, str]:
        if diff_id not in self.config.diff_ids:
            raise CorruptImageError(f"has no layer {diff_id}", where=self.name)
        return self.saved.layer(diff_id)


def diff_ids_of(inspected: Mapping[str, Any]) -> tuple[DiffId, ...]:
    """Return the layers that an answer of ``docker inspect`` names."""
    root = inspected.get("RootFS")
    layers = root.get("Layers") if isinstance(root, dict) else None
    return tuple(DiffId(str(layer)) for layer in layers or ())


def image_id_of(inspected: Mapping[str, Any], *, where: str) -> str:
    """Return the id of an image, ``sha256:…``; raise ``CorruptImageError`` if there is none."""
    image_id = inspected.get("Id")
    if not isinstance(image_id, str) or not image_id:
        raise CorruptImageError("has no id", where=where)
    return image_id if image_id.startswith("sha256:") else f"sha256:{image_id}"


def inspected_config(inspected: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, where: str) -> ImageConfig:
    """Return the configuration; raise ``CorruptImageError`` for an answer of another kind."""
    run = inspected.get("Config") or {}
    if not isinstance(run, dict):
        raise CorruptImageError("has a Config that is not an object", where=where)
    document = {
        "architecture": inspected.get("Architecture"),
        "author": inspected.get("Author"),
        "created": inspected.get("Created"),
        "os": inspected.get("Os"),
        "os.version": inspected.get("OsVersion"),
        "variant": inspected.get("Variant"),
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids_of(inspected))},
        "history": [_step(each) for each in reversed(history)],
        "config": {key: run[key] for key in _RUN_KEYS if run.get(key)},
    }
    return read_config(json.dumps(document).encode(), where=where)


def _step(entry: Mapping[str, Any]) -> Mapping[str, str]:
    created = entry.get("Created")
    moment = datetime.fromtimestamp(created, UTC) if isinstance(created, int) and created > 0 else None
    return {
        "created": "" if moment is None else rfc3339(moment),
        "created_by": str(entry.get("CreatedBy") or ""),
        "comment": str(entry.get("Comment") or ""),
    }
