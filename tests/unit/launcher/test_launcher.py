from __future__ import annotations

import os
import subprocess
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import LaunchError
from lifecycle.launcher import launcher_path

PLATFORM_APIS = [f"0.{minor}" for minor in range(7, 16)]
BUILDPACK_APIS = [f"0.{minor}" for minor in range(7, 13)]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def metadata(process: str, api: str = "0.12") -> str:
    return f"""
[[buildpacks]]
  id = "a/b"
  version = "1"
  api = "{api}"
[[buildpacks]]
  id = "second"
  version = "2"
  api = "0.8"
[[processes]]
  type = "web"
  buildpack-id = "a/b"
  {process}
"""


PRINTF = 'command = ["printf", "%s,"]\nargs = ["one", "two"]\ndirect = true'


@pytest.mark.requirement("PLAT-API-003", "PLAT-LAU-026")
@pytest.mark.parametrize("api", [None, "", "0.6", "0.16", "1.0", "1", "x", "0.7.1", "99999999999999999999.1"])
def test_an_unsupported_platform_api_exits_with_11(image: Any, api: str | None) -> None:
    done = image.run("launcher", "--", "true", api=api)
    assert done.returncode == 11
    assert done.stdout.startswith("ERROR: failed to ")


@pytest.mark.requirement("BP-API-003", "PLAT-LAU-026")
@pytest.mark.parametrize("api", ["", "0.6", "0.13", "1", "nope"])
def test_an_unsupported_buildpack_api_exits_with_12(image: Any, api: str) -> None:
    image.metadata(metadata(PRINTF, api))
    assert image.run("web").returncode == 12


@pytest.mark.requirement("PLAT-LAU-003", "PLAT-LAU-004", "PLAT-FILE-013")
@pytest.mark.parametrize("api", PLATFORM_APIS)
def test_the_base_name_of_the_launcher_selects_the_process(image: Any, api: str) -> None:
    image.metadata(metadata(PRINTF))
    assert image.run("/cnb/process/web", api=api).stdout == "one,two,"


@pytest.mark.requirement("PLAT-LAU-010", "PLAT-LAU-011", "PLAT-LAU-012", "BP-LTOML-010")
@pytest.mark.parametrize("buildpack_api", BUILDPACK_APIS)
@pytest.mark.parametrize("api", PLATFORM_APIS)
def test_user_arguments_replace_or_follow_the_defaults(image: Any, api: str, buildpack_api: str) -> None:
    image.metadata(metadata('command = ["echo"]\nargs = ["default"]\ndirect = true', buildpack_api))
    replaces = int(api[2:]) >= 10 and int(buildpack_api[2:]) >= 9
    assert image.run("web", "user", api=api).stdout == ("user\n" if replaces else "default user\n")
    image.metadata(metadata(PRINTF, buildpack_api))
    assert image.run("web", "user", api=api).stdout == ("user," if int(api[2:]) >= 10 else "one,two,user,")


@pytest.mark.requirement("PLAT-LAU-002", "PLAT-LAU-006", "PLAT-LAU-007", "PLAT-LAU-008", "PLAT-FILE-020")
@pytest.mark.parametrize(
    ("listed", "value", "starts"),
    [
        ("[]", "x", True),
        ('["*"]', "x", True),
        ('["production"]', None, True),
        ('["test"]', None, False),
        ('["test", "x"]', "x", True),
        ('["test"]', "x", False),
    ],
)
def test_exec_env_decides_which_process_is_eligible(image: Any, listed: str, value: str | None, starts: bool) -> None:
    image.metadata(metadata(f"{PRINTF}\nexec-env = {listed}"))
    env = {} if value is None else {"CNB_EXEC_ENV": value}
    done = image.run("web", **env)
    assert (done.returncode == 0) is starts
    assert starts or "process type web was not found" in done.stdout
    assert starts or done.returncode == 82
    assert image.run("web", api="0.14", **env).returncode == 0


@pytest.mark.requirement("PLAT-LAU-001", "PLAT-LAU-009", "PLAT-LAU-015", "PLAT-LAU-022", "PLAT-FILE-017")
def test_processes_start_in_their_working_directory_or_the_app(image: Any, tmp_path: Any) -> None:
    image.metadata(metadata('command = ["pwd"]\ndirect = true'))
    assert image.run("web").stdout.strip() == str(image.app)
    assert image.run("launcher", "pwd").stdout.strip() == str(image.app)
    image.metadata(metadata(f'command = ["pwd"]\ndirect = true\nworking-dir = "{tmp_path}"'))
    assert image.run("web").stdout.strip() == str(tmp_path)


