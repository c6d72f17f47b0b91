"""Which run image may replace that of a finished app image, and what the app image says afterwards.

Spec: platform.md "Rebaser".  Reference: phase/rebaser.go; a rebased image tells nothing of its history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import RebaseError
from lifecycle.model.api import ApiVersion, PlatformApi, PlatformFeature
from lifecycle.model.lifecycle_metadata import StackMetadata
from lifecycle.model.run import RunImage
from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.oci.digest import DiffId
from lifecycle.oci.gojson import Struct, dumps, loads, rfc3339
from lifecycle.oci.reference import same_image_name
from lifecycle.rules.image_config import CREATION_TIME, top_layer, variable
from lifecycle.rules.run_image import STACK_ID_LABEL, target_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.model.lifecycle_metadata import LifecycleMetadata
    from lifecycle.model.target import TargetData

MIXINS_LABEL = "io.buildpacks.stack.mixins"
REBASABLE_LABEL = "io.buildpacks.rebasable"

_STACK_LABELS = "io.buildpacks.stack."
_BASE_LABELS = "io.buildpacks.base."
_STAGES = ("build:", "run:")
_BUILD_AGAIN = "build the app on the new run image instead"


def recorded_run_image(api: PlatformApi, metadata: LifecycleMetadata) -> RunImage:
    """Return the run image that an app image names; raise ``RebaseError`` if it names none.

    Spec: platform.md "Rebaser" (``<run-image>``): before Platform API 0.12 only the key ``stack`` counts.
    """
    names = metadata.runImage.names
    if PlatformFeature.RUN_IMAGE_IN_LABEL not in api or not names.image:
        names = metadata.stack.runImage if metadata.stack else RunImage()
    if not names.image:
        raise RebaseError(
            "-run-image is required when there is no run image metadata available",
            remedy="name the new run image with -run-image",
        )
    return names


def objections(app: ImageConfig, base: ImageConfig) -> tuple[str, ...]:
    """Return what speaks against a new run image, by the rules of the Platform API that the app was built with.

    Before 0.12 stack and mixins have to fit, and ``RebaseError`` is raised where they don't; since then the
    targets have to, which ``-force`` overrides.
    """
    if not _has_targets(app):
        _check_stack(app, base)
        _check_mixins(app, base)
        return ()
    found = []
    if app.labels.get(REBASABLE_LABEL) == "false":
        found.append("app image is not marked as rebasable")
    old, new = target_data(app, where="app image"), target_data(base, where="new run image")
    if not _suits(new, old):
        found.append(
            "unable to satisfy target os/arch constraints; "
            f"new run image: {_shown(new.struct())}, old run image: {_shown(old.struct())}"
        )
    return tuple(found)


def unknown_name(metadata: LifecycleMetadata, name: str) -> str | None:
    """Return what speaks against a new run image that is neither the recorded one nor one of its mirrors."""
    stack = metadata.stack.runImage if metadata.stack else RunImage()
    recorded = metadata.runImage.names
    if any(same_image_name(name, each) for each in (*recorded.names(), *stack.names())):
        return None
    if recorded.image:
        known = dumps(metadata.runImage.label())
    else:
        known = dumps(stack.struct()) if metadata.stack else "not found"
    return f"new base image '{name}' not found in existing run image metadata: {known}"


def layers_above(app: ImageConfig, metadata: LifecycleMetadata) -> tuple[DiffId, ...]:
    """Return the layers of an app image above its run image; raise ``RebaseError`` where that can't be told."""
    top = metadata.runImage.topLayer
    if not top:
        return app.diff_ids
    if top not in app.diff_ids:
        raise RebaseError("could not find base layer in image", remedy=_BUILD_AGAIN)
    return app.diff_ids[app.diff_ids.index(DiffId(top)) + 1 :]


