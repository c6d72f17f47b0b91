"""The caches that a build writes: the values of ``-cache-to``, from inputs to exports."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.specification import INLINE, LOCAL, REGISTRY
from lifecycle.cli.caches.specs import target_specs
from lifecycle.errors import CacheError, LifecycleError
from lifecycle.files.codec import load
from lifecycle.files.observed_steps import load_observed
from lifecycle.files.work_dir import work_directory
from lifecycle.model.plan import Plan
from lifecycle.oci.reference import parse_tag
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cache.store import ExportedSteps
    from lifecycle.cache.targets.contents import TargetOptions
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import NewImage
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.layers.source import LayerSource
    from lifecycle.model.step_record import LayerRecord
    from lifecycle.phases.export_inputs import ExportInputs
    from lifecycle.progress import Progress
    from lifecycle.rules.export_plan import LayerVerdict

_LOG = logging.getLogger(__name__)


def open_targets(settings: Settings, remote: RemoteStores, *, progress: Progress = NO_PROGRESS) -> CacheTargets | None:
    """Return the caches to write, ``None`` where the user named none; raise ``InvalidInputError``."""
    specs = target_specs(settings)
    return CacheTargets(specs, remote, settings, progress) if specs else None


@dataclass(slots=True)
class CacheTargets:
    """The caches that one build writes; without any, nothing is looked at and nothing changes."""

    specs: tuple[CacheSpec, ...]
    remote: RemoteStores
    settings: Settings
    progress: Progress
    _image: NewImage | None = None
    _verdicts: Sequence[LayerVerdict] = field(default=())

    def before_write(self, inputs: ExportInputs, image: NewImage, verdicts: Sequence[LayerVerdict]) -> NewImage:
        """Take notice of the app image, and let it be a cache itself where that is asked for."""
        self._image, self._verdicts = image, tuple(verdicts)
        if not any(spec.type == INLINE for spec in self.specs):
            return image
        from lifecycle.cache.targets.inline import with_inline_cache

        return with_inline_cache(image, self._steps(inputs, None).steps)

    def write(self, inputs: ExportInputs) -> None:
        """Write the caches, after the app image; raise ``CacheError`` for one that may not fail."""
        specs = [spec for spec in self.specs if spec.type in {REGISTRY, LOCAL}]
        if not specs:
            return
        from lifecycle.cache.targets.contents import TargetOptions

        chosen = [(spec, TargetOptions.of(spec)) for spec in specs]
        failed: list[str] = []
        with work_directory("cache-to") as work_dir:
            exported: ExportedSteps | None = None
            for spec, options in chosen:
                try:
                    if exported is None:
                        exported = self._steps(inputs, _Packer([each for _, each in chosen], work_dir))
                    digest = self._write(spec, options, exported)
                    _LOG.info("Cache %s: %s (mode=%s)", spec, digest, options.mode)
                except LifecycleError as error:
                    if options.ignore_error:
                        _LOG.warning("Failed to export cache to %s: %s", spec, error)
                    else:
                        failed.append(f"{spec}: {error}")
        if failed:
            raise CacheError(
                f"failed to export cache to {'; '.join(failed)}",
                remedy="correct it, or add ignore-error=true if builds may do without",
            )

    def _write(self, spec: CacheSpec, options: TargetOptions, exported: ExportedSteps) -> str:
        merge = spec.enabled("merge", default=False)
        if spec.type == LOCAL:
            from lifecycle.cache.targets.local import DEFAULT_TAG, export_to_layout

            return export_to_layout(
                Path(spec.get("dest")),
                exported,
                options,
                tag=spec.get("tag") or DEFAULT_TAG,
                reset=spec.enabled("reset", default=False),
                merge=merge,
            )
        from lifecycle.cache.targets.registry import export_to_registry

        return export_to_registry(
            self.remote.client,
            parse_tag(spec.get("ref")),
            exported,
            options,
            merge=merge,
            progress=self.progress,
        )

    def _steps(self, inputs: ExportInputs, packer: _Packer | None) -> ExportedSteps:
        from lifecycle.phases.step_export import export_steps

        return export_steps(
            inputs,
            verdicts=self._verdicts,
            layers=() if self._image is None else self._image.layers,
            observed=load_observed(inputs.layers_dir),
            plan=load(Plan, self.settings.path("plan"), missing_ok=True),
            pack=packer or (lambda _source, _record: None),
        )


@dataclass(frozen=True, slots=True)
class _Packer:
    """Packs a layer as the first target says that keeps it."""

    options: Sequence[TargetOptions]
    work_dir: Path

    def __call__(self, source: LayerSource, record: LayerRecord | None) -> LayerBlob | None:
        for options in self.options:
            if record is None or options.keeps(record):
                return options.packing.pack(source, self.work_dir)
        return None
