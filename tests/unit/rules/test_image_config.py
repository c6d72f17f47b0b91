"""The configuration of app images."""

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.rules import image_config as rules

APIS = [PlatformApi(version) for version in PLATFORM_APIS]
CREATED = "1980-01-01T00:00:01Z"
LAYERS_DIR, APP_DIR = PurePosixPath("/layers"), PurePosixPath("/workspace")
OURS = ("CNB_LAYERS_DIR", "CNB_APP_DIR", "CNB_PLATFORM_API", "CNB_DEPRECATION_MODE", "PATH")

every_api = pytest.mark.parametrize("api", APIS, ids=str)
names = st.text(st.characters(codec="ascii", exclude_characters="=\0"), min_size=1, max_size=8)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
entries = st.lists(
    st.builds("{}={}".format, st.one_of(names, st.sampled_from([*OURS, "HOME"])), values)
    | st.sampled_from(["PATH", "PATH=", "=x", ""]),
    max_size=8,
)


def diff_id(number: int) -> DiffId:
    return DiffId(digest_of(bytes([number])))


def base(*layers: int, **fields) -> ImageConfig:
    return ImageConfig(architecture="amd64", os="linux", diff_ids=tuple(diff_id(number) for number in layers), **fields)


def app(of: ImageConfig, api: PlatformApi = APIS[-1], **changes) -> ImageConfig:
    arguments = {
        "layers": [(diff_id(9), HistoryEntry(created_by="us"))],
        "labels": {},
        "layers_dir": LAYERS_DIR,
        "app_dir": APP_DIR,
        "process_type": "",
        "created": CREATED,
        **changes,
    }
    return rules.app_config(of, api=api, **arguments)


@every_api
@pytest.mark.requirement("PLAT-EXP-053")
def test_the_environment_gets_the_directories_and_the_process_types(api):
    env = ["PATH=/usr/bin:/bin", "LANG=C"]
    assert rules.app_environment(env, api=api, layers_dir=LAYERS_DIR, app_dir=APP_DIR) == (
        "PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin",
        "LANG=C",
        "CNB_LAYERS_DIR=/layers",
        "CNB_APP_DIR=/workspace",
        f"CNB_PLATFORM_API={api}",
        "CNB_DEPRECATION_MODE=quiet",
    )


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ([], ""),
        (["PATH"], ""),
        (["PATH="], ""),
        (["PATH=/a"], "/a"),
        (["PATH=/a=b"], ""),
        (["PATH=/a=b", "PATH=/c"], "/c"),
        (["PATHS=/a"], ""),
    ],
)
def test_a_path_counts_only_when_its_entry_has_one_equals_sign(env, path):
    assert rules.variable(env, "PATH") == path


def test_an_empty_path_leaves_a_trailing_colon():
    env = rules.app_environment([], api=APIS[0], layers_dir=LAYERS_DIR, app_dir=APP_DIR)
    assert env[-1] == "PATH=/cnb/process:/cnb/lifecycle:"


@given(entries)
def test_foreign_variables_keep_value_and_place(env):
    result = rules.app_environment(env, api=APIS[-1], layers_dir=LAYERS_DIR, app_dir=APP_DIR)
    assert [entry.partition("=")[0] for entry in result[: len(env)]] == [e.partition("=")[0] for e in env]
    assert [entry for entry in result if entry.partition("=")[0] not in OURS] == [
        entry for entry in env if entry.partition("=")[0] not in OURS
    ]


@given(entries)
def test_each_of_our_variables_is_set_where_it_first_stands(env):
    result = rules.app_environment(env, api=APIS[-1], layers_dir=LAYERS_DIR, app_dir=APP_DIR)
    found = {}
    for entry in result:
        key, _, value = entry.partition("=")
        found.setdefault(key, value)
    assert found["CNB_LAYERS_DIR"] == "/layers"
    assert found["CNB_APP_DIR"] == "/workspace"
    assert found["PATH"] == f"/cnb/process:/cnb/lifecycle:{rules.variable(env, 'PATH')}"
    assert len(result) == len(env) + len(set(OURS) - {entry.partition("=")[0] for entry in env})


