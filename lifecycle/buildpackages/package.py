"""A package as an image: a layer for each module, or one for all, and the labels that say which is which.

Spec: distribution.md "Buildpackage".
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.buildpackages.module_layer import modules_layer
from lifecycle.buildpackages.read import LayerOfPackage
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.rules.buildpackage import package_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.buildpackages.collect import Collection
    from lifecycle.buildpackages.read import FoundModule
    from lifecycle.images.image_platform import ImagePlatform
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.digest import DiffId
    from lifecycle.rules.buildpackage import Module

_CREATED = "1980-01-01T00:00:01Z"
_BEST = 9


def package_image(
    collection: Collection,
    work_dir: Path,
    *,
    platform: ImagePlatform,
    flatten: bool = False,
    apart: Sequence[str] = (),
    labels: Mapping[str, str],
) -> NewImage:
    """Return the image of a package, whose new layers are below ``work_dir``.

    A layer that a dependency's package has stays as it is there.  With ``flatten`` all modules are in one layer but
    those ``apart``, each ``<id>@<version>``.  Raises ``LifecycleError``.
    """
    layers: dict[DiffId, LayerBlob | ReusedLayer] = {}
    placed: list[tuple[Module, DiffId]] = []
    together = [each for each in collection.all if flatten and str(each.module) not in apart]
    groups = [together] if together else []
    groups += [[each] for each in collection.all if each not in together]
    for group in groups:
        layer = _layer(group, work_dir)
        layers.setdefault(layer.diff_id, layer)
        placed += [(each.module, layer.diff_id) for each in group]
    config = ImageConfig(
        platform.architecture,
        platform.os,
        tuple(layers),
        history=tuple(HistoryEntry(created=_CREATED, created_by="lifecycle buildpack package") for _ in layers),
        run={"Labels": {**labels, **package_labels(collection.main.module, placed)}},
        created=_CREATED,
        variant=platform.variant,
    )
    return NewImage(None, tuple(layers.values()), config)


def _layer(group: Sequence[FoundModule], work_dir: Path) -> LayerBlob | ReusedLayer:
    if len(group) == 1 and isinstance(group[0].place, LayerOfPackage):
        return ReusedLayer(group[0].place.package.image, group[0].place.diff_id)
    roots = [(each.module, _root(each, work_dir)) for each in group]
    return write_blob(modules_layer(roots), work_dir, level=_BEST)


def _root(found: FoundModule, work_dir: Path) -> Path:
    if isinstance(found.place, Path):
        return found.place
    unpacked = found.place.package.unpack(Path(tempfile.mkdtemp(prefix="package-", dir=work_dir)))
    return unpacked[str(found.module)]
