"""Export: the app image from the run image, the layers of the buildpacks, the app and the launcher.

Rules decide what becomes of each layer and what the configuration says; this phase carries it out and logs.
Spec: platform.md "Exporter"; buildpack.md "Phase #4: Export".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lifecycle.errors import ExportError
from lifecycle.files.codec import load
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import LayerBlob
from lifecycle.model.api import PlatformFeature
from lifecycle.model.ids import directory_name
from lifecycle.model.launch import AttributedBomEntry, BomSource, Build
from lifecycle.model.lifecycle_metadata import LifecycleMetadata, StackMetadata
from lifecycle.model.report import Report
from lifecycle.oci.gojson import dumps, rfc3339
from lifecycle.phases.export_inputs import ExportInputs
from lifecycle.phases.export_layers import LayerStack, add_app, add_launch_layers, add_launcher, add_sbom
from lifecycle.phases.extended_run_image import add_extension_layers
from lifecycle.phases.lifecycle_sbom import copy_lifecycle_sboms
from lifecycle.phases.save_image import image_report, save_image
from lifecycle.phases.timer import timed
from lifecycle.progress import NO_PROGRESS
from lifecycle.rules import export_plan, image_config
from lifecycle.rules.run_image_metadata import run_image_label, run_image_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.images.store import Image, ImageStore, ReusedLayer, WrittenImage
    from lifecycle.progress import Progress
    from lifecycle.rules.export_plan import LayerVerdict

__all__ = ["ExportInputs", "Exported", "export"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The image that was written, what report.toml says of it, and what the next build will know of it.

    ``blobs`` are its new layers, whose files lie in ``work_dir``.
    """

    written: WrittenImage
    report: Report
    metadata: LifecycleMetadata
    verdicts: tuple[LayerVerdict, ...]
    blobs: tuple[LayerBlob, ...] = ()


@timed("Exporter")
def export(
    inputs: ExportInputs,
    *,
    images: ImageStore,
    base: Image,
    previous: Image | None,
    extended: Image | None = None,
    elsewhere: Mapping[str, ReusedLayer] | None = None,
    work_dir: Path,
    observe: Callable[[LayerVerdict], None] = lambda _: None,
    progress: Progress = NO_PROGRESS,
    before_write: Callable[[NewImage, Sequence[LayerVerdict]], NewImage] = lambda image, _: image,
) -> Exported:
    """Write the app image under all its names.

    ``base`` is the run image, ``extended`` what extensions made of it, ``previous`` the image whose layers
    may be reused, ``elsewhere`` launch layers of other images by their ids; ``work_dir`` keeps new layers until
    the caller removes it.  ``observe`` hears of each layer once it is dealt with, ``before_write`` sees the image and
    may change it.  Raises ``ExportError``.
    """
    build = inputs.build_metadata
    export_plan.check_process_types(build.processes or ())
    process_type = export_plan.default_process(
        build.processes or (), wanted=inputs.process_type, buildpacks_default=build.default_process_type
    )
    _check_launcher(inputs.launcher_path)
    if previous is not None:
        _announce_previous(previous)
    created = _created(inputs)
    if inputs.names and inputs.names[0].startswith("/"):
        _LOG.info("Using app image: %s", inputs.names[0])
    if PlatformFeature.LIFECYCLE_SBOM in inputs.api:
        copy_lifecycle_sboms(
            inputs.layers_dir,
            lifecycle_dir=inputs.lifecycle_dir,
            launcher_sbom_dir=inputs.launcher_sbom_dir,
        )

    stack = LayerStack(previous, work_dir, observe, progress, elsewhere or {})
    if extended is not None and PlatformFeature.RUN_IMAGE_EXTENSION in inputs.api:
        add_extension_layers(extended, stack)
    metadata = _add_layers(inputs, base, stack)
    image = _image(
        inputs,
        base,
        extended,
        stack,
        labels=_labels(inputs, metadata),
        process_type=process_type,
        created=created,
    )
    build_bom = _build_bom(inputs)
    written = save_image(images, before_write(image, stack.verdicts), inputs.names)
    return Exported(
        written=written,
        report=Report(image=image_report(written), build_bom=build_bom),
        metadata=metadata,
        verdicts=tuple(stack.verdicts),
        blobs=tuple(layer for layer in stack.layers if isinstance(layer, LayerBlob)),
    )


def _add_layers(inputs: ExportInputs, base: Image, stack: LayerStack) -> LifecycleMetadata:
    """Add the layers of this build in their order; return what the next build will know of them and of the base."""
    buildpacks = add_launch_layers(inputs, stack)
    sbom = add_sbom(inputs, stack)
    app = add_app(inputs, stack)
    launcher, config, process_types = add_launcher(inputs, stack)
    names = run_image_names(
        inputs.api,
        chosen=inputs.analyzed.run_image.image if inputs.analyzed.run_image else "",
        run=inputs.run,
        stack=inputs.stack,
        extended=bool(inputs.build_metadata.extensions),
    )
    top_layer = image_config.top_layer(base.config)
    return LifecycleMetadata(
        app=app,
        sbom=sbom,
        buildpacks=buildpacks or None,
        config=config,
        launcher=launcher,
        process_types=process_types,
        runImage=run_image_label(inputs.api, names, top_layer=top_layer, reference=base.reference),
        stack=StackMetadata(runImage=names),
    )


