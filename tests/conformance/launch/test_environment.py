"""The environment of processes.  Spec: buildpack.md "Environment"."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.requirement("PLAT-ENV-011", "BP-ENV-006")
def test_variables_of_image_and_user_reach_the_process_as_they_are(image: Any) -> None:
    given = {"HOME": "/home/x", "BPL_DEBUG": " 1 ", "ANY": "y\nz"}
    done = image.run("x", "--", "env", "-0", **given)
    found = dict(each.split("=", 1) for each in done.stdout.split("\0") if each)
    assert {name: found.get(name) for name in given} == given


@pytest.mark.requirement("PLAT-ENV-011", "PLAT-ENV-012", "PLAT-ENV-013")
def test_the_launchers_own_variables_are_hidden(image: Any) -> None:
    done = image.run(
        "x", "--", "env", KEPT="1", CNB_PROCESS_TYPE="web", PATH="/cnb/process:/usr/bin:/cnb/lifecycle:/bin"
    )
    lines = done.stdout.splitlines()
    assert {"KEPT=1", "PATH=/usr/bin:/bin"} <= set(lines)
    assert lines[0] == "Warning: CNB_PROCESS_TYPE is not supported in Platform API 0.15"
    assert not [
        line for line in lines if line.startswith(("CNB_APP", "CNB_LAYERS", "CNB_PROCESS_TYPE=", "CNB_PLATFORM"))
    ]


@pytest.mark.requirement("BP-ENV-002", "BP-ENV-003", "BP-ENV-005")
def test_layer_paths_of_later_buildpacks_come_first(image: Any) -> None:
    image.process('command = ["env"]\ndirect = true')
    for name in ("a_b/l/bin/x", "a_b/l/lib/x", "a_b/l/include/x", "second/k/bin/x"):
        image.file(name, "")
    lines = image.run("web").stdout.splitlines()
    assert f"PATH={image.layers}/second/k/bin:{image.layers}/a_b/l/bin:/usr/bin:/bin" in lines
    assert f"LD_LIBRARY_PATH={image.layers}/a_b/l/lib" in lines
    assert not [line for line in lines if line.startswith(("CPATH", "LIBRARY_PATH"))]


names = st.sampled_from(["A", "B"])
suffixes = st.sampled_from(["", ".override", ".append", ".prepend", ".default", ".delim", ".", ".other", ".append.bak"])
trees = st.dictionaries(
    st.tuples(
        st.sampled_from(["a_b/x", "a_b/y", "second/x"]),
        st.sampled_from(["env", "env.launch", "env.launch/web"]),
        names,
        suffixes,
    ),
    st.text("ab:;- \n", max_size=4),
    max_size=14,
)


def model(files: dict[tuple[str, str, str, str], str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for layer in ("a_b/x", "a_b/y", "second/x"):
        for directory in ("env", "env.launch", "env.launch/web"):
            here = {(n, s): v for (where, d, n, s), v in files.items() if (where, d) == (layer, directory)}
            for name, suffix in sorted(here, key="".join):
                value, old = here[name, suffix], env.get(name, "")
                delim = here.get((name, ".delim"), ":" if suffix == "." else "") if old else ""
                if suffix in ("", ".override") or (suffix == ".default" and not old):
                    env[name] = value
                elif suffix == ".append":
                    env[name] = old + delim + value
                elif suffix in (".prepend", "."):
                    env[name] = value + delim + old
    return env


@pytest.mark.requirement(
    "BP-ENV-014",
    "BP-ENV-015",
    "BP-ENV-016",
    "BP-ENV-017",
    "BP-ENV-018",
    "BP-ENV-019",
    "BP-ENV-020",
    "BP-ENV-021",
    "BP-ENV-022",
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=trees)
def test_env_files_have_the_effect_of_a_small_model(image: Any, files: dict[tuple[str, str, str, str], str]) -> None:
    subprocess.run(["rm", "-rf", image.layers], check=True)
    image.process('command = ["env", "-0"]\ndirect = true')
    for (layer, directory, name, suffix), value in files.items():
        image.file(f"{layer}/{directory}/{name}{suffix}", value)
    seen = dict(each.split("=", 1) for each in image.run("web").stdout.split("\0") if each)
    assert {name: value for name, value in seen.items() if name in ("A", "B")} == model(files)