@pytest.mark.requirement("PLAT-LAU-013", "PLAT-LAU-014", "PLAT-LAU-027")
@pytest.mark.parametrize("api", PLATFORM_APIS)
def test_user_commands_run_directly_after_two_dashes_and_else_in_a_shell(image: Any, api: str) -> None:
    assert image.run("x", "--", "echo", "$A", api=api, A="b").stdout == "$A\n"
    assert image.run("x", "echo $A; exit 7", api=api, A="b").returncode == 7
    assert image.run("x", "echo", "$A", "two words", api=api, A="b c").stdout == "b c two words\n"
    assert image.run("x", api=api).returncode == 82
    assert "executable file not found in $PATH" in image.run("x", "--", "nothing-such", api=api).stdout


@pytest.mark.requirement("PLAT-FILE-015", "BP-LAU-001", "BP-LAU-002", "BP-LAU-003")
@pytest.mark.parametrize("api", ["0.7", "0.8", "0.9"])
def test_string_commands_run_in_a_shell_or_directly(image: Any, api: str) -> None:
    image.metadata(metadata('command = "echo $A | tr b c"', "0.7"))
    assert image.run("web", api=api, A="b").stdout == "c\n"
    image.metadata(metadata('command = "echo"\nargs = ["$A", "x"]', "0.7"))
    assert image.run("web", api=api, A="b").stdout == "b x\n"
    image.metadata(metadata('command = "echo"\nargs = ["$A"]\ndirect = true', "0.7"))
    assert image.run("web", api=api, A="b").stdout == "$A\n"


@pytest.mark.requirement("PLAT-LAU-021", "PLAT-LAU-024", "BP-LAU-004")
def test_profiles_are_sourced_in_order_by_one_shell(image: Any) -> None:
    image.metadata(metadata('command = "echo $P $$"', "0.7"))
    for name, letter in [
        ("second/l/profile.d/a", "e"),
        ("a_b/m/profile.d/a", "d"),
        ("a_b/l/profile.d/b", "b"),
        ("a_b/l/profile.d/a", "a"),
        ("a_b/l/profile.d/web/a", "c"),
        ("a_b/l/profile.d/other/a", "!"),
    ]:
        image.file(name, f"export P=${{P}}{letter}\n")
    (image.app / ".profile").write_text("export P=${P}f\n")
    assert image.run("web").stdout.split()[0] == "abcdef"


@pytest.mark.requirement("PLAT-LAU-023")
def test_the_process_keeps_the_launchers_pid(image: Any) -> None:
    env = {"PATH": "/usr/bin:/bin", "CNB_LAYERS_DIR": str(image.layers), "CNB_APP_DIR": str(image.app)}
    with subprocess.Popen(
        ["x", "--", "sh", "-c", "echo $$"],
        executable=image.launcher,
        text=True,
        env={**env, "CNB_PLATFORM_API": "0.12"},
        stdout=subprocess.PIPE,
    ) as running:
        assert running.communicate()[0].strip() == str(running.pid)


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
    image.metadata(metadata('command = ["env"]\ndirect = true'))
    for name in ("a_b/l/bin/x", "a_b/l/lib/x", "a_b/l/include/x", "second/k/bin/x"):
        image.file(name, "")
    lines = image.run("web").stdout.splitlines()
    assert f"PATH={image.layers}/second/k/bin:{image.layers}/a_b/l/bin:/usr/bin:/bin" in lines
    assert f"LD_LIBRARY_PATH={image.layers}/a_b/l/lib" in lines
    assert not [line for line in lines if line.startswith(("CPATH", "LIBRARY_PATH"))]


@pytest.mark.requirement("PLAT-LAU-016", "PLAT-LAU-017", "BP-EXECD-001", "BP-EXECD-003", "BP-EXECD-004")
def test_execd_programs_run_in_the_app_and_see_what_earlier_ones_set(image: Any) -> None:
    image.metadata(metadata('command = ["printenv", "A", "B"]\ndirect = true'))
    image.file("a_b/l/env/A", "file")
    image.file("a_b/l/exec.d/1", '#!/bin/sh\necho "B = \\"$0 $PWD $A\\"" >&3\necho \'A = "one"\' >&3\n', 0o755)
    image.file("second/l/exec.d/web/1", '#!/bin/sh\necho "A = \\"$A two\\"" >&3\n', 0o755)
    image.file("second/l/exec.d/other/1", "#!/bin/sh\nexit 1\n", 0o755)
    assert image.run("web").stdout == f"one two\n{image.layers}/a_b/l/exec.d/1 {image.app} file\n"


@pytest.mark.requirement("BP-EXECD-003")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\nexit 3\n", "failed to execute"),
        ("#!/bin/sh\necho 'A = 1' >&3\n", "failed to decode"),
        ("#!/bin/sh\necho 'A' >&3\n", "failed to decode"),
        ("#!/nowhere\n", "failed to execute"),
        ("#!/bin/sh\nyes >&3\n", "failed to execute"),
    ],
)
def test_a_failing_execd_program_stops_the_launch(image: Any, script: str, message: str) -> None:
    image.file("a_b/l/exec.d/1", script, 0o755)
    done = image.run("x", "--", "echo", "started")
    assert done.returncode == 82
    assert message in done.stdout
    assert "started\n" not in done.stdout