def _check_launcher(path: Path) -> None:
    if not path.is_file():
        raise ExportError(
            "there is no launcher, without which the image could start no process",
            where=path,
            remedy="give the path of a launcher executable with -launcher",
        )


def _announce_previous(previous: Image) -> None:
    name, at, _ = previous.reference.rpartition("@")
    if at:
        _LOG.info("Reusing layers from image '%s'", name if name.startswith("/") else previous.reference)
    else:
        _LOG.debug("Reusing layers from image with id '%s'", previous.reference)


def _labels(inputs: ExportInputs, metadata: LifecycleMetadata) -> Mapping[str, str]:
    """Return the labels that an export sets; a buildpack may overwrite the first three."""
    build = inputs.build_metadata
    labels = [
        (image_config.LIFECYCLE_LABEL, dumps(metadata.label())),
        (image_config.BUILD_LABEL, dumps(build.label(inputs.api, inputs.launcher))),
        (image_config.PROJECT_LABEL, dumps(inputs.project_metadata.label())),
        *((label.key, label.value) for label in build.labels),
    ]
    if PlatformFeature.EXEC_ENV in inputs.api:
        labels.append((image_config.EXEC_ENV_LABEL, inputs.exec_env))
    for key, _ in labels:
        _LOG.info("Adding label '%s'", key)
    return dict(labels)


def _image(
    inputs: ExportInputs,
    base: Image,
    extended: Image | None,
    stack: LayerStack,
    *,
    labels: Mapping[str, str],
    process_type: str,
    created: str,
) -> NewImage:
    layers_dir = inputs.image_layers_dir or PurePosixPath(inputs.layers_dir)
    app_dir = inputs.image_app_dir or PurePosixPath(inputs.app_dir)
    config = image_config.app_config(
        base.config,
        api=inputs.api,
        layers=[(layer.diff_id, entry) for layer, entry in zip(stack.layers, stack.history, strict=True)],
        labels=labels,
        layers_dir=layers_dir,
        app_dir=app_dir,
        process_type=process_type,
        created=created,
        extended_run=_extended_run(inputs, extended),
    )
    _LOG.debug("Setting CNB_LAYERS_DIR=%s", layers_dir)
    _LOG.debug("Setting CNB_APP_DIR=%s", app_dir)
    _LOG.debug("Setting CNB_PLATFORM_API=%s", inputs.api)
    _LOG.debug("Setting CNB_DEPRECATION_MODE=quiet")
    _LOG.debug("Prepending %s and %s to PATH", image_config.PROCESS_DIR, image_config.LIFECYCLE_DIR)
    _LOG.debug("Setting WORKDIR: '%s'", app_dir)
    if process_type:
        _LOG.info("Setting default process type '%s'", process_type)
    else:
        _LOG.info("no default process type")
    _LOG.debug("Setting ENTRYPOINT: '%s'", image_config.entrypoint(process_type))
    return NewImage(base=base, layers=tuple(stack.layers), config=config)


def _created(inputs: ExportInputs) -> str:
    """Return the time of the image.  Reference: SOURCE_DATE_EPOCH is told in the machine's zone."""
    instant = image_config.creation_time(inputs.api, inputs.source_date_epoch)
    if instant is None:
        _LOG.warning("Ignoring invalid SOURCE_DATE_EPOCH")
        instant = image_config.CREATION_TIME
    return rfc3339(instant if instant is image_config.CREATION_TIME else instant.astimezone())


def _extended_run(inputs: ExportInputs, extended: Image | None) -> Mapping[str, Any] | None:
    """Return the object ``config`` of the extended run image, where analysis says that there is one."""
    chosen = inputs.analyzed.run_image
    if PlatformFeature.RUN_IMAGE_EXTENSION not in inputs.api or chosen is None or not chosen.extend:
        return None
    if extended is None:
        raise ExportError(
            "the run image was to be extended, but there is no extended image",
            remedy="run the extender for the run image first, or give its directory with -extended",
        )
    return extended.config.run


def _build_bom(inputs: ExportInputs) -> tuple[AttributedBomEntry, ...]:
    """Return the bill of materials of the build from every build.toml, where report.toml has one."""
    if PlatformFeature.BOM_IN_LABEL not in inputs.api:
        return ()
    entries = []
    for buildpack in inputs.group.group:
        path = inputs.layers_dir / directory_name(buildpack.id) / "build.toml"
        build = load(Build, path, missing_ok=True, regular=True) or Build()
        source = BomSource(id=buildpack.id, version=buildpack.version)
        entries += [
            AttributedBomEntry(name=row.name, version=row.version, metadata=row.metadata, buildpack=source)
            for row in build.bom
        ]
    return tuple(entries)
