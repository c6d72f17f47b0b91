"""How the configurations, labels and manifests of two images differ, and who set what differs.

Labels that are JSON are compared value by value.  Spec: platform.md "Labels"; OCI image-spec config.md, manifest.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any, Final

from lifecycle.differences.documents import ABSENT, Path, ValueDifference, differences, order_difference, path_text
from lifecycle.differences.layers import METADATA_LABEL
from lifecycle.differences.texts import shown
from lifecycle.oci.gojson import loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lifecycle.differences.layers import LayerPair

BUILD_LABEL: Final = "io.buildpacks.build.metadata"
_LIFECYCLE_FIELDS: Final = frozenset({"WorkingDir", "Entrypoint", "Cmd"})
_LIFECYCLE_VARIABLES: Final = ("CNB_", "PATH")
_OF_PROJECT: Final = "io.buildpacks.project."
_OURS: Final = "io.buildpacks."
_BYTES: Final = frozenset({"size", "digest"})
"""What a descriptor says of the bytes that it means."""


@unique
class Place(StrEnum):
    """Where a field is."""

    CONFIG = "config"
    LABEL = "label"
    MANIFEST = "manifest"
    COMPRESSION = "compression"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that is not the same in both images; ``ABSENT`` where an image does not have it.

    ``origin`` is who set it, ``""`` if that is not known.  ``follows`` says that it only tells of a layer that differs.
    """

    place: Place
    field: str
    first: Any
    second: Any
    origin: str = ""
    follows: bool = False


def config_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], *, same_bytes: bool, pairs: Sequence[LayerPair]
) -> tuple[FieldDifference, ...]:
    """Compare two configurations but for their lists of layers; something is found unless they have ``same_bytes``."""
    of_layers = _OfLayers(pairs)
    found = tuple(_of_configs(first, second, of_layers))
    if found or same_bytes or any(pair.change for pair in pairs) or _diff_ids(first) != _diff_ids(second):
        return found
    return (FieldDifference(Place.CONFIG, "(written otherwise)", ABSENT, ABSENT),)


def manifest_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], *, same_bytes: bool, pairs: Sequence[LayerPair]
) -> tuple[FieldDifference, ...]:
    """Compare two manifests, leaving out what only tells of other layers or of another configuration."""
    found = tuple(_of_manifests(first, second, pairs))
    same = _digest(first.get("config")) == _digest(second.get("config"))
    if found or same_bytes or not same or any(pair.change for pair in pairs):
        return found
    return (FieldDifference(Place.MANIFEST, "(written otherwise)", ABSENT, ABSENT),)


class _OfLayers:
    """Which values only name layers that differ."""

    def __init__(self, pairs: Sequence[LayerPair]) -> None:
        changed = [pair for pair in pairs if pair.change is not None]
        self._first = {pair.first.diff_id for pair in changed if pair.first} | {"", ABSENT}
        self._second = {pair.second.diff_id for pair in changed if pair.second} | {"", ABSENT}

    def explain(self, difference: ValueDifference) -> bool:
        one, other = difference.first, difference.second
        return all(isinstance(each, str) or each is ABSENT for each in (one, other)) and (
            one in self._first and other in self._second
        )


def _of_configs(first: Mapping[str, Any], second: Mapping[str, Any], of_layers: _OfLayers) -> Iterator[FieldDifference]:
    run = [side.get("config") if isinstance(side.get("config"), dict) else ABSENT for side in (first, second)]
    labels = [_object(side, "Labels") for side in run]
    built = any(METADATA_LABEL in each for each in labels)
    for each in differences(_plain(first), _plain(second)):
        yield _config_field(each, built=built)
    variables = [_variables(side) for side in run]
    if variables[0] is None or variables[1] is None:
        one, other = (_object(side, "config").get("Env", ABSENT) for side in (first, second))
        found = differences(one, other, ("config", "Env"))
    else:
        found = _of_variables(variables[0], variables[1])
    for each in found:
        yield _config_field(each, built=built)
    for name in sorted(labels[0].keys() | labels[1].keys()):
        one, other = labels[0].get(name, ABSENT), labels[1].get(name, ABSENT)
        for each in _of_label(one, other):
            text = shown(name) + (f": {path_text(each.path)}" if each.path else "")
            origin = _label_origin(name, each.path, one if other is ABSENT else other) if built else ""
            yield FieldDifference(Place.LABEL, text, each.first, each.second, origin, of_layers.explain(each))


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without what is compared in ways of its own."""
    plain = dict(document)
    if isinstance(document.get("rootfs"), dict):
        plain["rootfs"] = {key: value for key, value in document["rootfs"].items() if key != "diff_ids"}
    if isinstance(document.get("config"), dict):
        plain["config"] = {key: value for key, value in document["config"].items() if key not in {"Env", "Labels"}}
    return plain


def _object(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _diff_ids(document: Mapping[str, Any]) -> Any:
    return _object(document, "rootfs").get("diff_ids")


def _digest(descriptor: Any) -> Any:
    return descriptor.get("digest") if isinstance(descriptor, dict) else None


def _variables(run: Any) -> dict[str, str] | None:
    """Return the environment by names, ``None`` if it is no list of ``NAME=value`` with names of their own."""
    env = run.get("Env", []) if isinstance(run, dict) else []
    if not isinstance(env, list) or not all(isinstance(each, str) and "=" in each for each in env):
        return None
    found = dict(each.split("=", 1) for each in env)
    return found if len(found) == len(env) else None


def _of_variables(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[ValueDifference]:
    yield from differences(dict(first), dict(second), ("config", "Env"))
    yield from order_difference(list(first), list(second), ("config", "Env"))


def _of_label(first: Any, second: Any) -> Iterator[ValueDifference]:
    if first == second and type(first) is type(second):
        return
    one, other = _json(first), _json(second)
    found = [] if one is None or other is None else list(differences(one, other))
    if found:
        yield from found
    else:
        yield ValueDifference((), first, second)


def _json(text: Any) -> Any:
    """Return the array or object that a label's text holds, ``None`` for other texts."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return loads(text)
    except ValueError:
        return None


