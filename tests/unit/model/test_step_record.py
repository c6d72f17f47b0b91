"""Records of steps: canonical bytes that hold a TOML table as it was, and refuse what is not right."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CacheError
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.canonical import canonical, tagged, untagged
from lifecycle.model.group import GroupElement
from lifecycle.model.layer import LayerTypes
from lifecycle.model.observed_step import ObservedStep
from lifecycle.model.observed_step import dumps as observed_bytes
from lifecycle.model.observed_step import loads as read_observed
from lifecycle.model.step_record import FIELDS, LayerRecord, StepRecord, loads, step_key
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_LAYER_GZIP, Descriptor

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
plain = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.datetimes()
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times()
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.just("$toml")
tables = st.dictionaries(
    keys, st.recursive(plain, lambda each: st.lists(each, max_size=3) | st.dictionaries(keys, each, max_size=3)), max_size=4
)  # fmt: skip


def _typed(value):
    match value:
        case dict():
            return {key: _typed(each) for key, each in value.items()}
        case list():
            return [_typed(each) for each in value]
        case float():
            return float, repr(value)
        case datetime():
            return datetime, value.isoformat()
        case _:
            return type(value), value


@given(tables)
def test_a_table_comes_back_with_its_types(table):
    assert _typed(untagged(json.loads(canonical(tagged(table))))) == _typed(table)


@given(tables)
def test_the_order_of_keys_makes_no_difference(table):
    assert canonical(tagged(dict(reversed(table.items())))) == canonical(tagged(table))


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, -0.0, 1e300, date(1979, 5, 27), time(7, 32, 0, 999999), datetime(1979, 5, 27, tzinfo=UTC)],
)
def test_what_json_lacks_is_tagged(value):
    (name,) = tagged(value)
    assert name == "$toml"
    assert _typed(untagged(tagged(value))) == _typed(value)


@pytest.mark.parametrize("sign", [1, -1])
def test_not_a_number_keeps_its_sign(sign):
    found = untagged(tagged(math.copysign(math.nan, sign)))
    assert math.isnan(found)
    assert math.copysign(1, found) == sign


def test_one_and_one_point_zero_are_two_values():
    assert canonical(tagged({"n": 1})) != canonical(tagged({"n": 1.0})) != canonical(tagged({"n": True}))


@pytest.mark.parametrize(
    "value",
    [None, 1.5, {"$toml": ["float", 1]}, {"$toml": ["date", "x"]}, {"$toml": []}, {"$toml": ["float", "1"], "a": 1}],
    ids=repr,
)
def test_what_tagging_never_makes_is_refused(value):
    with pytest.raises(ValueError, match=r".+"):
        untagged(value)


def _record(**changes):
    inputs = {field: digest_of(field.encode()) for field in FIELDS}
    values = {
        "buildpack": GroupElement(id="a/b", version="1", api="0.10"),
        "layers": (
            LayerRecord(
                "deps",
                LayerTypes(build=True, launch=True),
                {"ratio": 1.5, "at": datetime(1979, 5, 27, tzinfo=UTC)},
                digest_of(b"tar"),
                3,
                Descriptor(OCI_LAYER_GZIP, 7, digest_of(b"blob")),
                {"cdx.json": digest_of(b"sbom")},
            ),
            LayerRecord("bare", LayerTypes(cache=True)),
        ),
        "key": step_key(inputs),
        "inputs": inputs,
        "outputs": {"store.toml": {"metadata": {"n": 1}}, "launch.toml": {"processes": [{"type": "web"}]}},
        "app_after": digest_of(b"app"),
        "environment_after": digest_of(b"env"),
        "facts": StepFacts(os="linux", arch="amd64"),
    }
    return StepRecord(**values | changes)


def test_a_record_comes_back_from_its_bytes():
    record = _record()
    found = loads(record.dumps(), where="here")
    assert found.dumps() == record.dumps()
    assert {layer.name: layer for layer in found.layers} == {layer.name: layer for layer in record.layers}
    assert found.store == {"metadata": {"n": 1}}
    assert found.facts == record.facts


def test_equal_outputs_give_equal_digests_whatever_order_they_were_found_in():
    record = _record()
    assert _record(layers=tuple(reversed(record.layers))).digest == record.digest
    assert _record(outputs=dict(reversed(record.outputs.items()))).digest == record.digest


@pytest.mark.parametrize(
    "change",
    [
        {"layers": ()},
        {"outputs": {}},
        {"app_after": digest_of(b"other")},
        {"environment_after": None},
        {"facts": StepFacts(os="linux", arch="arm64")},
        {"buildpack": GroupElement(id="a/b", version="2", api="0.10")},
    ],
    ids=lambda each: next(iter(each)),
)
def test_every_part_of_a_record_is_in_its_digest(change):
    assert _record(**change).digest != _record().digest


def test_members_that_are_not_known_are_ignored():
    value = {**_record().value(), "later": {"x": 1}}
    value["layers"][0]["later"] = True
    assert loads(json.dumps(value).encode(), where="here").digest == _record().digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2}, "is not of version 1"),
        ({"layers": None}, "has no layers"),
        ({"key": "sha256:" + "0" * 64}, "is not that of its inputs"),
        ({"inputs": {}}, "the fields of a step are"),
        ({"buildpack": {"id": "../b"}}, "an id holds letters"),
        ({"layers": [{"name": "../x", "types": {}}]}, "can't be the name of a layer"),
        ({"layers": [{"name": "x", "types": {"cache": "yes"}}]}, "cache"),
        ({"layers": [{"name": "x", "types": {}, "blob": "x", "size": 1}]}, "is no digest"),
        ({"layers": [{"name": "x", "types": {}, "diffID": "sha256:0"}]}, "is no digest"),
        ({"layers": [{"name": "x", "types": {}, "uncompressedSize": -1}]}, "is no number of bytes"),
        ({"layers": [{"name": "x", "types": {}, "metadata": 1.5}]}, "is not a TOML value"),
        ({"layers": [{"name": "x", "types": {}, "sbom": {"../../json": "x"}}]}, "is no ending of an SBOM file"),
        ({"layers": [1]}, "a layer is no object"),
        ({"outputs": {"launch.toml": {"processes": {}}}}, "processes"),
        ({"outputs": {"build.toml": {"unmet": [{"name": 1}]}}}, "unmet.0.name"),
        ({"outputs": {"store.toml": {"metadata": "x"}}}, "metadata"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_record_that_is_not_right_is_refused_with_a_reason(change, words):
    data = json.dumps({**_record().value(), **change}).encode()
    with pytest.raises(CacheError, match="holds a record that can't be understood") as refused:
        loads(data, where="cache")
    assert words in str(refused.value)
    assert str(refused.value).startswith("cache: ")


@pytest.mark.parametrize("data", [b"", b"[", b"[" * 100_000, b"\xff"], ids=len)
def test_what_is_not_json_is_no_record(data):
    with pytest.raises(CacheError, match="is not JSON"):
        loads(data, where="here")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))  # fmt: skip
def test_no_json_value_does_worse_than_to_be_refused(value):
    with pytest.raises(CacheError):
        loads(json.dumps(value).encode(), where="here")


def test_what_a_build_saw_comes_back_from_its_file():
    step = ObservedStep(
        buildpack_id="a/b",
        version="1",
        fields={"app": digest_of(b"app")},
        environment=digest_of(b"env"),
        environment_after=digest_of(b"env after"),
        app_after=digest_of(b"app after"),
        facts=StepFacts(os="linux"),
    )
    assert read_observed(observed_bytes((step, step)), where="here") == (step, step)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":1}', b'{"v":1,"steps":[{}]}', b'{"v":1,"steps":3}', b"[]"])
def test_a_file_of_steps_that_is_not_right_is_refused(data):
    with pytest.raises(CacheError, match="can't be understood"):
        read_observed(data, where="here")
