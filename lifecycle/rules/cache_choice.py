"""From which cache each buildpack gets its layers back, and what of each layer.

All layers of a buildpack come from one step of one source, because they refer to each other; different buildpacks may
have different sources.  Spec: buildpack.md "Layer Types" says what comes back of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from lifecycle.oci.digest import is_digest
from lifecycle.rules.restoration import Restored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.model.cached_step import CachedLayer, CachedStep, StepFacts


@unique
class Match(StrEnum):
    """Why a step was chosen."""

    EXACT = "exact"
    HINT = "hint"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A source that a buildpack gets nothing from, and why."""

    source: int
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The step that a buildpack gets its layers from; ``source`` counts from 1 and is 0 where there is none."""

    source: int = 0
    step: CachedStep | None = None
    match: Match = Match.PREVIOUS
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """What comes back of a layer, and why."""

    restored: Restored
    reason: str


def choose(
    buildpack_id: str,
    sources: Mapping[int, Sequence[CachedStep]],
    *,
    facts: StepFacts,
    key: str = "",
    unusable: Mapping[int, str] | None = None,
) -> Choice:
    """Choose among the steps of ``sources``, which are in the order of preference.

    A step with the same ``key`` wins in whichever source it is; then the order of sources decides.  ``unusable`` says
    of sources why nothing can be had from them.
    """
    passed: list[PassedOver] = []
    fitting: list[tuple[int, CachedStep]] = []
    for index, steps in sources.items():
        reasons = []
        for step in steps:
            if step.buildpack_id != buildpack_id:
                continue
            reason = (unusable or {}).get(index) or _misfit(step.facts, facts) or _lack(step, key)
            if reason:
                reasons.append(reason)
            else:
                fitting.append((index, step))
        if not any(found == index for found, _ in fitting):
            passed.append(PassedOver(index, reasons[0] if reasons else f"does not know {buildpack_id}"))
    if not fitting:
        return Choice(passed_over=tuple(passed))
    exact = [each for each in fitting if key and each[1].key == key]
    source, step = (exact or fitting)[0]
    better = "a step with the same inputs was preferred" if exact else "an earlier source was preferred"
    passed += [PassedOver(each, better) for each in dict.fromkeys(index for index, _ in fitting) if each != source]
    match = Match.EXACT if exact else Match.HINT
    return Choice(source, step, match, tuple(sorted(passed, key=lambda each: each.source)))


def of_layer(layer: CachedLayer, *, exact: bool) -> LayerChoice:
    """Decide what comes back of a layer of the chosen step.

    With the same inputs a layer that is for the build alone comes back too, where the source kept it: the buildpack
    would make the same again.
    """
    types = layer.types
    if not is_digest(layer.diff_id):
        return LayerChoice(Restored.NOTHING, "the source does not say which contents it had")
    if types.cache:
        if not layer.has_contents:
            return LayerChoice(Restored.NOTHING, "cache=true, but the source does not keep it")
        return LayerChoice(Restored.CONTENTS, f"{_flags(layer)}: metadata and contents")
    if types.build:
        if exact and layer.has_contents:
            return LayerChoice(Restored.CONTENTS, f"{_flags(layer)}: the same inputs made it")
        return LayerChoice(Restored.NOTHING, "build=true, cache=false: it has to be made again")
    if types.launch:
        if not layer.has_contents:
            return LayerChoice(Restored.NOTHING, "launch=true, but the source does not keep it")
        return LayerChoice(Restored.METADATA, "launch=true, cache=false: the image keeps its contents")
    return LayerChoice(Restored.NOTHING, "it is for nobody")


def _flags(layer: CachedLayer) -> str:
    return "+".join(layer.types.names())


def _misfit(made_for: StepFacts, wanted: StepFacts) -> str:
    """Say in what a step was made for something else; what one side does not know is no difference."""
    pairs = (
        ("os", made_for.os, wanted.os),
        ("architecture", made_for.arch, wanted.arch),
        ("architecture variant", made_for.variant, wanted.variant),
        ("distribution", made_for.distro, wanted.distro),
        ("version of the distribution", made_for.distro_version, wanted.distro_version),
        ("execution environment", made_for.exec_env, wanted.exec_env),
        ("layers directory", made_for.layers_dir, wanted.layers_dir),
    )
    return "; ".join(
        f"its {name} is {theirs}, not {ours}" for name, theirs, ours in pairs if theirs and ours != theirs and ours
    )


def _lack(step: CachedStep, key: str) -> str:
    exact = bool(key) and step.key == key
    if any(of_layer(layer, exact=exact).restored is not Restored.NOTHING for layer in step.layers):
        return ""
    return f"has no layer of {step.buildpack_id} that could come back"
