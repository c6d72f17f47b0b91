"""Our launcher beside the reference's, where CNB_REFERENCE_DIR names a folder with its executables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REFERENCE_DIR = os.environ.get("CNB_REFERENCE_DIR")
pytestmark = pytest.mark.skipif(not REFERENCE_DIR, reason="CNB_REFERENCE_DIR names no folder with the reference")

SHOW = '#!/bin/sh\necho "in $PWD as $0"\nfor a; do echo "[$a]"; done\n/usr/bin/env | /usr/bin/grep -v ^_= | /usr/bin/sort\n'
BUILDPACKS = ("a/b", "second")


def without_wording(line: str) -> str:
    """The line without what each TOML library and each libc says in its own words."""
    line = re.sub(r"(failed to decode output from exec.d file at path '[^']*'): .*", r"\1", line)
    line = re.sub(r"^(ERROR: .*: )((stat|fork/exec|chdir) )?\S*/\S*: ", r"\1", line)
    return line.replace('\\"', '"') if line.startswith("ERROR: ") else line


def outcome(launcher: Path, image: Any, argv: list[str], env: dict[str, str]) -> tuple[int, list[str], str]:
    done = subprocess.run(
        argv,
        executable=launcher,
        env=env,
        capture_output=True,
        cwd="/",
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    lines = [without_wording(line) for line in done.stdout.decode(errors="replace").split("\n")]
    return done.returncode, lines, done.stderr.decode(errors="replace")


def assert_same(image: Any, *argv: str, **env: str) -> None:
    assert REFERENCE_DIR
    variables = image.variables(None, **env)
    theirs = outcome(Path(REFERENCE_DIR, "launcher"), image, list(argv), variables)
    ours = outcome(image.launcher, image, list(argv), variables)
    assert ours == theirs


def literal(words: list[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


WEB = '[[processes]]\ntype = "web"\nbuildpack-id = "a/b"\n'
ECHO = 'command = ["echo", "x"]\nargs = ["$A"]\n'


@pytest.mark.parametrize(
    ("process", "argv", "env"),
    [
        ("", ["x", "--", "true"], {"CNB_PLATFORM_API": ""}),
        ("", ["x", "--", "true"], {"CNB_PLATFORM_API": "0.6"}),
        ("", ["x", "--", "true"], {"CNB_PLATFORM_API": "v0.07"}),
        ("", ["x", "--", "true"], {"CNB_PLATFORM_API": "0"}),
        ("", ["x", "--", "true"], {"CNB_PLATFORM_API": "a.b"}),
        ("", ["x", "--", "true"], {"CNB_PROCESS_TYPE": "y", "CNB_NO_COLOR": ""}),
        ("", ["x", "--", "true"], {"CNB_PROCESS_TYPE": "y", "CNB_NO_COLOR": "T"}),
        ("", ["x", "--", "true"], {"CNB_APP_DIR": "/nowhere"}),
        ("", ["x", "--", "true"], {"PATH": ""}),
        ("", ["x", "--", "/tmp"], {}),
        ("", ["x", "--", "./not-executable"], {}),
        ("", ["x", "--", "./without-interpreter"], {}),
        ("", ["x", ""], {}),
        ("", ["x", "--"], {}),
        ("", ["x", "--", "--", "x"], {}),
        ("", ["x", "--", ""], {}),
        (WEB + "direct = true", ["web"], {}),
        (WEB + 'direct = true\ncommand = [""]', ["web"], {}),
        (WEB + 'command = [""]', ["web"], {}),
        (WEB + ECHO, ["web/"], {}),
        (WEB + ECHO, ["/cnb/process/web", "y"], {"A": "b c"}),
        (WEB + ECHO + WEB + "command = 'false'", ["web"], {}),
        ((WEB + ECHO).replace("\n", "\r\n"), ["web"], {}),
        ((WEB + ECHO).replace("type", "Type").replace("command", "COMMAND"), ["web"], {}),
        ((WEB + ECHO + "direct = true").replace("a/b", "unknown"), ["web", "y"], {}),
        (WEB + 'command = ["echo", "\\u003c\\u2028\\\\\\""]\ndirect = true', ["web"], {}),
    ],
)
def test_a_case_of_the_table_starts_alike(image: Any, process: str, argv: list[str], env: dict[str, str]) -> None:
    image.metadata(f'[[buildpacks]]\nid = "a/b"\nversion = "1"\napi = "0.12"\n{process}\n')
    (image.app / "not-executable").write_text("x")
    (image.app / "without-interpreter").write_text("echo x\n")
    (image.app / "without-interpreter").chmod(0o755)
    (image.layers / "a_b/l/bin").mkdir(parents=True)
    assert_same(image, *argv, **{"CNB_PLATFORM_API": "0.15", **env})


words = st.sampled_from(
    ["show", "./show", "sub/show", "$A", "two words", 'a"b', "*", "", "--", "a;b", "é", "\\n", "nothing-such"]
)
commands = st.sampled_from(
    ["show", "./show", "sub/show", "show x | cat", "exit 3", "nothing-such", "/bin/sh", "sub", "."]
)
names = st.sampled_from(["A", "B", "PATH", "LD_LIBRARY_PATH", "TERM_PROGRAM"])
suffixes = st.sampled_from(["", ".override", ".append", ".prepend", ".default", ".delim", ".", ".other"])
directories = st.sampled_from(["env", "env.launch", "env.launch/web", "env.launch/other", "env.build"])
layers = st.sampled_from(["a_b/x", "a_b/y", "second/x", "third/x"])
env_files = st.dictionaries(
    st.builds("{}/{}/{}{}".format, layers, directories, names, suffixes),
    st.sampled_from(["a", ":", "b c", "", "x\n"]),
    max_size=10,
)
scripts = st.dictionaries(
    st.builds(
        "{}/{}/{}".format,
        layers,
        st.sampled_from(["profile.d", "profile.d/web", "profile.d/other"]),
        st.sampled_from("ab"),
    ),
    st.sampled_from(["export P=$P-1\n", "export P=${P}2 A=$P\n", "export C=$PWD$0\n", "true"]),
    max_size=4,
)
programs = st.dictionaries(
    st.builds(
        "{}/{}/{}".format, layers, st.sampled_from(["exec.d", "exec.d/web", "exec.d/other"]), st.sampled_from("ab")
    ),
    st.sampled_from(
        [
            'echo "E = \\"$E$A-\\"" >&3',
            "echo \"E = '$E.'\" >&3; echo out; echo err >&2",
            'printf \'F = """\\nx"""\\n[t]\\n\' >&3; exit 0',
            "true",
            "exit 4",
            'echo "G = \\"$PWD\\"" >&3',
        ]
    ),
    max_size=3,
)
paths = st.sampled_from(
    [
        "/usr/bin:/bin",
        "/cnb/process:/usr/bin:/cnb/lifecycle:/bin",
        "/usr/bin:/bin::",
        ":/usr/bin:/bin",
        ".:/usr/bin:/bin",
        "/cnb/process",
    ]
)


@settings(
    max_examples=int(os.environ.get("CNB_REFERENCE_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_generated_images_start_alike(image: Any, data: Any) -> None:
    shutil.rmtree(image.layers)
    shutil.rmtree(image.app)
    (image.app / "sub").mkdir(parents=True)
    for path in (image.app / "show", image.app / "sub/show", image.file("a_b/x/bin/show", SHOW)):
        path.write_text(SHOW)
        path.chmod(0o755)
    (image.layers / "second/x/lib").mkdir(parents=True)
    draw = data.draw
    process = [f"command = {literal([draw(commands), *draw(st.lists(words, max_size=2))])}"]
    if draw(st.booleans()):
        process = [f"command = '{draw(commands)}'"]
    process += [f"args = {literal(draw(st.lists(words, max_size=3)))}"] * draw(st.booleans())
    process += ["direct = true"] * draw(st.booleans())
    process += [
        f"working-dir = '{draw(st.sampled_from(['/', str(image.app / 'sub'), '', 'sub', '/nowhere']))}'"
    ] * draw(st.booleans())
    process += [
        f"exec-env = {literal(draw(st.lists(st.sampled_from(['production', 'test', '*']), max_size=2)))}"
    ] * draw(st.booleans())
    image.process("\n".join(process), draw(st.sampled_from([f"0.{n}" for n in range(7, 13)])))
    for name, text in draw(env_files).items():
        image.file(name, text)
    for name, text in draw(scripts).items():
        image.file(name, text)
    for name, text in draw(programs).items():
        image.execd(name, text)
    if draw(st.booleans()):
        (image.app / ".profile").write_text("export Q=$P.profile\n")
    env = {"PATH": draw(paths)}
    env |= draw(
        st.dictionaries(
            st.sampled_from(["A", "CNB_PROCESS_TYPE", "CNB_EXEC_ENV", "LD_LIBRARY_PATH"]),
            st.sampled_from(["", "test", "web"]),
        )
    )
    argv = [
        draw(st.sampled_from(["web", "/cnb/process/web", "launcher", "other", ""])),
        *draw(st.lists(words, max_size=3)),
    ]
    assert_same(image, *argv, CNB_PLATFORM_API=f"0.{draw(st.integers(7, 15))}", **env)
