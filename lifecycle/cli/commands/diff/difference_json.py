"""The answers of ``lifecycle diff`` and ``lifecycle verify`` as values for JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lifecycle.differences.documents import ABSENT
from lifecycle.differences.image import first_field, first_member
from lifecycle.oci.gojson import dumps

if TYPE_CHECKING:
    from lifecycle.differences.fields import FieldDifference
    from lifecycle.differences.image import ImageDifference, LayerDifference, Side
    from lifecycle.differences.layers import Origin
    from lifecycle.differences.members import MemberDifference


def first_value(difference: ImageDifference) -> dict[str, Any] | None:
    """Return the first difference of two builds as a value for JSON, ``None`` if there is none."""
    layer, member = first_member(difference)
    if layer is not None:
        return {
            "layer": _origin_value(layer.pair.origin),
            "member": None if member is None else _member_value(member),
        }
    field = first_field(difference)
    return None if field is None else {"field": _field_value(field)}


def value_of(difference: ImageDifference) -> dict[str, Any]:
    """Return all that differs as a value for JSON."""
    return {
        "identical": difference.identical,
        "same-id": difference.same_id,
        "first": _side_value(difference.first),
        "second": _side_value(difference.second),
        "identical-layers": difference.identical_layers,
        "layers": [_layer_value(each) for each in difference.layers],
        "layer-order": None
        if difference.order is None
        else [[each.position for each in order] for order in difference.order],
        "fields": [_field_value(each) for each in difference.fields],
    }


def _side_value(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "image-id": side.image_id,
        "digest": side.digest,
        "platform": side.platform,
        "layers": side.layers,
    }


def _layer_value(layer: LayerDifference) -> dict[str, Any]:
    comparison = layer.comparison
    return {
        "change": layer.pair.change,
        "first": _origin_value(layer.pair.first),
        "second": _origin_value(layer.pair.second),
        "not-compared": layer.unread or None,
        "members": [_member_value(each) for each in comparison.members],
        "order": None if comparison.order is None else list(comparison.order),
    }


def _origin_value(origin: Origin | None) -> dict[str, Any] | None:
    if origin is None:
        return None
    return {
        "position": origin.position,
        "diff-id": origin.diff_id,
        "owner": origin.owner,
        "name": origin.name,
        "buildpack": origin.buildpack_id,
        "version": origin.version,
        "created-by": origin.created_by,
    }


def _member_value(member: MemberDifference) -> dict[str, Any]:
    value: dict[str, Any] = {"path": member.path, "change": member.change, "kind": member.kind}
    for word, facts in (("first", member.first), ("second", member.second)):
        if facts is not None:
            value[f"{word}-size"] = facts.size
    value["attributes"] = [
        {"name": each.name, "first": each.first, "second": each.second} for each in member.attributes
    ]
    if member.content is not None:
        content = member.content
        value["content"] = {"offset": content.offset, "lines": list(content.lines), "cut": content.cut}
    value["causes"] = list(member.causes)
    return value


def _field_value(field: FieldDifference) -> dict[str, Any]:
    value: dict[str, Any] = {"place": field.place, "field": field.field}
    for word, side in (("first", field.first), ("second", field.second)):
        if side is not ABSENT:
            value[word] = json.loads(dumps(side))
    return {**value, "origin": field.origin, "follows-from-layers": field.follows}
