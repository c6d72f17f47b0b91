"""The contract of builds after the first, and of first builds that should be equal.

Spec: buildpack.md "Layer Types", "Phase #5: Build".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.testing.contracts.breach import Breach, none_of
from lifecycle.testing.contracts.snapshot import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.testing.build import Build
    from lifecycle.testing.contracts.runs import Runs
    from lifecycle.testing.layer import Layer

_SHOWN = 5


class RebuildTests:
    """What a buildpack makes of what it left in the last build, and of the same app elsewhere."""

    def test_a_second_build_with_restored_layers_passes(self, cnb_runs: Runs) -> None:
        """Layers come back with contents or with metadata alone."""
        none_of(_failed(cnb_runs.second, "the second build, with what was restored of the first,"))

    def test_a_second_build_without_the_cache_passes(self, cnb_runs: Runs) -> None:
        """Caches get lost: launch layers may be known by the previous image alone."""
        none_of(_failed(cnb_runs.without_cache, "a build with the previous image but without its cache"))

    def test_nothing_changes_if_nothing_changed(self, cnb_runs: Runs) -> None:
        """The second build of an app keeps every layer, in the image and in the cache."""
        second = cnb_runs.second
        if second.error is None:
            none_of(_not_kept(cnb_runs.first, second))

    def test_two_builds_are_byte_equal(self, cnb_runs: Runs) -> None:
        """First builds of an app in two places give one image."""
        one, other = cnb_runs.anew
        if one.error is None and other.error is None:
            none_of(_unequal(one, other))


def _failed(build: Build, which: str) -> Iterator[Breach]:
    if build.error is not None:
        yield Breach(
            f"{which} failed: {build.error}",
            'buildpack.md "Layer Types"',
            "expect that layers, their <layer>.toml and store.toml are there already, or the metadata alone",
            build.log,
        )


def _not_kept(first: Build, second: Build) -> Iterator[Breach]:
    before, after = first.export(), second.export()
    reused = set(after.reused)
    kept = [layer for layer in second.layers.all if layer.types]
    for layer in kept:
        known = next((each for each in first.layers.all if each.id == layer.id), None)
        if known is None:
            yield Breach(f"layer {layer.id} is new in the second build", _SPEC, _KEEP)
        elif layer.launch and layer.id not in reused:
            yield Breach(f"launch layer {layer.id} is made anew: {_how(known, layer)}", _SPEC, _KEEP)
        elif layer.cache and layer.has_contents and known.diff_id != layer.diff_id:
            yield Breach(f"cached layer {layer.id} changes: {_how(known, layer)}", _SPEC, _KEEP)
        elif layer.launch and dict(known.metadata) != dict(layer.metadata):
            what = f"from {dict(known.metadata)} to {dict(layer.metadata)}"
            yield Breach(f"the metadata of layer {layer.id} changes {what}", _SPEC, _KEEP)
    for known in first.layers.all:
        if known.types and known.id not in {layer.id for layer in kept}:
            yield Breach(f"layer {known.id} is lost in the second build", _SPEC, _KEEP)
    if before.layers != after.layers and not _changed_layers(first, second):
        added = [name for name in after.added if name in before.added]
        yield Breach(f"the second image has other layers: {', '.join(added)}", _SPEC, _KEEP)


def _changed_layers(first: Build, second: Build) -> bool:
    return [layer.id for layer in first.layers.all] != [layer.id for layer in second.layers.all]


_SPEC = 'buildpack.md "Layer Types" (launch and cached layers are reused)'
_KEEP = (
    "record in [metadata] what a layer depends on; where it is as before, write its [types] again and leave the rest "
    "as it is"
)


def _unequal(one: Build, other: Build) -> Iterator[Breach]:
    spec = 'buildpack.md "Build" (reproducible images)'
    remedy = "leave times, random values, unsorted listings and paths of the build out of what you write"
    for layer in one.layers.all:
        twin = next((each for each in other.layers.all if each.id == layer.id), None)
        if twin is None:
            yield Breach(f"layer {layer.id} is made in one of two builds", spec, remedy)
        elif layer.launch and layer.diff_id != twin.diff_id:
            yield Breach(f"launch layer {layer.id} differs between two builds: {_how(layer, twin)}", spec, remedy)
        elif layer.launch and dict(layer.metadata) != dict(twin.metadata):
            what = f"{dict(layer.metadata)} and {dict(twin.metadata)}"
            yield Breach(f"the metadata of layer {layer.id} differs between two builds: {what}", spec, remedy)
    if one.labels != other.labels:
        yield Breach(f"labels differ between two builds: {one.labels} and {other.labels}", spec, remedy)
    if one.processes != other.processes:
        yield Breach(f"processes differ between two builds: {one.processes} and {other.processes}", spec, remedy)
    if one.sboms != other.sboms:
        names = [name for name in one.sboms.keys() | other.sboms.keys() if one.sboms.get(name) != other.sboms.get(name)]
        yield Breach(f"SBOMs differ between two builds: {', '.join(sorted(names))}", spec, remedy)


def _how(first: Layer, second: Layer) -> str:
    if not (first.has_contents and second.has_contents):
        return "its contents are missing in one of the builds"
    places = (str(first.path), str(second.path), *(str(each.path.parents[2]) for each in (first, second)))
    found = list(differences(first.path, second.path, host_paths=places))
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