def rebased_metadata(
    metadata: LifecycleMetadata, base: ImageConfig, *, reference: str, renamed: str = ""
) -> LifecycleMetadata:
    """Return what the label says of the new run image; ``renamed`` is its name if the label didn't know it."""
    changes: dict[str, object] = {"topLayer": top_layer(base), "reference": reference}
    if not renamed:
        run_image = metadata.runImage.model_copy(update=changes)
        return metadata.model_copy(update={"runImage": run_image})
    run_image = metadata.runImage.model_copy(update={**changes, "image": renamed, "mirrors": ()})
    stack = StackMetadata(runImage=RunImage(image=renamed))
    return metadata.model_copy(update={"runImage": run_image, "stack": stack})


def rebased_labels(api: PlatformApi, app: ImageConfig, base: ImageConfig) -> dict[str, str]:
    """Return the labels of the app image, those that describe the run image taken from the new one."""
    prefixes = (_STACK_LABELS, _BASE_LABELS) if PlatformFeature.TARGETS in api else (_STACK_LABELS,)
    kept = {name: value for name, value in app.labels.items() if not name.startswith(prefixes)}
    return kept | {name: value for name, value in base.labels.items() if name.startswith(prefixes)}


def rebased_config(
    app: ImageConfig, base: ImageConfig, *, kept: Sequence[DiffId], labels: Mapping[str, str]
) -> ImageConfig:
    """Return the configuration of the app image on the new run image, whose platform it takes."""
    created = rfc3339(CREATION_TIME)
    diff_ids = (*base.diff_ids, *kept)
    return ImageConfig(
        architecture=base.architecture,
        os=base.os,
        os_version=base.os_version,
        diff_ids=diff_ids,
        history=(HistoryEntry(created=created),) * len(diff_ids),
        run={**app.run, "Labels": labels},
        created=created,
    )


def _has_targets(app: ImageConfig) -> bool:
    text = variable(app.env, "CNB_PLATFORM_API")
    try:
        return bool(text) and PlatformFeature.TARGETS in PlatformApi(ApiVersion.parse(text))
    except ValueError as error:
        raise RebaseError(f"app image has CNB_PLATFORM_API={text}, which is no version", remedy=_BUILD_AGAIN) from error


def _check_stack(app: ImageConfig, base: ImageConfig) -> None:
    old, new = app.labels.get(STACK_ID_LABEL, ""), base.labels.get(STACK_ID_LABEL, "")
    if not old:
        raise RebaseError("stack not defined on app image", remedy=_BUILD_AGAIN)
    if not new:
        raise RebaseError("stack not defined on new base image", remedy=f"choose a run image of the stack {old}")
    if old != new:
        raise RebaseError(
            f"incompatible stack: '{new}' is not compatible with '{old}'",
            remedy=f"choose a run image of the stack {old}",
        )


def _check_mixins(app: ImageConfig, base: ImageConfig) -> None:
    missing = sorted(_mixins(app, "app image") - _mixins(base, "new base image"))
    if missing:
        raise RebaseError(f"missing required mixin(s): {', '.join(missing)}", remedy="choose a run image that has them")


def _mixins(config: ImageConfig, where: str) -> set[str]:
    text = config.labels.get(MIXINS_LABEL, "")
    try:
        found = loads(text or "[]") or []
    except ValueError as error:
        raise RebaseError(f"{where} has a label {MIXINS_LABEL} that is not JSON", remedy=_BUILD_AGAIN) from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise RebaseError(f"{where} has a label {MIXINS_LABEL} that is no list of names", remedy=_BUILD_AGAIN)
    return {_without_stage(each) for each in found}


def _without_stage(mixin: str) -> str:
    for stage in _STAGES:
        if mixin.startswith(stage):
            return mixin.removeprefix(stage)
    return mixin


def _suits(new: TargetData, old: TargetData) -> bool:
    if (new.os, new.arch) != (old.os, old.arch):
        return False
    if new.arch_variant and old.arch_variant and new.arch_variant != old.arch_variant:
        return False
    if new.distro is None:
        return True
    return old.distro is not None and all(
        not mine or mine == theirs
        for mine, theirs in ((new.distro.name, old.distro.name), (new.distro.version, old.distro.version))
    )


def _shown(fields: Struct) -> str:
    return dumps(Struct({key: value for key, value in fields.items() if value is not None}))
