"""``lifecycle cache inspect``, ``explain`` and ``diff``: what caches hold, and what a build would take from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from lifecycle.cache.sources.open import Opener
from lifecycle.cache.specification import read_source
from lifecycle.cache.volume import VolumeCache
from lifecycle.cli.caches.specs import insecure_names
from lifecycle.cli.commands.build.workspace import Workspace, app_key, cache_dir, state_dir
from lifecycle.cli.logs.build_log import short
from lifecycle.cli.logs.size_text import size_text
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import CacheError
from lifecycle.files.built_layers import read_built_layers
from lifecycle.files.codec import load
from lifecycle.files.observed_steps import load_observed
from lifecycle.images.image_platform import host_platform
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.lifecycle_metadata import BuildpackLayer, CacheMetadata
from lifecycle.rules.cache_choice import Choice, LayerChoice, Match, choose, of_layer
from lifecycle.rules.restoration import Restoration, Restored, restorations
from lifecycle.rules.step_key import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.cache.sources.model import Opened, Source
    from lifecycle.files.built_layers import BuiltLayers
    from lifecycle.model.cached_step import CachedLayer, CachedStep
    from lifecycle.model.group import GroupElement
    from lifecycle.model.layer import LayerTypes
    from lifecycle.model.observed_step import ObservedStep
    from lifecycle.model.step_record import StepRecord
    from lifecycle.oci.digest import Digest

_SHOWN = len("sha256:") + 12


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a person wants to see caches: as text or as JSON, reached with ``environment``."""

    out: TextIO
    environment: Mapping[str, str]
    insecure: tuple[str, ...] = ()
    as_json: bool = False

    def open(self, texts: Sequence[str]) -> tuple[Opened, ...]:
        """Open sources by what the user wrote."""
        specs = tuple(map(read_source, texts))
        remote = RemoteStores(self.environment, insecure=(*self.insecure, *insecure_names(specs)))
        return Opener(remote.cache_client).open_all(specs)

    def say(self, value: Any, lines: Iterable[str]) -> None:
        """Print ``value`` as JSON, or else the lines."""
        text = json.dumps(value, indent=2) if self.as_json else "\n".join(lines)
        self.out.write(f"{text}\n")


def inspect(texts: Sequence[str], view: View) -> bool:
    """Say of each source what it is and holds; return whether all could be read."""
    opened = view.open(texts)
    view.say(
        {"sources": [_source_value(each) for each in opened]},
        (line for each in opened for line in _source_lines(each)),
    )
    return all(each.source is not None for each in opened)


def _source_lines(opened: Opened) -> Iterable[str]:
    source = opened.source
    if source is None:
        yield f"#{opened.index} {opened.spec}  {opened.status}: {opened.error}"
        return
    steps = source.steps()
    size = sum({layer.diff_id: layer.size for step in steps for layer in step.layers}.values())
    yield f"#{opened.index} {short(source.name)}  {source.kind}, {size_text(size)} in layers of buildpacks"
    for step in steps:
        key = f"  key {step.key[:_SHOWN]}" if step.key else ""
        yield f"   {step.buildpack_id} {step.version}{key}".rstrip()
        width = max((len(layer.name) for layer in step.layers), default=0)
        for layer in step.layers:
            kept = "" if layer.has_contents else "  (contents not kept)"
            yield (
                f"     {layer.name:<{width}}  {_types(layer.types):<18}  {size_text(layer.size):>8}  "
                f"{layer.diff_id[:_SHOWN]}{kept}"
            )


def _source_value(opened: Opened) -> dict[str, Any]:
    value: dict[str, Any] = {
        "index": opened.index,
        "spec": opened.spec.text,
        "status": opened.status,
        "error": opened.error,
    }
    if opened.source is not None:
        source = opened.source
        steps = [_step_value(step) for step in source.steps()]
        value |= {"kind": source.kind, "name": source.name, "digest": source.digest, "steps": steps}
    return value


def _step_value(step: CachedStep) -> dict[str, Any]:
    return {
        "buildpack": step.buildpack_id,
        "version": step.version,
        "key": step.key,
        "layers": [
            {
                "name": layer.name,
                "types": _types(layer.types).split("+"),
                "diff-id": layer.diff_id,
                "digest": layer.digest,
                "size": layer.size,
                "contents": layer.has_contents,
            }
            for layer in step.layers
        ],
    }


def diff(one: str, other: str, view: View) -> bool:
    """Say how two sources differ; return whether both could be read and hold the same."""
    opened = view.open([one, other])
    for each in opened:
        if each.source is None:
            raise CacheError(f"{each.status}: {each.error}", where=each.spec.text)
    left, right = (_layers(each.source) for each in opened)
    rows = [
        {"layer": layer, "change": change}
        for layer in sorted({*left, *right})
        if (change := _change(left.get(layer), right.get(layer)))
    ]
    view.say({"differences": rows}, (f"{row['change']:<18} {row['layer']}" for row in rows))
    return not rows


def _layers(source: Source | None) -> dict[str, CachedLayer]:
    found: dict[str, CachedLayer] = {}
    for step in source.steps() if source else ():
        for layer in step.layers:
            found.setdefault(f"{step.buildpack_id}:{layer.name}", layer)
    return found


def _change(left: CachedLayer | None, right: CachedLayer | None) -> str:
    if left is None:
        return "only in the second"
    if right is None:
        return "only in the first"
    changes = [
        name
        for name, same in (
            ("contents", left.diff_id == right.diff_id),
            ("metadata", left.metadata == right.metadata),
            ("types", left.types == right.types),
        )
        if not same
    ]
    return f"other {' and '.join(changes)}" if changes else ""


