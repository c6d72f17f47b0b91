"""What app images and caches say of earlier builds, as steps.

Spec: platform.md "io.buildpacks.lifecycle.metadata (JSON)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.cached_step import CachedLayer, CachedStep, SbomPlace, StepFacts
from lifecycle.model.ids import is_layer_name
from lifecycle.oci.digest import is_digest
from lifecycle.rules.image_config import EXEC_ENV_LABEL
from lifecycle.rules.run_image import DISTRO_NAME_LABEL, DISTRO_VERSION_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.model.lifecycle_metadata import BuildpackLayers, CacheMetadata, LifecycleMetadata
    from lifecycle.oci.config import ImageConfig
    from lifecycle.oci.manifest import Manifest


def steps_of_app(
    metadata: LifecycleMetadata, config: ImageConfig, manifest: Manifest | None = None
) -> tuple[CachedStep, ...]:
    """Return the steps that made an app image; its layers are all that it can give back."""
    labels = config.labels
    facts = StepFacts(
        os=config.os,
        arch=config.architecture,
        variant=config.variant,
        distro=labels.get(DISTRO_NAME_LABEL, ""),
        distro_version=labels.get(DISTRO_VERSION_LABEL, ""),
        exec_env=labels.get(EXEC_ENV_LABEL, ""),
        layers_dir=config.variables.get("CNB_LAYERS_DIR", ""),
    )
    sbom = metadata.sbom.sha if metadata.sbom else ""
    blobs = _blobs(config, manifest)
    return tuple(_step(each, facts, sbom, SbomPlace.LAUNCH, blobs) for each in metadata.buildpacks or ())


def steps_of_cache(
    metadata: CacheMetadata, config: ImageConfig | None = None, manifest: Manifest | None = None
) -> tuple[CachedStep, ...]:
    """Return the steps that a volume cache or a cache image remembers; neither says for which target."""
    blobs = {} if config is None else _blobs(config, manifest)
    return tuple(
        _step(each, StepFacts(), metadata.sbom.sha, SbomPlace.CACHE, blobs) for each in metadata.buildpacks or ()
    )


def _step(
    said: BuildpackLayers, facts: StepFacts, sbom: str, place: SbomPlace, blobs: Mapping[str, tuple[str, int]]
) -> CachedStep:
    layers = []
    for name, layer in sorted(said.layers.items()):
        if not is_layer_name(name):
            continue
        digest, size = blobs.get(layer.sha, ("", 0))
        held = is_digest(layer.sha) and (layer.launch if place is SbomPlace.LAUNCH else layer.cache)
        layers.append(
            CachedLayer(
                name=name,
                types=layer.types,
                metadata=layer.data,
                diff_id=layer.sha,
                digest=digest,
                size=size,
                has_contents=held,
            )
        )
    return CachedStep(
        buildpack_id=said.key,
        version=said.version,
        layers=tuple(layers),
        store=said.store,
        facts=facts,
        sboms={place: sbom} if sbom else {},
    )


def _blobs(config: ImageConfig, manifest: Manifest | None) -> dict[str, tuple[str, int]]:
    """Return digest and size of the blob of each layer by its diffID."""
    if manifest is None:
        return {}
    return {diff_id: (each.digest, each.size) for diff_id, each in zip(config.diff_ids, manifest.layers, strict=False)}
