"""What a person sees of ``lifecycle diff``: what differs in a few lines, then each layer and field."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cli.logs.size_text import size_text
from lifecycle.differences.documents import ABSENT
from lifecycle.differences.fields import Place
from lifecycle.differences.image import by_weight, first_field, first_member
from lifecycle.differences.members import Change
from lifecycle.differences.texts import shown
from lifecycle.oci.gojson import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.differences.fields import FieldDifference
    from lifecycle.differences.image import ImageDifference, LayerDifference
    from lifecycle.differences.layers import Origin
    from lifecycle.differences.members import MemberDifference

_ROWS: Final = 10
"""Members of a layer, and fields of a place, that are shown unless all are wanted."""

_ID: Final = len("sha256:") + 12
_WIDEST: Final = 100
_SIGNS: Final[Mapping[Change | None, str]] = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}
_ONLY: Final = {Change.ADDED: "only in the second", Change.REMOVED: "only in the first"}
_INDEX: Final = re.compile(r"\[\d+\]")


def lines_of(difference: ImageDifference, *, everything: bool = False) -> Iterator[str]:
    """Yield the lines for people, the summary first; ``everything`` leaves out no member and no field."""
    yield _verdict(difference)
    yield from _sides(difference)
    if difference.layers or difference.order:
        yield ""
        yield from _layer_summary(difference)
    for layer in difference.layers:
        yield ""
        yield from layer_lines(layer, everything=everything)
    for title, places in (
        ("configuration", (Place.CONFIG, Place.LABEL)),
        ("manifest", (Place.MANIFEST, Place.COMPRESSION)),
    ):
        fields = difference.of(*places)
        if fields:
            yield ""
            yield f"{title}"
            yield from _field_lines(fields, everything=everything)


def _verdict(difference: ImageDifference) -> str:
    if difference.identical:
        return "identical"
    parts = []
    if difference.layers:
        parts.append(_count(len(difference.layers), "layer"))
    if difference.order:
        parts.append("the order of layers")
    own = [each for each in difference.of(Place.CONFIG, Place.LABEL) if not each.follows]
    if own:
        parts.append(f"{_count(len(own), 'field')} of the configuration")
    elif not difference.same_id and not parts:
        parts.append("the configuration")
    compressed = difference.of(Place.COMPRESSION)
    if compressed:
        parts.append(f"the compression of {_count(len(compressed), 'layer')}")
    if difference.of(Place.MANIFEST):
        parts.append("the manifest")
    found = ", ".join(parts) or "the manifest"
    return f"same image id, stored differently: {found}" if difference.same_id else f"different: {found}"


def _sides(difference: ImageDifference) -> Iterator[str]:
    for word, side in (("first ", difference.first), ("second", difference.second)):
        yield f"  {word}  {side.image_id[:_ID]}  {side.platform}  {shown(side.name)}"


def _layer_summary(difference: ImageDifference) -> Iterator[str]:
    for layer in difference.layers:
        pair = layer.pair
        what = _ONLY.get(pair.change) if pair.change is not None else None
        yield f"  {_sign(layer)} {_number(layer)}: {pair.origin}: {what + ', ' if what else ''}{_counts(layer)}"
    if difference.identical_layers:
        yield f"  = {_count(difference.identical_layers, 'layer')} identical"
    if difference.order:
        for word, order in zip(("first ", "second"), difference.order, strict=True):
            yield f"  order in the {word}  {', '.join(_short(each) for each in order)}"


def _short(origin: Origin) -> str:
    return f"{origin.position} {origin}"


def _sign(layer: LayerDifference) -> str:
    return _SIGNS[layer.pair.change]


def _number(layer: LayerDifference) -> str:
    one, other = layer.pair.first, layer.pair.second
    positions = dict.fromkeys(each.position for each in (one, other) if each is not None)
    return f"layer {'→'.join(map(str, positions))}"


def _counts(layer: LayerDifference) -> str:
    if layer.unread:
        return layer.unread
    members = layer.comparison.members
    if layer.pair.change is not Change.CHANGED:
        size = sum(facts.size for each in members if (facts := each.second or each.first) is not None)
        return f"{_count(len(members), 'entry', 'entries')}, {size_text(size)}"
    counts = Counter(_kind_of_change(each) for each in members)
    words = [f"{counts[word]} {word}" for word in ("added", "removed", "with other content", "with other attributes")
             if counts[word]]  # fmt: skip
    if layer.comparison.order:
        words.append("another order")
    return ", ".join(words) or "the same entries, written otherwise as a tar"


def _kind_of_change(member: MemberDifference) -> str:
    if member.change is not Change.CHANGED:
        return member.change
    return "with other content" if member.content_differs else "with other attributes"


def layer_lines(layer: LayerDifference, *, everything: bool = False) -> Iterator[str]:
    """Yield a heading and the members of a layer that differ."""
    yield f"{_number(layer)}: {layer.pair.origin}"
    for word, side in (("first ", layer.pair.first), ("second", layer.pair.second)):
        if side is not None:
            version = f"  {side.who}" if _versions_differ(layer) else ""
            yield f"  {word}  {side.diff_id[:_ID]}{version}"
    if layer.unread:
        yield f"  not compared: {layer.unread}"
    members = layer.comparison.members
    limit = len(members) if everything else _ROWS
    for member in by_weight(members)[:limit]:
        yield from member_lines(member)
    if len(members) > limit:
        yield f"  … and {len(members) - limit} more: --all shows them"
    if layer.comparison.order:
        one, other = layer.comparison.order
        yield f"  order: {one} in the first stands where {other} stands in the second"
    if not layer.comparison and not layer.unread:
        yield "  the same entries, written otherwise as a tar"


def _versions_differ(layer: LayerDifference) -> bool:
    one, other = layer.pair.first, layer.pair.second
    return one is not None and other is not None and one.who != other.who


def member_lines(member: MemberDifference) -> Iterator[str]:
    """Yield what differs in one member."""
    facts = member.second or member.first
    size = f", {size_text(facts.size)}" if facts is not None and facts.content else ""
    if member.change is not Change.CHANGED:
        target = f" → {shown(facts.linkname)}" if facts is not None and facts.linkname else ""
        yield f"  {_SIGNS[member.change]} {member.path}{target}  ({member.kind}{size})"
    else:
        yield f"  ~ {member.path}  {_attributes(member)}"
    if member.content is not None:
        if not member.content.lines and member.content.offset is not None:
            yield f"      from byte {member.content.offset} on"
        yield from (f"      {line}" for line in member.content.lines)
        if member.content.cut:
            yield "      …"
    yield from (f"      likely: {cause}" for cause in member.causes)


def _attributes(member: MemberDifference) -> str:
    parts = []
    names = {each.name for each in member.attributes}
    for each in member.attributes:
        if each.name == "content" and member.first is not None and member.second is not None:
            one, other = member.first.size, member.second.size
            parts.append(f"content, {size_text(one)}" + (f" → {size_text(other)}" if one != other else ""))
        elif each.name != "size" or "content" not in names:
            parts.append(f"{each.name} {_side(each.first)} → {_side(each.second)}")
    return "; ".join(parts)


def _side(value: str | int | None) -> str:
    if value is None:
        return "(none)"
    return _cut(str(value)) if value != "" else "(empty)"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _field_lines(fields: Sequence[FieldDifference], *, everything: bool) -> Iterator[str]:
    follows = sum(each.follows for each in fields)
    kept = [each for each in fields if everything or not each.follows]
    groups: dict[tuple[str, str, str, str], list[FieldDifference]] = {}
    for each in kept:
        key = (_INDEX.sub("[*]", each.field), value_text(each.first), value_text(each.second), each.origin)
        groups.setdefault(key, []).append(each)
    limit = len(groups) if everything else _ROWS * 2
    for (pattern, first, second, origin), members in list(groups.items())[:limit]:
        name = members[0].field if len(members) == 1 else f"{pattern} ({len(members)} times)"
        if members[0].place is Place.COMPRESSION:
            yield f"  ~ {name}: {_stored(members[0].first)} → {_stored(members[0].second)}"
            continue
        label = "label " if members[0].place is Place.LABEL else ""
        yield f"  ~ {label}{name}" + (f"  (set by {origin})" if origin else "")
        if members[0].first is not ABSENT or members[0].second is not ABSENT:
            yield f"      first   {_cut(first)}"
            yield f"      second  {_cut(second)}"
    if len(groups) > limit:
        yield f"  … and {len(groups) - limit} more: --all shows them"
    if follows and not everything:
        yield f"  {_count(follows, 'label field')} more, which only name layers that differ"


def _stored(descriptor: Mapping[str, Any]) -> str:
    """Return how a layer is stored: the end of its media type, its size and the beginning of its digest."""
    kind = str(descriptor.get("mediaType", "")).rpartition(".")[2]
    return shown(f"{kind} {size_text(int(descriptor.get('size', 0)))} {str(descriptor.get('digest', ''))[:_ID]}")


def value_text(value: Any) -> str:
    """Return a value of a field as JSON that can be printed, ``(missing)`` where there is none."""
    return "(missing)" if value is ABSENT else shown(dumps(value))


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word}" if number == 1 else f"{number} {plural or word + 's'}"


def first_lines(difference: ImageDifference) -> Iterator[str]:
    """Yield what is to be said of the first difference of two builds: who made it, what it is, and why it may be."""
    layer, member = first_member(difference)
    if layer is not None:
        origin = layer.pair.origin
        yield f"first difference: {member.path if member else 'the order or form of entries'}"
        yield f"  made by {origin}"
        if member is not None:
            yield from member_lines(member)
        return
    field = first_field(difference)
    if field is not None:
        yield f"first difference: {'label ' if field.place is Place.LABEL else ''}{field.field}"
        if field.origin:
            yield f"  made by {field.origin}"
        yield f"      first   {_cut(value_text(field.first))}"
        yield f"      second  {_cut(value_text(field.second))}"