def _records(source: Source | None) -> Mapping[Digest, StepRecord] | None:
    """Return the records of a source that knows of what the keys of its steps consist."""
    records = getattr(source, "records", None)
    return None if records is None else records()


def explain(texts: Sequence[str], app: Path, view: View) -> bool:
    """Say what a build of ``app`` would get from sources, by its last build, and why not the rest.

    As in a build, what no source knows comes from the app's own cache and from the image of its last build.
    Returns whether all layers would come back.
    """
    workspace = _last_build(app, view.environment)
    opened = view.open(texts)
    metadata = load(BuildMetadata, workspace.layers / "config" / "metadata.toml")
    observed = {each.buildpack_id: each for each in load_observed(workspace.layers)}
    remembered = {each.index: each.source.steps() for each in opened if each.source is not None}
    own = _own_cache(app, view.environment)
    rows: list[dict[str, Any]] = []
    lines = [line for each in opened if each.source is None for line in _source_lines(each)]
    for buildpack in metadata.buildpacks:
        choice = choose(buildpack.id, remembered, facts=_facts(observed.get(buildpack.id)))
        built = read_built_layers(workspace.layers, buildpack)
        layers = _from_own(built, own) if choice.step is None else _from_source(built, choice)
        keys = _differences(observed.get(buildpack.id), buildpack, opened)
        rows.append(
            {
                "buildpack": buildpack.id,
                "source": choice.source,
                "passed-over": [{"source": each.source, "reason": each.reason} for each in choice.passed_over],
                "keys": keys,
                "layers": layers,
            }
        )
        where = next((short(each.source.name) for each in opened if each.source and each.index == choice.source), "")
        whence = f"from #{choice.source} {where}" if where else "from the app's own cache and last image"
        lines.append(f"{buildpack.id} {buildpack.version}  {whence}")
        lines += [f"   {row['restored']:<8}  {row['layer']}: {row['reason']}" for row in layers]
        lines += [f"   #{each.source} passed over: {each.reason}" for each in choice.passed_over]
        lines += [f"   #{index} key {text}" for index, text in keys.items()]
    view.say({"sources": [_source_value(each) for each in opened], "buildpacks": rows}, lines)
    return all(row["restored"] != Restored.NOTHING for each in rows for row in each["layers"])


def _own_cache(app: Path, environment: Mapping[str, str]) -> CacheMetadata:
    volume = cache_dir(environment) / "volumes" / app_key(app.resolve())
    return VolumeCache(volume).metadata() if volume.is_dir() else CacheMetadata()


def _last_build(app: Path, environment: Mapping[str, str]) -> Workspace:
    builds = (state_dir(environment) / "builds" / app_key(app.resolve())).glob("build-*/layers/config/metadata.toml")
    found = sorted(builds, key=lambda path: path.stat().st_mtime)
    if not found:
        raise CacheError("was not built here yet", where=app, remedy="build it first: lifecycle build APP")
    return Workspace(found[-1].parents[2])


def _facts(observed: ObservedStep | None) -> StepFacts:
    if observed is not None:
        return observed.facts
    host = host_platform()
    return StepFacts(os=host.os, arch=host.architecture, layers_dir="/layers")


def _from_own(built: BuiltLayers, own: CacheMetadata) -> list[dict[str, str]]:
    """Say of each layer of the last build what comes back without named sources: its image remembers it too."""
    cached = own.of(built.buildpack.id)
    in_cache = cached.layers if cached else {}
    in_image = {
        layer.name: BuildpackLayer(
            sha=in_cache[layer.name].sha if layer.name in in_cache else "",
            **dict(layer.metadata.types),
        )
        for layer in built.layers
        if layer.metadata.types.launch
    }
    found = restorations(in_image, in_cache, api=LATEST_PLATFORM_API)
    unknown = Restoration(Restored.NOTHING, "neither the app's cache nor its image knows it")
    return [_row(layer.name, found.get(layer.name, unknown)) for layer in built.layers]


def _from_source(built: BuiltLayers, choice: Choice) -> list[dict[str, str]]:
    """Say of each layer of the last build what would come back of it."""
    cached = {layer.name: layer for layer in choice.step.layers} if choice.step else {}
    unknown = LayerChoice(Restored.NOTHING, f"#{choice.source}, from which the others come, does not know it")
    exact = choice.match is Match.EXACT
    return [
        _row(layer.name, of_layer(cached[layer.name], exact=exact) if layer.name in cached else unknown)
        for layer in built.layers
    ]


def _row(layer: str, found: Restoration | LayerChoice) -> dict[str, str]:
    return {"layer": layer, "restored": str(found.restored), "reason": found.reason}


def _differences(observed: ObservedStep | None, buildpack: GroupElement, opened: Iterable[Opened]) -> dict[int, str]:
    """Say, of each source with keys, in which fields the last build differs from the nearest of its steps."""
    if observed is None:
        return {}
    known = {each.index: records for each in opened if (records := _records(each.source)) is not None}
    if observed.withheld:
        return dict.fromkeys(known, observed.withheld)
    # Of what came before, the build has noted no digest: the steps before tell of it.
    fields = {name: value for name, value in observed.fields.items() if name != "upstream"}
    found = {}
    for index, records in known.items():
        of_buildpack = {
            key[:_SHOWN]: {name: value for name, value in record.inputs.items() if name != "upstream"}
            for key, record in records.items()
            if record.buildpack.id == buildpack.id
        }
        difference = nearest(fields, of_buildpack)
        if difference is not None:
            found[index] = str(difference)
    return found


def _types(types: LayerTypes) -> str:
    return "+".join(types.names()) or "none"
