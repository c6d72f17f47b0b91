"""Sharing the steps of a build that has ended, where builder and exporter are processes of their own.

A builder that runs buildpacks has no access to registries, so it can't ask others before the next buildpack starts.
It leaves the digests of what each step started from (``files.observed_steps``), and the exporter settles the steps in
their order.  Where another builder's record differs from our outputs and yet leads to the same next key, it takes their
place as in one process.  Where it leads elsewhere, our later steps were made from something else: they give way to
the records of the whole rest of the chain if all of it is there, else they stay, unpublished.  Either way each layer
of the image is an output of a step whose key names the upstream layers of this very image.
Decision: spec/decisions/0012-shared-steps.md, "Five phases".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.cache.distributed.model import Fate, FinishedStep, Settled
from lifecycle.errors import CacheError, LifecycleError
from lifecycle.files.codec import read_toml
from lifecycle.model.ids import directory_name
from lifecycle.model.step_record import step_key
from lifecycle.phases.converging import note, of_buildpack, unpublished
from lifecycle.rules.step_key import FORMAT, build_layers, field_digest, upstream_content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.distributed.model import SharedSteps
    from lifecycle.images.store import ReusedLayer
    from lifecycle.model.base import Table
    from lifecycle.model.cache_report import SettledRow
    from lifecycle.model.group import GroupElement
    from lifecycle.model.observed_step import ObservedStep
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import Digest
    from lifecycle.rules.step_key import UpstreamLayer

_LOG = logging.getLogger(__name__)


def publish_steps(
    shared: SharedSteps,
    buildpacks: Sequence[GroupElement],
    observed: Sequence[ObservedStep],
    *,
    layers_dir: Path,
    reused: Mapping[str, ReusedLayer],
    cache_version: str = "",
    strict: bool = False,
) -> tuple[SettledRow, ...]:
    """Settle the steps of a build in ``shared``; return what became of each.

    ``observed`` is what the builder saw of them.  ``reused`` are the layers, by ids, of which buildpacks may have left
    the metadata only.  A step that can't be shared ends the sharing; with ``strict`` it raises ``LifecycleError``.
    """
    work = _Publication(shared, buildpacks, {each.buildpack_id: each for each in observed}, layers_dir, reused)
    for position, buildpack in enumerate(buildpacks):
        if len(work.rows) > position:
            break
        try:
            work.settle(position, cache_version)
        except LifecycleError as error:
            if strict:
                raise
            work.stop(buildpack, str(error))
    return tuple(work.rows)


@dataclass(slots=True)
class _Publication:
    shared: SharedSteps
    buildpacks: Sequence[GroupElement]
    observed: Mapping[str, ObservedStep]
    layers_dir: Path
    reused: Mapping[str, ReusedLayer]
    rows: list[SettledRow] = field(default_factory=list)
    upstream: list[UpstreamLayer] = field(default_factory=list)

    def settle(self, position: int, cache_version: str) -> None:
        """Settle a step, and with it the rest of the steps where they have to follow it."""
        buildpack = self.buildpacks[position]
        seen = self._seen(buildpack, cache_version)
        step = self._finished(buildpack, seen, {} if seen.withheld else _fields(seen, self.upstream, seen.environment))
        is_last = position + 1 == len(self.buildpacks)

        def wants(winner: StepRecord, own: StepRecord) -> bool:
            return winner.app_after == own.app_after and (is_last or _leads_on(winner, own))

        if seen.withheld:
            settled = Settled(fate=Fate.UNPUBLISHED, record=self.shared.read(step), reason=seen.withheld)
        else:
            settled = self.shared.settle(step, wants=wants)
        if settled.fate is Fate.REFUSED:
            self._follow(position, step, settled)
            return
        self.upstream += build_layers(buildpack.id, settled.record.layers)
        self.rows.append(note(self.shared, buildpack, settled))

    def stop(self, buildpack: GroupElement, reason: str) -> None:
        """Leave this step and all later ones as they are."""
        self.rows.append(note(self.shared, buildpack, unpublished(buildpack, reason)))
        following = f"the outputs of {buildpack} could not be shared: {reason}"
        for each in self.buildpacks[len(self.rows) :]:
            self.rows.append(note(self.shared, each, unpublished(each, following)))

    def _seen(self, buildpack: GroupElement, cache_version: str) -> ObservedStep:
        seen = self.observed.get(buildpack.id)
        if seen is None or seen.version != buildpack.version:
            raise CacheError(
                "is a step of which the builder left no digests",
                where=str(buildpack),
                remedy="give the builder the same -cache-repo",
            )
        # Buildpacks can write what the builder leaves: nobody else's cache version can be reached from here.
        expected = {"cache-version": cache_version, "format": FORMAT}
        for name, content in () if seen.withheld else expected.items():
            if seen.fields.get(name) != field_digest(name, content):
                raise CacheError(
                    f"is a step for which the builder had another {name}",
                    where=str(buildpack),
                    remedy="give builder and exporter the same lifecycle and the same -cache-repo",
                )
        return seen

    def _finished(self, buildpack: GroupElement, seen: ObservedStep, fields: Mapping[str, Digest]) -> FinishedStep:
        if seen.app_after is None:
            raise CacheError("is a step after which the app directory could not be read", where=str(buildpack))
        return FinishedStep(
            buildpack=buildpack,
            directory=self.layers_dir / directory_name(buildpack.id),
            key=step_key(fields) if fields else None,
            inputs=fields,
            environment={},
            environment_after=seen.environment_after,
            app_after=seen.app_after,
            facts=seen.facts,
            reused=of_buildpack(self.reused, buildpack.id),
        )

    def _follow(self, position: int, step: FinishedStep, refused: Settled) -> None:
        """Take over a record and all that follow from it; raise ``CacheError`` where they are not all there."""
        chain = [(step, _key(step))]
        record, previous = refused.record, step
        upstream = [*self.upstream, *build_layers(step.buildpack.id, record.layers)]
        for buildpack in self.buildpacks[position + 1 :]:
            self._check_replaceable(record, previous)
            if _unmet(record.outputs.get("build.toml")) != _unmet(_build_toml(previous.directory)):
                raise self._incomplete(step, refused, f"{previous.buildpack} met other entries of the build plan")
            seen = self.observed.get(buildpack.id)
            if seen is None or seen.withheld or record.environment_after is None:
                raise self._incomplete(step, refused, f"{buildpack} has no key")
            found = self.shared.find(step_key(_fields(seen, upstream, record.environment_after)))
            if found is None or found.key is None:
                raise self._incomplete(step, refused, f"nobody has built {buildpack} upon it yet")
            previous = self._finished(buildpack, seen, {})
            chain.append((previous, found.key))
            record = found
            upstream += build_layers(buildpack.id, record.layers)
        self._check_replaceable(record, previous)
        for (each, _), settled in zip(chain, self.shared.replace(chain), strict=True):
            self.rows.append(note(self.shared, each.buildpack, settled))

    def _check_replaceable(self, record: StepRecord, own: FinishedStep) -> None:
        """Raise ``CacheError`` for a record that the rest of the build can't be made to follow."""
        if record.app_after != own.app_after:
            raise CacheError(
                "was made by a step that left another app directory, which records do not hold", where=self.shared.name
            )

    def _incomplete(self, step: FinishedStep, refused: Settled, why: str) -> CacheError:
        return CacheError(
            f"other builders have {refused.digest} of {step.buildpack}, from which this build's later steps were not "
            f"made, and {why}",
            where=self.shared.name,
        )


def _leads_on(winner: StepRecord, own: StepRecord) -> bool:
    """Say whether the next step has the same key after either record."""
    mine, theirs = (build_layers(each.buildpack.id, each.layers) for each in (own, winner))
    same_plan = _unmet(winner.outputs.get("build.toml")) == _unmet(own.outputs.get("build.toml"))
    return mine == theirs and winner.environment_after == own.environment_after and same_plan


def _build_toml(directory: Path) -> Table | None:
    return read_toml(directory / "build.toml", missing_ok=True, regular=True)


def _unmet(build: Table | None) -> object:
    return (build or {}).get("unmet", [])


def _fields(seen: ObservedStep, upstream: Sequence[UpstreamLayer], environment: Digest) -> dict[str, Digest]:
    return {**seen.fields, "upstream": field_digest("upstream", upstream_content(upstream, environment))}


def _key(step: FinishedStep) -> Digest:
    if step.key is None:
        raise CacheError(f"a step of {step.buildpack} without a key can't be replaced")
    return step.key