@pytest.mark.parametrize(
    "text", ["[[processes]", "processes = 1\n", "a = {", "[[processes]]\ntype = 1\n", "[a]\n[a]\n"]
)
def test_malformed_metadata_exits_with_1(image: Any, text: str) -> None:
    image.metadata(text)
    done = image.run("web")
    assert done.returncode == 1
    assert done.stdout.startswith("ERROR: failed to read metadata: ")


def test_metadata_that_the_launcher_does_not_use_is_skipped(image: Any) -> None:
    image.metadata(
        metadata(PRINTF)
        + """
[[bom]]
a.b."c d" = {x = [1, 2.5e3, -inf, 0xF_f, 1979-05-27 07:32:00.5+01:00, 07:32:00, '''l'''], y = {}, z.z = true}
m = \"\"\"\\
   q""\\u00e9\\U0001F600\"\"\"
[bom.deep.er]
x = [
  { a = 1 }, # note
]
"""
    )
    assert image.run("web").stdout == "one,two,"


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
@QUICK
@given(files=trees)
def test_env_files_have_the_effect_of_a_small_model(image: Any, files: dict[tuple[str, str, str, str], str]) -> None:
    subprocess.run(["rm", "-rf", image.layers], check=True)
    image.metadata(metadata('command = ["env", "-0"]\ndirect = true'))
    for (layer, directory, name, suffix), value in files.items():
        image.file(f"{layer}/{directory}/{name}{suffix}", value)
    seen = dict(each.split("=", 1) for each in image.run("web").stdout.split("\0") if each)
    assert {name: value for name, value in seen.items() if name in ("A", "B")} == model(files)


def execd(image: Any, document: bytes) -> dict[str, bytes] | None:
    image.file("a_b/l/data", document)
    image.file("a_b/l/exec.d/1", f"#!/bin/sh\ncat {image.layers}/a_b/l/data >&3\n", 0o755)
    env = {
        "PATH": "/usr/bin:/bin",
        "CNB_LAYERS_DIR": str(image.layers),
        "CNB_APP_DIR": str(image.app),
        "CNB_PLATFORM_API": "0.15",
    }
    done = subprocess.run(
        ["x", "--", "env", "-0"], executable=image.launcher, env=env, capture_output=True, check=False
    )
    if done.returncode:
        return None
    pairs = (each.split(b"=", 1) for each in done.stdout.split(b"\0") if each)
    return {name.decode(): value for name, value in pairs if name not in (b"PATH", b"PWD")}


pieces = st.lists(
    st.sampled_from([*list("ab \t\n\"'\\é😀ur0"), '""', "\\u00e9", "\\n", "\\\n ", "\r\n", '"""', "\\U0001F600"]),
    max_size=8,
)
quotes = st.sampled_from(['"', "'", '"""', "'''"])


@QUICK
@given(values=st.lists(st.tuples(quotes, pieces.map("".join)), min_size=1, max_size=3))
def test_strings_are_decoded_as_tomllib_decodes_them(image: Any, values: list[tuple[str, str]]) -> None:
    document = "".join(f"K{i} = {quote}{text}{quote} # note\n" for i, (quote, text) in enumerate(values))
    try:
        expected = {k: v.encode() for k, v in tomllib.loads(document).items()}
    except tomllib.TOMLDecodeError:
        expected = None
    assert execd(image, document.encode()) == expected


@pytest.mark.requirement("PLAT-LAU-001", "PLAT-LAU-003")
def test_it_needs_nothing_but_itself(image: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change the root directory")
    (image.root / "workspace").mkdir()
    subprocess.run(["cp", image.launcher, image.root / "launcher"], check=True)
    image.metadata(metadata('command = ["/launcher"]\ndirect = true'))
    done = subprocess.run(
        ["web"],
        executable="/launcher",
        preexec_fn=lambda: os.chroot(image.root),
        cwd=image.root,
        check=False,
        text=True,
        env={"CNB_PLATFORM_API": "0.15", "CNB_NO_COLOR": "1"},
        capture_output=True,
    )
    assert done.returncode == 11
    assert done.stdout.startswith("ERROR: failed to get platform API version")


def test_the_binary_is_small(image: Any) -> None:
    assert image.launcher.stat().st_size < 200_000


def test_an_architecture_without_launcher_is_refused() -> None:
    with pytest.raises(LaunchError, match="no launcher for linux/riscv128"):
        launcher_path("riscv128")
