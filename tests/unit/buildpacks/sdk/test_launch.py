"""launch.toml for each Buildpack API, as the lifecycle reads it."""

from __future__ import annotations

import tomllib

import pytest

import cnb_buildpack as bp
from cnb_buildpack.api import Feature
from lifecycle.model.api import BUILDPACK_APIS, BuildpackFeature
from lifecycle.model.launch import Launch


def launch(api):
    return bp.Launch(bp.Api.parse(api, where="buildpack.toml"))


def read(made):
    return Launch.model_validate(tomllib.loads(bp.toml_text(made.table())))


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_before_0_9_a_program_with_arguments_is_a_direct_process(api):
    made = launch(api)
    made.process("web", ["python3", "app.py"], default=True)
    [process] = read(made).processes
    assert (process.command, process.args, process.direct, process.default) == ("python3", ("app.py",), True, True)


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_before_0_9_a_line_is_for_the_shell(api):
    made = launch(api)
    made.process("web", "python3 $FILE")
    [process] = read(made).processes
    assert (process.command, process.args, process.direct) == ("python3 $FILE", None, False)


@pytest.mark.parametrize("api", ["0.9", "0.10", "0.11", "0.12"])
def test_from_0_9_a_command_is_a_list_whose_args_a_user_may_replace(api):
    made = launch(api)
    made.process("web", ["python3", "app.py"], args=["--port", "80"], working_dir="/srv")
    [process] = read(made).processes
    assert (process.command, process.args) == (("python3", "app.py"), ("--port", "80"))
    assert (process.direct, process.working_dir, process.default) == (None, "/srv", False)


def test_labels_and_slices_are_read_in_their_order():
    made = launch("0.12")
    made.label("b", "1")
    made.label("a", "2")
    made.slice("public/*", "*.css")
    made.slice("lib")
    found = read(made)
    assert [(label.key, label.value) for label in found.labels] == [("b", "1"), ("a", "2")]
    assert [each.paths for each in found.slices] == [("public/*", "*.css"), ("lib",)]


def test_nothing_added_is_no_file():
    assert launch("0.12").table() == {}


@pytest.mark.parametrize(
    ("api", "arguments", "problem"),
    [
        ("0.7", {"working_dir": "/srv"}, r"process web: the working directory .* needs Buildpack API 0\.8 or newer"),
        ("0.8", {"args": ["x"]}, r"process web: .* a user may replace needs Buildpack API 0\.9 or newer.*move args"),
        ("0.9", {"command": "a line"}, r'needs Buildpack API 0\.8 or older, .* declares 0\.9; write \["sh", "-c"'),
        ("0.11", {"exec_env": ["test"]}, r'needs Buildpack API 0\.12.*set api = "0\.12" in buildpack\.toml'),
        ("0.12", {"command": []}, "process web has no command"),
        ("0.12", {"type": "we b"}, "'we b' is no process type"),
    ],
)
def test_what_an_api_can_not_say_is_refused_with_the_way_out(api, arguments, problem):
    with pytest.raises(bp.BuildpackError, match=problem):
        launch(api).process(**{"type": "web", "command": ["true"], **arguments})


def test_a_type_a_default_and_a_label_are_given_once():
    made = launch("0.12")
    made.process("web", ["true"], default=True)
    made.label("a", "1")
    with pytest.raises(bp.BuildpackError, match="process web is added twice"):
        made.process("web", ["false"])
    with pytest.raises(bp.BuildpackError, match="web and worker are both the default"):
        made.process("worker", ["false"], default=True)
    with pytest.raises(bp.BuildpackError, match="label a is set twice"):
        made.label("a", "2")
    with pytest.raises(bp.BuildpackError, match="the label '3' has no key"):
        made.label("", "3")


def test_one_type_may_differ_between_execution_environments():
    made = launch("0.12")
    made.process("web", ["true"], exec_env=["production"])
    made.process("web", ["false"], exec_env=["test"])
    with pytest.raises(bp.BuildpackError, match="added twice"):
        made.process("web", ["other"], exec_env=["test", "development"])


@pytest.mark.parametrize("globs", [(), ("",), ("../other",)])
def test_a_slice_is_of_the_app(globs):
    with pytest.raises(bp.BuildpackError, match="name paths below the app directory"):
        launch("0.12").slice(*globs)


@pytest.mark.parametrize("version", [str(version) for version in BUILDPACK_APIS])
def test_the_versions_are_those_of_the_lifecycle(version):
    assert str(bp.Api.parse(version, where="buildpack.toml")) == version


@pytest.mark.parametrize("version", [None, 0.12, "0.6", "0.13", "1.0", "0.012", "newest"])
def test_other_versions_are_refused(version):
    with pytest.raises(bp.BuildpackError, match=r'write one from api = "0\.7" to "0\.12"'):
        bp.Api.parse(version, where="buildpack.toml")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Feature.VARIABLES, BuildpackFeature.INPUTS_IN_ENVIRONMENT),
        (Feature.WORKING_DIR, BuildpackFeature.WORKING_DIRECTORY),
        (Feature.SHELL_PROCESS, BuildpackFeature.STRING_COMMAND),
        (Feature.COMMAND_LIST, BuildpackFeature.COMMAND_LIST),
        (Feature.TARGETS, BuildpackFeature.TARGETS),
        (Feature.EXEC_ENV, BuildpackFeature.EXEC_ENV),
    ],
    ids=lambda feature: feature.name,
)
def test_both_sides_read_the_same_in_the_specification(ours, theirs):
    apis = {version: bp.Api.parse(str(version), where="buildpack.toml") for version in BUILDPACK_APIS}
    assert {version: ours in api for version, api in apis.items()} == {
        version: theirs.value.holds_in(version) for version in BUILDPACK_APIS
    }
