"""Environment rules against a model of them, variable by variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.api import BUILDPACK_APIS, BuildpackApi
from lifecycle.model.target import TargetData
from lifecycle.rules.environment import (
    LayerEnvironment,
    Phase,
    base_environment,
    executable_variables,
    modified,
    with_layer,
    with_platform,
)

# What a file does, in the order of the file names: NAME, NAME., NAME.append, ...
SUFFIXES = ("", ".", ".append", ".default", ".delim", ".override", ".prepend")
NAMES = st.sampled_from(("PATH", "A", "A-B", "AB", "A_B"))
VALUES = st.text("xyz: \n", max_size=4)
FILES = st.dictionaries(
    st.builds(str.__add__, NAMES, st.sampled_from((*SUFFIXES, ".bak", ".prepend.bak", ".Append"))), VALUES
)


def model(old: str | None, name: str, files: dict[str, str], default: str) -> str | None:
    """Return the new value of one variable; ``None`` is unset."""
    separator = files.get(name + ".delim")

    def joined(left: str, right: str, between: str | None) -> str:
        return left + (between or "") + right

    value = old
    for suffix in SUFFIXES:
        if name + suffix not in files:
            continue
        new = files[name + suffix]
        action = suffix or default
        if action == ".delim":
            continue
        if action == ".override" or not value:
            value = new
        elif action == ".append":
            value = joined(value, new, separator)
        elif action == ".prepend":
            value = joined(new, value, separator)
        elif action == ".":
            value = joined(new, value, ":" if separator is None else separator)
    return value


@pytest.mark.requirement("BP-ENV-015", "BP-ENV-016", "BP-ENV-017", "BP-ENV-022")
@given(env=st.dictionaries(NAMES, VALUES), files=FILES, default=st.sampled_from(("override", "default")))
def test_files_modify_each_variable_as_the_model_says(env, files, default):
    names = {"PATH", "A", "A-B", "AB", "A_B"}
    expected = {name: model(env.get(name), name, files, "." + default) for name in names}
    assert modified(env, files, default_action=default) == {
        name: value for name, value in expected.items() if value is not None
    }


@given(env=st.dictionaries(NAMES, VALUES), files=FILES)
def test_neither_environment_nor_files_are_changed(env, files):
    before = dict(env), dict(files)
    with_platform(env, platform_files=files, build_config_files=files, clear_env=False)
    with_layer(env, LayerEnvironment({"bin": "/l/bin"}, (files, files)))
    assert (env, files) == before


@pytest.mark.requirement("BP-ENV-023")
@given(env=st.dictionaries(NAMES, VALUES), first=FILES, second=FILES)
def test_search_paths_come_first_and_then_each_directory_in_turn(env, first, second):
    layer = LayerEnvironment({"bin": "/l/bin"}, (first, second))
    path = f"/l/bin:{env['PATH']}" if env.get("PATH") else "/l/bin"
    expected = modified({**env, "PATH": path}, first, default_action="override")
    assert with_layer(env, layer) == modified(expected, second, default_action="override")


@pytest.mark.parametrize("name", [".gitkeep", ".override", ".append", ".delim", "."])
def test_files_without_a_name_are_ignored(name):
    assert modified({}, {name: "x"}, default_action="override") == {}


def test_an_empty_delimiter_file_is_a_delimiter():
    assert modified({"A": "old"}, {"A.": "new", "A.delim": ""}, default_action="override") == {"A": "newold"}


@pytest.mark.requirement("PLAT-ENV-005", "BP-ENV-011")
@given(st.text(st.characters(exclude_characters="=\0/"), min_size=1), VALUES)
def test_the_whole_file_name_is_the_name_of_a_users_variable(name, value):
    found = with_platform({}, platform_files={name: value}, build_config_files={}, clear_env=False)
    assert found == {name: value}


@pytest.mark.requirement("BP-ENV-009")
@given(env=st.dictionaries(NAMES, VALUES), files=FILES)
def test_a_cleared_environment_has_nothing_of_the_user(env, files):
    assert with_platform(env, platform_files=files, build_config_files={}, clear_env=True) == env


INHERITED = frozenset(
    [
        "PATH",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "CPATH",
        "PKG_CONFIG_PATH",
        "CNB_STACK_ID",
        "HOSTNAME",
        "HOME",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "NO_PROXY",
        "no_proxy",
    ]
)


@pytest.mark.requirement("PLAT-ENV-004")
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(INHERITED)), VALUES))
def test_no_other_than_the_known_variables_are_inherited(env):
    assert base_environment(env) == {name: value for name, value in env.items() if name in INHERITED}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_each_phase_has_its_own_variables(phase, api):
    found = executable_variables(
        phase=phase,
        api=BuildpackApi(api),
        module_dir=Path("/m"),
        platform_dir=Path("/p"),
        plan_path=Path("/plan"),
        output_dir=None if phase is Phase.DETECT else Path("/o"),
        target=TargetData(os="linux", arch="amd64"),
        exec_env="test",
    )
    given_from_0_8 = {
        Phase.DETECT: {"CNB_BUILD_PLAN_PATH", "CNB_PLATFORM_DIR"},
        Phase.BUILD: {"CNB_BP_PLAN_PATH", "CNB_PLATFORM_DIR", "CNB_LAYERS_DIR"},
        Phase.GENERATE: {"CNB_BP_PLAN_PATH", "CNB_PLATFORM_DIR", "CNB_OUTPUT_DIR"},
    }[phase]
    expected = {"CNB_EXTENSION_DIR" if phase is Phase.GENERATE else "CNB_BUILDPACK_DIR"}
    if api.minor >= 8 or phase is Phase.GENERATE:
        expected |= given_from_0_8
    if api.minor >= 10:
        expected |= {"CNB_TARGET_OS", "CNB_TARGET_ARCH"}
    if api.minor >= 12 and phase is not Phase.GENERATE:
        expected |= {"CNB_EXEC_ENV"}
    assert found.keys() == expected


def test_an_empty_execution_environment_is_not_told():
    found = executable_variables(
        phase=Phase.BUILD,
        api=BuildpackApi(BUILDPACK_APIS[-1]),
        module_dir=Path("/m"),
        platform_dir=Path("/p"),
        plan_path=Path("/plan"),
        output_dir=Path("/o"),
        target=None,
        exec_env="",
    )
    assert "CNB_EXEC_ENV" not in found
    assert not any(name.startswith("CNB_TARGET") for name in found)