def _config_field(difference: ValueDifference, *, built: bool) -> FieldDifference:
    origin = _config_origin(difference.path) if built else ""
    return FieldDifference(
        Place.CONFIG, path_text(difference.path), difference.first, difference.second, origin, follows=False
    )


def _config_origin(path: Path) -> str:
    match path:
        case ("config", "Env", name, *_):
            return "lifecycle" if name.startswith(_LIFECYCLE_VARIABLES) else "run image"
        case ("config", name, *_):
            return "lifecycle" if name in _LIFECYCLE_FIELDS else "run image"
        case (("created" | "history"), *_):
            return "lifecycle"
        case _:
            return "run image"


def _label_origin(name: str, path: Path, text: Any) -> str:
    if name.startswith(_OF_PROJECT):
        return "project"
    if name == METADATA_LABEL:
        return _of_lifecycle_metadata(path, text)
    if name == BUILD_LABEL:
        return _of_build_metadata(path, text)
    return "lifecycle" if name.startswith(_OURS) else "run image or a buildpack"


def _of_lifecycle_metadata(path: Path, text: Any) -> str:
    match path:
        case ("buildpacks", element, "layers", layer, *_):
            return shown(f"{_buildpack(element, text)}, layer {layer}")
        case ("buildpacks", element, *_):
            return shown(_buildpack(element, text))
        case (("runImage" | "stack"), *_):
            return "run image"
        case ("app", *_):
            return "app"
        case _:
            return "lifecycle"


def _of_build_metadata(path: Path, text: Any) -> str:
    match path:
        case ("buildpacks", element, *_):
            return shown(_buildpack(element, text))
        case ("processes", element, *_):
            for each in _elements(text, "processes"):
                if f"[{each.get('type')}]" == element and each.get("buildpackID"):
                    return shown(f"buildpack {each['buildpackID']}")
            return "a buildpack"
        case ("bom", *_):
            return "a buildpack"
        case _:
            return "lifecycle"


def _buildpack(element: str, text: Any) -> str:
    for each in _elements(text, "buildpacks"):
        name = each.get("key") or each.get("id")
        if f"[{name}]" == element and each.get("version"):
            return f"buildpack {name}@{each['version']}"
    return f"buildpack {element.strip('[]')}"


def _elements(text: Any, key: str) -> Iterable[Mapping[str, Any]]:
    found = _object({"": _json(text)}, "").get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _of_manifests(
    first: Mapping[str, Any], second: Mapping[str, Any], pairs: Sequence[LayerPair]
) -> Iterator[FieldDifference]:
    def without_layers(side: Mapping[str, Any]) -> dict[str, Any]:
        return {**side, "config": _kept(side.get("config"), _BYTES), "layers": ABSENT}

    yield from _fields(differences(without_layers(first), without_layers(second)))
    left, right = first.get("layers"), second.get("layers")
    if not isinstance(left, list) or not isinstance(right, list):
        return
    for pair in pairs:
        if pair.first is None or pair.second is None:
            continue
        one, other = left[pair.first.position - 1], right[pair.second.position - 1]
        where = f"layers[{pair.second.position - 1}]"
        left_out: frozenset[str] = frozenset() if pair.change is None else _BYTES
        if pair.change is None and _digest(one) != _digest(other):
            left_out = _BYTES | {"mediaType"}
            yield FieldDifference(Place.COMPRESSION, where, _only(one, left_out), _only(other, left_out))
        yield from _fields(differences(_kept(one, left_out), _kept(other, left_out), (where,)))


def _fields(found: Iterable[ValueDifference]) -> Iterator[FieldDifference]:
    for each in found:
        yield FieldDifference(Place.MANIFEST, path_text(each.path), each.first, each.second)


def _kept(descriptor: Any, left_out: frozenset[str]) -> Any:
    """Return what a descriptor says beyond ``left_out``."""
    return {key: value for key, value in descriptor.items() if key not in left_out}


def _only(descriptor: Any, keys: frozenset[str]) -> Any:
    return {key: value for key, value in descriptor.items() if key in keys}
