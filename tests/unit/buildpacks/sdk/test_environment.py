"""The variables of layers, compared with what the lifecycle makes of the files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp
from lifecycle.files.env_dir import read_layer_environment
from lifecycle.rules.environment import with_layer

NAMES = ("PATH", "A", "B")
changes = st.tuples(
    st.sampled_from(["override", "default", "append", "prepend"]),
    st.sampled_from(NAMES),
    st.text("xy/", max_size=3),
    st.sampled_from(["", ":", " "]),
    st.sampled_from([bp.BUILD, bp.LAUNCH, bp.BUILD | bp.LAUNCH]),
)


@given(
    before=st.dictionaries(st.sampled_from(NAMES), st.text("ab", max_size=3)),
    declared=st.lists(changes),
    directories=st.sets(st.sampled_from(["bin", "lib", "include", "pkgconfig"])),
)
def test_a_later_buildpack_has_the_environment_that_env_with_tells(tmp_path_factory, before, declared, directories):
    layer_dir = tmp_path_factory.mktemp("layer")
    for name in directories:
        (layer_dir / name).mkdir()
    env = bp.LayerEnv()
    for action, name, value, delim, scope in declared:
        more = {"delim": delim} if action in {"append", "prepend"} else {}
        getattr(env, action)(name, value, scope=scope, **more)
    env.write(layer_dir)
    assert env.apply(before, layer_dir) == with_layer(before, read_layer_environment(layer_dir))


def test_a_process_has_its_own_variables_after_those_of_all(tmp_path):
    (tmp_path / "lib").mkdir()
    env = bp.LayerEnv()
    env.append("A", "1", delim=":")
    env.append("A", "2", delim=":", scope=bp.LAUNCH)
    env.append("A", "3", delim=":", process="web")
    env.append("A", "4", delim="", scope=bp.BUILD)
    web = env.apply({}, tmp_path, scope=bp.LAUNCH, process="web")
    assert web == {"A": "1:2:3", "LD_LIBRARY_PATH": f"{tmp_path}/lib"}
    assert env.apply({}, tmp_path, scope=bp.LAUNCH)["A"] == "1:2"


def test_a_second_call_goes_around_what_the_first_put_there(tmp_path):
    env = bp.LayerEnv()
    for directory in ("/first", "/second"):
        env.prepend("PATH", directory, delim=":")
        env.append("A", directory, delim=":")
    env.write(tmp_path)
    read = with_layer({"PATH": "/bin", "A": "/bin"}, read_layer_environment(tmp_path))
    assert read == {"PATH": "/second:/first:/bin", "A": "/bin:/first:/second"}


def test_what_stands_between_has_to_be_said():
    for change in (bp.LayerEnv().append, bp.LayerEnv().prepend):
        with pytest.raises(TypeError, match="delim"):
            change("PATH", "/first")  # type: ignore[call-arg]


def test_a_path_can_be_a_value(tmp_path):
    env = bp.LayerEnv()
    env.override("HERE", tmp_path / "it")
    assert env.apply({}, tmp_path) == {"HERE": f"{tmp_path}/it"}


@pytest.mark.parametrize("name", ["", "A.B", "A=B", "../A"])
def test_names_that_are_no_variables_are_refused(name):
    with pytest.raises(bp.BuildpackError, match="can't be a variable of a layer"):
        bp.LayerEnv().override(name, "1")


def test_a_process_has_no_variables_in_a_build():
    with pytest.raises(bp.BuildpackError, match="a process has no variables at build time"):
        bp.LayerEnv().override("A", "1", scope=bp.BUILD, process="web")
