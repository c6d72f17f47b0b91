"""The report on a build's caches, from what restoration and export say of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.model.cache_report import CacheAction, CacheReport, LayerRow, PassedOverRow, SourceRow, StepRow
from lifecycle.rules.export_plan import Action, LayerKind
from lifecycle.rules.restoration import Restored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.cache.sources.model import Opened
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.restore import RestoredLayer, RestoredLayers
    from lifecycle.rules.export_plan import LayerVerdict

_ACTIONS = {
    Restored.CONTENTS: CacheAction.RESTORED,
    Restored.METADATA: CacheAction.METADATA_ONLY,
    Restored.NOTHING: CacheAction.REJECTED,
}


def source_row(opened: Opened) -> SourceRow:
    """Return what a report says of a source."""
    source = opened.source
    return SourceRow(
        index=opened.index,
        spec=opened.spec.text,
        kind=source.kind if source else "",
        name=source.name if source else "",
        digest=source.digest if source else "",
        status=opened.status,
        error=opened.error,
    )


def report_restoration(
    sources: CacheSources, account: RestoredLayers, *, more: Iterable[SourceRow] = ()
) -> CacheReport:
    """Return the report after a restoration; ``more`` are the sources that follow those that the user named."""
    return CacheReport(
        source=(*map(source_row, sources.opened), *more),
        step=tuple(
            StepRow(
                buildpack=buildpack_id,
                source=choice.source,
                match=choice.match if choice.source else "",
                key=sources.keys.get(buildpack_id, ""),
                record=choice.step.record if choice.step else "",
                record_key=choice.step.key if choice.step and choice.step.record else "",
                passed_over=tuple(PassedOverRow(source=each.source, reason=each.reason) for each in choice.passed_over),
            )
            for buildpack_id, choice in account.choices.items()
        ),
        layer=tuple(map(_layer_row, account.layers)),
    )


def _layer_row(layer: RestoredLayer) -> LayerRow:
    return LayerRow(
        buildpack=layer.buildpack_id,
        layer=layer.name,
        action=_ACTIONS[layer.restored],
        match=layer.match if layer.source else "",
        source=layer.source,
        origin=layer.origin,
        diff_id=layer.diff_id,
        bytes=layer.size,
        reason=layer.reason,
    )


def report_export(report: CacheReport, verdicts: Iterable[LayerVerdict], *, taken: Iterable[str]) -> CacheReport:
    """Return the report after an export; ``taken`` are the ids of layers that a named source gave to the image.

    A verdict without a size is on a layer of which the buildpack left metadata only.
    """
    rows = {row.id: row for row in report.layer}
    taken = set(taken)
    for verdict in verdicts:
        if verdict.kind is not LayerKind.BUILDPACK:
            continue
        row = rows.get(verdict.id)
        kept = verdict.action is Action.REUSE and not verdict.size
        if kept and row is not None and verdict.id in taken:
            rows[verdict.id] = row.model_copy(update={"action": CacheAction.MOUNTED, "reason": verdict.reason})
        elif not kept and (row is None or row.action != CacheAction.RESTORED):
            buildpack, _, name = verdict.id.rpartition(":")
            why = _miss(report, buildpack) if row is None else row.reason
            if row is not None and row.action == CacheAction.METADATA_ONLY:
                why = "its metadata came back, and the buildpack made it again"
            rows[verdict.id] = LayerRow(
                buildpack=buildpack,
                layer=name,
                action=CacheAction.REBUILT,
                source=row.source if row else 0,
                diff_id=verdict.diff_id or "",
                bytes=verdict.stored_size,
                reason=why,
            )
    return report.model_copy(update={"layer": tuple(rows.values())})


def _miss(report: CacheReport, buildpack_id: str) -> str:
    """Say why nothing is known of a layer."""
    step = next((each for each in report.step if each.buildpack == buildpack_id), None)
    if step is None or not step.source:
        return "no source has layers of this buildpack that could come back"
    return f"#{step.source}, from which this buildpack has its layers, does not know it"
