"""Which values of two JSON documents differ."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.differences.documents import ABSENT, ORDER, differences, path_text, read_document
from lifecycle.errors import CorruptImageError

scalars = st.none() | st.booleans() | st.integers(-5, 5).map(float) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "id", "key"]), inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"id": st.sampled_from("xyz"), "v": inner}), max_size=3)
    ),
    max_leaves=12,
)


def exact(value):
    return json.dumps(value, sort_keys=True)


def found(first, second):
    return [(path_text(each.path), each.first, each.second) for each in differences(first, second)]


@given(values)
def test_a_value_does_not_differ_from_itself(value):
    assert found(value, json.loads(json.dumps(value))) == []


@given(values, values)
def test_values_that_differ_are_told_and_others_not(one, other):
    assert bool(found(one, other)) == (exact(one) != exact(other))


@given(values, values)
def test_the_other_way_round_the_same_places_differ(one, other):
    back = {(exact_or_absent(b), path, exact_or_absent(a)) for path, a, b in found(other, one)}
    assert {(exact_or_absent(a), path, exact_or_absent(b)) for path, a, b in found(one, other)} == back


def exact_or_absent(value):
    return "" if value is ABSENT else exact(value)


def test_the_innermost_value_is_told():
    assert found({"a": {"b": 1.0, "c": 2.0}}, {"a": {"b": 1.0, "c": 3.0}}) == [("a.c", 2.0, 3.0)]


def test_lists_in_lists_are_compared_in_time_that_their_depth_does_not_multiply():
    one, other = 1.0, 2.0
    for _ in range(100):
        one, other = [one, 0.0], [other, 0.0]
    assert found(one, other) == [("[0]" * 100, 1.0, 2.0)]


def test_null_is_not_the_same_as_nothing_and_a_number_no_boolean():
    assert found({"a": None}, {}) == [("a", None, ABSENT)]
    assert found({"a": True}, {"a": 1.0}) == [("a", True, 1.0)]


def test_named_elements_are_compared_by_name_and_their_order_is_told_too():
    one = [{"id": "x", "v": 1.0}, {"id": "y", "v": 1.0}]
    other = [{"id": "y", "v": 1.0}, {"id": "x", "v": 2.0}]
    assert found(one, other) == [("[x].v", 1.0, 2.0), (ORDER, ["x", "y"], ["y", "x"])]


def test_an_element_put_in_between_does_not_change_those_after_it():
    assert found([1.0, 2.0, 3.0], [1.0, 9.0, 2.0, 3.0]) == [("[1]", ABSENT, 9.0)]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"1", b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(CorruptImageError, match="somewhere: is not"):
        read_document(data, where="somewhere")
