"""SBOM files of layers from the last build: the app image has those of launch layers, the cache the others.

Spec: platform.md "Restorer" (outputs), "Analyzer" (<skip-layers>).  Below ``<layers>/sbom`` stand
``launch/<buildpack>/<layer>/sbom.<ext>`` and ``cache/<buildpack>/<layer>/sbom.<ext>``.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.layers.extract import extract
from lifecycle.model.ids import directory_name
from lifecycle.phases.layer_contents import in_image, move_into_place, staging_in
from lifecycle.rules.restoration import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path, PurePosixPath

_CHUNK = 1024 * 1024


def restore_launch_sboms(tar: Iterator[bytes], *, layers_dir: Path, image_layers_dir: PurePosixPath | None) -> None:
    """Put the SBOM layer of the previous image where the restorer finds it: ``<layers>/sbom/launch``."""
    target = layers_dir / "sbom" / "launch"
    root = in_image(target, layers_dir=layers_dir, image_layers_dir=image_layers_dir)
    with staging_in(layers_dir) as staging:
        extract(tar, root=root, target=staging / "launch")
        move_into_place(staging / "launch", target)


@dataclass(frozen=True, slots=True)
class LayerSboms:
    """The SBOM files at hand: ``launch_dir`` has those of the app image, ``cache_dir`` those of the cache."""

    launch_dir: Path
    cache_dir: Path

    def hand_out(self, layer: Path, *, buildpack_id: str, origin: Origin) -> None:
        """Copy the files of a layer to ``<layer>.sbom.<ext>``, from its origin or else from the cache."""
        places = (self.launch_dir, self.cache_dir) if origin is Origin.APP_IMAGE else (self.cache_dir,)
        for place in places:
            files = _sbom_files(place / directory_name(buildpack_id) / layer.name)
            for file in files:
                write_atomic(layer.with_name(f"{layer.name}.{file.name}"), _chunks(file))
            if files:
                return


def _sbom_files(directory: Path) -> Sequence[Path]:
    try:
        return [path for path in sorted(directory.glob("sbom.*json")) if stat.S_ISREG(path.lstat().st_mode)]
    except OSError:
        return []


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise LifecycleError(f"can't be read: {error.strerror}", where=path) from error
