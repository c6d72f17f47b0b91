"""Processes: upgraded shapes, and how those of several buildpacks add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError
from lifecycle.model.api import BUILDPACK_APIS, BuildpackApi
from lifecycle.model.build_metadata import Process
from lifecycle.model.launch import LaunchProcess
from lifecycle.rules.launch import ProcessTypes, upgraded

OLD = [BuildpackApi(version) for version in BUILDPACK_APIS if version.minor < 9]
NEW = [BuildpackApi(version) for version in BUILDPACK_APIS if version.minor >= 9]

PROCESSES = st.lists(
    st.builds(Process, type=st.sampled_from("abc"), default=st.booleans(), buildpack_id=st.sampled_from("xyz")),
    max_size=5,
)


def upgrade(api, **keys):
    (found,) = upgraded([LaunchProcess(type="w", **keys)], buildpack_id="a/b", api=api).processes
    return found


@pytest.mark.requirement("BP-LTOML-002")
@pytest.mark.parametrize("api", OLD, ids=str)
@pytest.mark.parametrize(("direct", "expected"), [(None, False), (False, False), (True, True)])
def test_a_string_is_a_list_of_one_and_runs_in_a_shell_unless_direct(api, direct, expected):
    found = upgrade(api, command="a b", args=("c",), direct=direct)
    assert (found.command, found.args, found.direct) == (("a b",), ("c",), expected)


@pytest.mark.requirement("BP-LTOML-003")
@pytest.mark.parametrize("api", NEW, ids=str)
def test_a_list_is_direct_and_missing_arguments_stay_missing(api):
    found = upgrade(api, command=("a", "b"))
    assert (found.command, found.args, found.direct) == (("a", "b"), None, True)


@pytest.mark.requirement("BP-LTOML-005")
def test_execution_environments_are_kept():
    assert upgrade(NEW[-1], command=("a",), exec_env=("test", "*")).exec_env == ("test", "*")


@pytest.mark.parametrize("api", OLD, ids=str)
@pytest.mark.parametrize(("keys", "problem"), [({}, "is missing"), ({"command": ("a",)}, "is a list")])
def test_old_apis_need_a_string(api, keys, problem):
    with pytest.raises(InvalidFileError, match=f"process 'w' {problem}, but buildpack API {api}"):
        upgrade(api, **keys)


@pytest.mark.parametrize("api", NEW, ids=str)
@pytest.mark.parametrize("direct", [True, False])
def test_new_apis_have_neither_string_nor_direct(api, direct):
    with pytest.raises(InvalidFileError, match="is a string"):
        upgrade(api, command="a")
    with pytest.raises(InvalidFileError, match=r"process\.direct is not supported on this buildpack version"):
        upgrade(api, command=("a",), direct=direct)


def test_a_second_default_is_refused_also_for_the_same_type():
    rows = [LaunchProcess(type="w", command=("a",), default=True)] * 2
    with pytest.raises(InvalidFileError, match="multiple default process types aren't allowed"):
        upgraded(rows, buildpack_id="a/b", api=NEW[0])


@pytest.mark.requirement("BP-LTOML-007", "BP-LTOML-008", "BP-LTOML-009")
@given(st.lists(PROCESSES, max_size=4))
def test_the_last_definition_decides_about_type_and_default(buildpacks):
    types = ProcessTypes()
    for processes in buildpacks:
        types, _ = types.extended(processes)
    rows = [process for processes in buildpacks for process in processes]
    listed = types.listed()
    assert [each.type for each in listed] == sorted({row.type for row in rows})
    for each in listed:
        last = [row for row in rows if row.type == each.type][-1]
        assert each == last.model_copy(update={"default": False})
    defaults = [index for index, row in enumerate(rows) if row.default]
    expected = ""
    if defaults:
        last_default = rows[defaults[-1]].type
        later = [row for row in rows[defaults[-1] + 1 :] if row.type == last_default]
        expected = "" if later else last_default
    assert types.default == expected


@given(st.lists(PROCESSES, max_size=3), PROCESSES)
def test_a_warning_tells_exactly_of_a_default_that_got_lost(earlier, added):
    types = ProcessTypes()
    for processes in earlier:
        types, _ = types.extended(processes)
    after, warning = types.extended(added)
    had_default = bool(types.default) or any(each.default for each in added)
    assert bool(warning) == (had_default and not after.default)
