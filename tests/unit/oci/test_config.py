"""Image configurations from outside."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError
from lifecycle.oci.config import read_config

DIFF_ID = "sha256:" + "a" * 64

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def _read(**fields):
    rootfs = {"type": "layers", "diff_ids": [DIFF_ID]}
    return read_config(
        json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **fields}).encode(), where="x"
    )


def test_known_fields_survive_a_round_trip():
    config = _read(
        author="me",
        created="2024-01-02T03:04:05Z",
        variant="v8",
        history=[{"created_by": "RUN x", "empty_layer": True, "created": "2024-01-02T03:04:05Z"}],
        config={
            "Env": ["A=b"],
            "Labels": {"k": "v"},
            "User": "1000",
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5},
        },
        **{"os.version": "1", "os.features": ["f"]},
    )
    assert read_config(config.dumps(), where="x") == config
    assert config.labels == {"k": "v"}
    assert config.env == ["A=b"]
    assert config.history[0].empty_layer


def test_unknown_fields_are_dropped():
    data = json.loads(_read(unknown=1, config={"Unknown": 1, "User": "u"}).dumps())
    assert "unknown" not in data
    assert data["config"] == {"User": "u"}


def test_keys_match_without_regard_to_case_but_exact_ones_win():
    config = _read(Author="me", config={"env": ["A=1"], "USER": "loser", "User": "winner"})
    assert config.author == "me"
    assert config.env == ["A=1"]
    assert config.run["User"] == "winner"


def test_empty_values_are_left_out():
    assert json.loads(_read(config={"Env": [], "User": "", "Labels": {}, "Tty": False}).dumps())["config"] == {}


@pytest.mark.parametrize("check", [{}, {"StartInterval": 3}, {"Retries": 0, "Test": []}], ids=str)
def test_a_health_check_without_known_values_stays_an_object(check):
    assert json.loads(_read(config={"Healthcheck": check}).dumps())["config"] == {"Healthcheck": {}}


@pytest.mark.parametrize(
    "fields",
    [
        {"os": 1},
        {"architecture": ["amd64"]},
        {"author": {}},
        {"created": 5},
        {"rootfs": []},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": {"diff_ids": ["sha256:short"]}},
        {"rootfs": {"diff_ids": [1]}},
        {"history": {}},
        {"config": []},
        {"config": {"Labels": ["x"]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Env": "A=b"}},
        {"config": {"Env": [1]}},
        {"config": {"OnBuild": "RUN x"}},
        {"config": {"Shell": [None]}},
        {"config": {"User": 1000}},
        {"config": {"WorkingDir": ["/"]}},
        {"config": {"Healthcheck": "x"}},
        {"os.features": 5},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_a_corrupt_image(fields):
    with pytest.raises(CorruptImageError):
        _read(**fields)


@given(
    st.sampled_from(
        [
            "os",
            "os.features",
            "history",
            "rootfs",
            "config",
            "created",
            "Labels",
            "Env",
            "Healthcheck",
            "User",
        ]
    ),
    JSON,
)
def test_any_value_is_read_and_written_or_refused(key, value):
    try:
        config = _read(config={key: value}) if key[0].isupper() else _read(**{key: value})
    except CorruptImageError:
        return
    assert json.loads(config.dumps())["rootfs"]["diff_ids"] == list(config.diff_ids)
