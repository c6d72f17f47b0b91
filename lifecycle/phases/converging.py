"""Letting each step of a build end with the same outputs as on every other builder that shares a cache.

The key of a step names the upstream layers of this very build, as they are after they were settled, so that no image
mixes outputs that don't belong together.  Where a step can't be settled, the rest of the build keeps its own outputs
and publishes nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.model import Fate, FinishedStep, Settled
from lifecycle.errors import LifecycleError
from lifecycle.model.cache_report import SettledRow
from lifecycle.model.group import GroupElement
from lifecycle.model.step_record import StepRecord, step_key
from lifecycle.rules.step_key import build_layers, field_digest, upstream_content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cache.distributed.model import SharedSteps
    from lifecycle.images.store import ReusedLayer
    from lifecycle.model.observed_step import ObservedStep
    from lifecycle.oci.digest import Digest
    from lifecycle.phases.build import StepStart
    from lifecycle.phases.step_recorder import StepRecorder
    from lifecycle.rules.step_key import UpstreamLayer

_LOG = logging.getLogger(__name__)


class StepConverger:
    """Settles the steps that ``recorder`` observes in ``shared``.

    ``reused`` are the layers, by ids, of which buildpacks may leave the metadata only.  With ``strict`` a step that
    can't be settled ends the build.
    """

    def __init__(
        self,
        shared: SharedSteps,
        recorder: StepRecorder,
        *,
        reused: Mapping[str, ReusedLayer],
        strict: bool = False,
    ) -> None:
        self._shared = shared
        self._recorder = recorder
        self._reused = reused
        self._strict = strict
        self._upstream: list[UpstreamLayer] = []
        self._stopped = ""
        self.rows: list[SettledRow] = []

    def __call__(self, start: StepStart) -> None:
        """Settle a step whose ``bin/build`` has ended."""
        observed = self._recorder.steps[-1]
        info = start.buildpack.descriptor.buildpack
        buildpack = GroupElement(id=info.id, version=info.version, api=str(start.buildpack.api))
        if self._stopped:
            self._note(buildpack, unpublished(buildpack, self._stopped))
            return
        try:
            step = self._finished(start, observed, buildpack)
            if observed.withheld:
                settled = Settled(fate=Fate.UNPUBLISHED, record=self._shared.read(step), reason=observed.withheld)
            else:
                settled = self._shared.settle(step)
        except LifecycleError as error:
            if self._strict:
                raise
            self._stopped = f"the outputs of {buildpack} could not be shared: {error}"
            settled = unpublished(buildpack, str(error))
        self._upstream += build_layers(buildpack.id, settled.record.layers)
        self._note(buildpack, settled)

    def _finished(self, start: StepStart, observed: ObservedStep, buildpack: GroupElement) -> FinishedStep:
        fields: Mapping[str, Digest] = {}
        if not observed.withheld:
            content = upstream_content(self._upstream, observed.environment)
            fields = {**observed.fields, "upstream": field_digest("upstream", content)}
        return FinishedStep(
            buildpack=buildpack,
            directory=start.directory,
            key=step_key(fields) if fields else None,
            inputs=fields,
            environment=start.environment,
            app_after=self._recorder.app_after(),
            facts=observed.facts,
            reused=of_buildpack(self._reused, buildpack.id),
        )

    def _note(self, buildpack: GroupElement, settled: Settled) -> None:
        self.rows.append(note(self._shared, buildpack, settled))


def note(shared: SharedSteps, buildpack: GroupElement, settled: Settled) -> SettledRow:
    """Log what became of a step, and return it as reports have it."""
    row = SettledRow(
        buildpack=buildpack.id,
        key=settled.record.key or "",
        outcome=settled.fate,
        record=settled.digest,
        generation=settled.generation,
        failures=settled.failures,
        differing=settled.differing,
        reason=settled.reason,
        uploaded=settled.uploaded,
        seconds=round(settled.seconds, 3),
    )
    level = logging.WARNING if settled.fate is Fate.UNPUBLISHED else logging.INFO
    _LOG.log(level, "Step in %s: %s", shared.name, row.told())
    return row


def unpublished(buildpack: GroupElement, reason: str) -> Settled:
    """Return the fate of a step that stays with this builder."""
    return Settled(fate=Fate.UNPUBLISHED, record=StepRecord(buildpack=buildpack), reason=reason)


def of_buildpack(layers: Mapping[str, ReusedLayer], buildpack_id: str) -> dict[str, ReusedLayer]:
    """Return the layers of one buildpack, by their names, from those of all, by their ids."""
    prefix = f"{buildpack_id}:"
    return {name.removeprefix(prefix): layer for name, layer in layers.items() if name.startswith(prefix)}
