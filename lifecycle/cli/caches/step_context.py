"""Keys of steps: what a build looks at for them, and those that it expects before it runs."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lifecycle.errors import LifecycleError
from lifecycle.files.os_release import OS_RELEASE
from lifecycle.oci.digest import digest_of
from lifecycle.phases.step_recorder import StepContext, expected_steps
from lifecycle.rules.step_key import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.cli.caches.key_options import KeyOptions
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import Digest
    from lifecycle.phases.build import BuildInputs
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.step_recorder import ExpectedStep

_LOG = logging.getLogger(__name__)


@runtime_checkable
class _Recorded(Protocol):
    """A source that has records of steps by their keys."""

    def records(self) -> Mapping[Digest, StepRecord]: ...


def step_context(
    inputs: BuildInputs, analyzed: Analyzed, options: KeyOptions, *, image_layers_dir: str = ""
) -> StepContext:
    """Return what the steps of a build have in common; ``image_layers_dir`` is that of images, if another."""
    build_image = analyzed.build_image.reference if analyzed.build_image else ""
    release = b""
    with contextlib.suppress(OSError):
        release = OS_RELEASE.read_bytes()
    return StepContext(
        app_dir=inputs.app_dir,
        platform_dir=inputs.platform_dir,
        paths={
            "layers": str(inputs.layers_dir),
            "app": str(inputs.app_dir),
            "platform": str(inputs.platform_dir),
        },
        image_layers_dir=image_layers_dir or str(inputs.layers_dir),
        target=inputs.target,
        exec_env=inputs.exec_env,
        base={"image": build_image, "os-release": digest_of(release)},
        user=(os.geteuid(), os.getegid()),
        cache_version=options.cache_version,
        salt=options.salt,
        secret_names=options.secret_names,
    )


def with_keys(
    sources: CacheSources, inputs: BuildInputs, analyzed: Analyzed, options: KeyOptions, *, image_layers_dir: str
) -> CacheSources:
    """Return the sources with the keys of the steps to come, as far as records of them tell; what fails is told."""
    known = list(_records(sources))
    if not known:
        return sources

    def find(key: Digest) -> StepRecord | None:
        return next((record for each in known if (record := each.get(key)) is not None), None)

    try:
        context = step_context(inputs, analyzed, options, image_layers_dir=image_layers_dir)
        expected = expected_steps(inputs, context, find)
    except LifecycleError as error:
        _LOG.debug("The keys of the steps are not known: %s", error)
        return sources
    records = {key: record for each in reversed(known) for key, record in each.items()}
    for buildpack_id, step in expected.items():
        _explain(buildpack_id, step, records)
    return replace(sources, keys={name: step.key for name, step in expected.items()})


def _records(sources: CacheSources) -> Iterator[Mapping[Digest, StepRecord]]:
    for each in sources.opened:
        if isinstance(each.source, _Recorded):
            yield each.source.records()


def _explain(buildpack_id: str, step: ExpectedStep, records: Mapping[Digest, StepRecord]) -> None:
    if step.key in records:
        _LOG.debug("Step %s: %s is known", buildpack_id, step.key)
        return
    others: dict[str, Mapping[str, str]] = {
        str(key): record.inputs for key, record in records.items() if record.buildpack.id == buildpack_id
    }
    found = nearest(step.fields, others)
    _LOG.info("No cache source knows the step %s: %s", buildpack_id, found or "it was never built")