@every_api
@pytest.mark.requirement("PLAT-EXP-037", "PLAT-EXP-055")
def test_values_of_the_run_image_stay_unless_the_export_sets_them(api):
    run = {
        "User": "1000:1000",
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGINT",
        "Labels": {"io.buildpacks.stack.id": "s", "own": "base"},
        "Cmd": ["bash"],
        "Entrypoint": ["sh"],
        "WorkingDir": "/home",
        "Env": ["PATH=/bin"],
    }
    of = base(1, run=run, author="me", variant="v8", os_version="1", os_features=("f",), container="c1")
    config = app(of, api, labels={"own": "app"})
    assert config.run["User"] == "1000:1000"
    assert config.run["ExposedPorts"] == {"80/tcp": {}}
    assert config.run["StopSignal"] == "SIGINT"
    assert config.labels == {"io.buildpacks.stack.id": "s", "own": "app"}
    assert (config.author, config.variant, config.os_version, config.os_features) == ("me", "v8", "1", ("f",))
    assert config.run["WorkingDir"] == "/workspace"
    assert "Cmd" not in config.run
    assert config.container == ""
    assert of.run["Cmd"] == ["bash"]


def test_an_extended_run_image_replaces_the_whole_object_config():
    of = base(1, run={"User": "0", "Labels": {"a": "1"}, "Env": ["PATH=/bin"]}, variant="v8")
    extended = {"User": "1000", "Labels": {"io.buildpacks.rebasable": "true"}, "Env": ["PATH=/opt"]}
    config = app(of, extended_run=extended)
    assert config.run["User"] == "1000"
    assert config.labels == {"io.buildpacks.rebasable": "true"}
    assert config.env[0] == "PATH=/cnb/process:/cnb/lifecycle:/opt"
    assert config.variant == "v8"


@pytest.mark.parametrize(("process_type", "expected"), [("web", "/cnb/process/web"), ("", "/cnb/lifecycle/launcher")])
@pytest.mark.requirement("PLAT-EXP-051", "PLAT-EXP-052")
def test_the_entrypoint_is_the_default_process_or_the_launcher(process_type, expected):
    assert app(base(1), process_type=process_type).run["Entrypoint"] == (expected,)


@every_api
def test_history_tells_who_made_a_layer_from_platform_api_0_12(api):
    of = base(1, 2, history=(HistoryEntry("2020-01-01T00:00:00Z", "a", "x", "c"), HistoryEntry(created_by="b")))
    history = app(of, api).history
    if api in APIS[5:]:
        assert history == (
            HistoryEntry(CREATED, "a", "x", "c"),
            HistoryEntry(CREATED, "b"),
            HistoryEntry(CREATED, "us"),
        )
    else:
        assert history == (HistoryEntry(CREATED),) * 3


histories = st.lists(
    st.builds(HistoryEntry, created_by=st.sampled_from(["", "a", "b"]), empty_layer=st.booleans()), max_size=6
)


@given(histories, st.integers(0, 5), st.sampled_from(APIS))
def test_every_layer_has_one_entry_of_history_at_one_time(history, layers, api):
    config = app(base(*range(layers), history=tuple(history)), api)
    assert len(config.history) == len(config.diff_ids) == layers + 1
    assert all(entry.created == CREATED and not entry.empty_layer for entry in config.history)
    with_layer = [entry for entry in history if not entry.empty_layer]
    if len(with_layer) != layers or api not in APIS[5:]:
        assert not any(entry.created_by for entry in config.history[:-1])
    else:
        assert [entry.created_by for entry in config.history[:-1]] == [e.created_by for e in with_layer]


@every_api
@pytest.mark.requirement("PLAT-EXP-062", "PLAT-EXP-063", "PLAT-REPRO-004")
def test_source_date_epoch_is_the_time_from_platform_api_0_9(api):
    constant = datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert rules.creation_time(api, None) == constant
    assert rules.creation_time(api, "") == constant
    expected = datetime(2020, 1, 1, tzinfo=UTC) if api in APIS[2:] else constant
    assert rules.creation_time(api, "1577836800") == expected


@pytest.mark.parametrize("text", ["x", "1.5", " 1", "1_0", "9" * 19, "9" * 30, "-99999999999999", "\uff11"])
def test_a_source_date_epoch_that_is_no_time_is_invalid(text):
    assert rules.creation_time(APIS[-1], text) is None


@given(st.integers(-(10**19), 10**19).map(str) | st.text(max_size=6))
def test_any_source_date_epoch_gives_a_time_with_room_for_a_zone_or_nothing(text):
    instant = rules.creation_time(APIS[-1], text)
    assert instant is None or (instant + timedelta(hours=14)).year >= (instant - timedelta(hours=14)).year


def test_the_top_layer_is_the_last_of_the_run_image():
    assert rules.top_layer(base(1, 2)) == diff_id(2)


def test_a_run_image_without_layers_has_no_top_layer():
    assert rules.top_layer(base()) == ""
