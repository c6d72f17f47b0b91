"""Inputs of a phase: flag, then environment, then default."""

from pathlib import Path

import pytest

from lifecycle.cli.inputs.flags import FlagError
from lifecycle.cli.inputs.settings import read_flags, resolve, wants
from lifecycle.cli.phase_names import Phase
from lifecycle.model.api import LATEST_PLATFORM_API, PlatformApi


def _settings(*arguments, phase=Phase.DETECTOR, api=LATEST_PLATFORM_API, **environment):
    return resolve(phase, api, read_flags(phase, api, arguments), environment)


@pytest.mark.parametrize(
    ("arguments", "environment", "app"),
    [
        ([], {}, "/workspace"),
        ([], {"CNB_APP_DIR": ""}, "/workspace"),
        ([], {"CNB_APP_DIR": "/env"}, "/env"),
        (["-app", "/flag"], {"CNB_APP_DIR": "/env"}, "/flag"),
        (["-app", "/one", "-app", "/two"], {}, "/two"),
    ],
)
def test_a_flag_wins_over_the_environment_and_that_over_the_default(arguments, environment, app):
    assert _settings(*arguments, **environment).path("app") == Path(app)


def test_defaults_lie_in_the_layers_directory_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = _settings("-layers", "mine", CNB_PLAN_PATH="<layers>/other/plan.toml")
    assert settings.path("layers") == tmp_path / "mine"
    assert settings.path("group") == tmp_path / "mine/group.toml"
    assert settings.path("plan") == tmp_path / "mine/other/plan.toml"


def test_the_order_is_that_of_the_builder_unless_the_layers_directory_has_one(tmp_path):
    assert _settings("-layers", str(tmp_path)).text("order") == "/cnb/order.toml"
    (tmp_path / "order.toml").touch()
    assert _settings("-layers", str(tmp_path)).path("order") == tmp_path / "order.toml"


@pytest.mark.parametrize("environment", [{}, {"CNB_ORDER_PATH": "/other.toml"}])
def test_an_order_that_was_named_is_taken_although_it_does_not_exist(tmp_path, environment):
    missing = str(tmp_path / "missing.toml")
    assert _settings("-order", missing, **environment).text("order") == missing
    assert _settings(CNB_ORDER_PATH=missing).text("order") == missing


def test_a_list_is_separated_by_commas_in_the_environment_and_repeated_as_flag():
    both = {"phase": Phase.ANALYZER, "CNB_INSECURE_REGISTRIES": "a, b,,c"}
    assert _settings(**both).list("insecure_registry") == ("a", "b", "c")
    assert _settings("-insecure-registry", "x,y", "-insecure-registry", "z", **both).list("insecure_registry") == (
        "x,y",
        "z",
    )


def test_an_optional_path_is_none_when_it_is_not_given():
    assert _settings(phase=Phase.EXPORTER).optional_path("cache_dir") is None
    assert _settings("-cache-dir", "/c", phase=Phase.EXPORTER).optional_path("cache_dir") == Path("/c")


def test_what_is_no_boolean_or_number_in_the_environment_is_false_or_zero():
    settings = _settings(phase=Phase.EXPORTER, CNB_USE_DAEMON="maybe", CNB_USER_ID="x", CNB_GROUP_ID="7")
    assert (settings.switch("daemon"), settings.number("uid"), settings.number("gid")) == (False, 0, 7)
    assert _settings("-daemon", phase=Phase.EXPORTER).switch("daemon")


@pytest.mark.parametrize("value", ["x", "", "-", "1.5"])
def test_an_id_that_is_no_number_is_refused_as_flag(value):
    with pytest.raises(FlagError, match=f'invalid value "{value}" for flag -uid'):
        _settings("-uid", value, phase=Phase.EXPORTER)


def test_flags_are_those_of_the_phase_and_of_its_api():
    with pytest.raises(FlagError, match="not defined: -app"):
        _settings("-app", "/a", phase=Phase.RESTORER)
    with pytest.raises(FlagError, match="not defined: -run"):
        _settings("-run", "/r", phase=Phase.EXPORTER, api=PlatformApi.parse("0.11"))
    assert _settings("-stack", "/s", phase=Phase.EXPORTER, api=PlatformApi.parse("0.11")).text("stack") == "/s"
    with pytest.raises(FlagError, match="not defined: -stack"):
        _settings("-stack", "/s", phase=Phase.EXPORTER, api=PlatformApi.parse("0.12"))
    with pytest.raises(FlagError, match="not defined: -exec-env"):
        _settings("-exec-env", "test")


def test_arguments_after_the_flags_are_images():
    assert _settings("-daemon", "a", "b", phase=Phase.EXPORTER).images == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["-version"], True),
        (["--version"], True),
        (["-daemon", "-version"], True),
        (["app", "-version"], False),
        (["--", "-version"], False),
        (["-versions"], False),
        ([], False),
    ],
)
def test_a_question_is_asked_by_flag_only(arguments, wanted):
    assert wants(arguments, "version") is wanted
