from __future__ import annotations

import json
import math
import os
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import LifecycleError
from lifecycle.oci.gojson import MAX_DEPTH, JsonText, Struct, dumps, loads, local_text, quoted, rfc3339

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("gojson_vectors.json").read_text("utf-8"))
"""JSON texts, what Go makes of them when it decodes and encodes them again, ``None`` where it fails."""

BERLIN = timezone(timedelta(hours=1))

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=15,
)


@pytest.mark.parametrize(
    "vector", [each for each in VECTORS if each["json"] is not None], ids=lambda each: each["input"][:30]
)
def test_text_that_is_read_and_written_is_what_go_makes_of_it(vector: dict[str, str]) -> None:
    assert dumps(loads(vector["input"])) == vector["json"]


@pytest.mark.parametrize(
    "vector", [each for each in VECTORS if each["json"] is None], ids=lambda each: each["input"][:30]
)
def test_text_that_go_refuses_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        loads(vector["input"])


@given(values)
def test_what_is_written_is_read_back_as_the_same_value(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(values)
def test_other_readers_of_json_read_the_same_value(value: Any) -> None:
    assert json.loads(dumps(value), parse_int=float) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_each_bit(number: float) -> None:
    assert struct.pack("d", float(dumps(number))) == struct.pack("d", number)


@given(texts)
def test_a_string_holds_nothing_that_ends_a_script_or_a_line(text: str) -> None:
    assert not set(dumps(text)) & set("<>&\u2028\u2029\n\r\0")


def test_a_struct_keeps_the_order_of_its_fields() -> None:
    assert dumps(Struct(b=1, a=Struct(d=2, c=3))) == '{"b":1,"a":{"d":2,"c":3}}'


def test_a_map_is_sorted_at_each_level_even_inside_a_struct() -> None:
    assert dumps(Struct(z={"b": {"d": 1, "c": 2}, "a": 3})) == '{"z":{"a":3,"b":{"c":2,"d":1}}}'


def test_keys_of_maps_are_sorted_as_bytes() -> None:
    undecodable = os.fsdecode(b"\xff")
    assert dumps(dict.fromkeys([undecodable, "\U0001f600", "\uffff", "é", "z", "A", ""], 0)) == (
        '{"":0,"A":0,"z":0,"é":0,"\uffff":0,"\U0001f600":0,"\\ufffd":0}'
    )


def test_each_undecodable_byte_of_a_file_name_is_replaced() -> None:
    assert dumps(os.fsdecode(b"a\xe2\x82b\xed\xa0\x80")) == r'"a\ufffd\ufffdb\ufffd\ufffd\ufffd"'


def test_integers_are_written_whole() -> None:
    assert (
        dumps([2**63 - 1, -(2**63), 0, True, False, None])
        == "[9223372036854775807,-9223372036854775808,0,true,false,null]"
    )


def test_floats_change_to_exponents_where_go_does() -> None:
    numbers = [1.0, -0.0, 1e20, 1e21, 123456789.125, 0.000001, 0.0000001, 1.5e-9, 1e-10, 1e100]
    assert dumps(numbers) == "[1,-0,100000000000000000000,1e+21,123456789.125,0.000001,1e-7,1.5e-9,1e-10,1e+100]"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_place(number: float) -> None:
    with pytest.raises(LifecycleError, match=r"^layers\.x\[1\] is -?(nan|inf), which JSON can't hold$"):
        dumps({"layers": {"x": [1, number]}})


def test_empty_tuples_lists_and_objects_are_not_null() -> None:
    assert dumps([(), [], {}, Struct(), MappingProxyType({})]) == "[[],[],{},{},{}]"


def test_texts_of_other_classes_are_strings() -> None:
    class Kind(StrEnum):
        BUILD = "build"

    assert dumps([Kind.BUILD, JsonText("a")]) == '["build","a"]'


def test_a_value_of_no_json_type_is_a_bug() -> None:
    with pytest.raises(TypeError, match="bytes has no JSON form"):
        dumps({"a": b"x"})


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(1979, 5, 27, 7, 32, tzinfo=UTC), "1979-05-27T07:32:00Z"),
        (datetime(1979, 5, 27, 7, 32, 0, 500000, tzinfo=UTC), "1979-05-27T07:32:00.5Z"),
        (
            datetime(1979, 5, 27, 7, 32, 0, 120, tzinfo=timezone(timedelta(hours=-7))),
            "1979-05-27T07:32:00.00012-07:00",
        ),
        (datetime(1, 1, 1, tzinfo=timezone(-timedelta(minutes=30))), "0001-01-01T00:00:00-00:30"),
        (datetime(2024, 7, 1, 10), "2024-07-01T10:00:00+01:00"),  # noqa: DTZ001  # local
        (date(2024, 1, 15), "2024-01-15T00:00:00+01:00"),
        (time(7, 32, 0, 120000), "0000-01-01T07:32:00.12+01:00"),
    ],
)
def test_moments_are_written_with_an_offset(moment: datetime | date | time, text: str) -> None:
    assert dumps([moment], local=BERLIN) == f'["{text}"]'


def test_local_moments_have_the_offset_of_the_machine() -> None:
    local = datetime.now().astimezone()
    text: str = json.loads(dumps(datetime(2024, 7, 1, 10)))  # noqa: DTZ001  # local
    assert datetime.fromisoformat(text).utcoffset() == local.utcoffset()


def test_texts_of_moments() -> None:
    assert rfc3339(datetime(2024, 1, 1, tzinfo=UTC)) == "2024-01-01T00:00:00Z"
    assert local_text(time(10, 20, 30, 450000)) == "10:20:30.45"
    assert local_text(datetime(2024, 1, 1, 10, 20, 30)) == "2024-01-01T10:20:30"  # noqa: DTZ001  # local


def test_a_quoted_text_is_one_json_string() -> None:
    assert quoted('<a b="c">') == r'"\u003ca b=\"c\"\u003e"'


def test_all_numbers_are_read_as_floats() -> None:
    assert list(map(type, loads("[1,1.0,1e3,-0]"))) == [float] * 4


def test_integers_beyond_the_precision_of_floats_lose_it() -> None:
    assert dumps(loads("[9007199254740993]")) == "[9007199254740992]"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_limited(opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")

    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    value = loads(nested(MAX_DEPTH))
    assert dumps(value) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="nest more than 200 deep"):
        loads(nested(MAX_DEPTH + 1))
    with pytest.raises(ValueError, match="nest more than 200 deep"):
        loads(opening * 1_000_000)


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    text = '["' + '[{\\"' * 1000 + '"]'
    assert loads(text) == ['[{"' * 1000]


def test_many_values_beside_each_other_do_not_count_as_nesting() -> None:
    assert len(loads("[" + ",".join(["[{}]"] * 1000) + "]")) == 1000
