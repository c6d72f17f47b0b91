"""Which process starts, with which arguments.  Spec: platform.md "launcher", "Inputs"."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

PLATFORM_APIS = [f"0.{minor}" for minor in range(7, 16)]
BUILDPACK_APIS = [f"0.{minor}" for minor in range(7, 13)]
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
    image.process(PRINTF, api)
    assert image.run("web").returncode == 12


@pytest.mark.requirement("PLAT-LAU-003", "PLAT-LAU-004", "PLAT-FILE-013")
@pytest.mark.parametrize("api", PLATFORM_APIS)
def test_the_base_name_of_the_launcher_selects_the_process(image: Any, api: str) -> None:
    image.process(PRINTF)
    assert image.run("/cnb/process/web", api=api).stdout == "one,two,"


@pytest.mark.requirement("PLAT-LAU-005")
@pytest.mark.parametrize("api", PLATFORM_APIS[:-1])
def test_below_platform_0_15_the_process_is_taken_whatever_its_execution_environment(image: Any, api: str) -> None:
    image.process(f'{PRINTF}\nexec-env = ["test"]\n[[processes]]\ntype = "other"\ncommand = ["false"]')
    assert image.run("web", api=api, CNB_EXEC_ENV="production").stdout == "one,two,"


@pytest.mark.requirement("PLAT-LAU-006")
def test_among_processes_of_one_type_the_eligible_one_starts(image: Any) -> None:
    image.process(
        'command = ["echo", "for tests"]\ndirect = true\nexec-env = ["test"]\n'
        '[[processes]]\ntype = "web"\nbuildpack-id = "a/b"\ncommand = ["echo", "else"]\ndirect = true'
    )
    assert image.run("web").stdout == "else\n"
    assert image.run("web", CNB_EXEC_ENV="test").stdout == "for tests\n"


@pytest.mark.requirement("PLAT-LAU-010", "PLAT-LAU-011", "PLAT-LAU-012", "BP-LTOML-010")
@pytest.mark.parametrize("buildpack_api", BUILDPACK_APIS)
@pytest.mark.parametrize("api", PLATFORM_APIS)
def test_user_arguments_replace_or_follow_the_defaults(image: Any, api: str, buildpack_api: str) -> None:
    image.process('command = ["echo"]\nargs = ["default"]\ndirect = true', buildpack_api)
    replaces = int(api[2:]) >= 10 and int(buildpack_api[2:]) >= 9
    assert image.run("web", "user", api=api).stdout == ("user\n" if replaces else "default user\n")
    image.process(PRINTF, buildpack_api)
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
    image.process(f"{PRINTF}\nexec-env = {listed}")
    env = {} if value is None else {"CNB_EXEC_ENV": value}
    done = image.run("web", **env)
    assert (done.returncode == 0) is starts
    assert starts or "process type web was not found" in done.stdout
    assert starts or done.returncode == 82
    assert image.run("web", api="0.14", **env).returncode == 0


@pytest.mark.requirement("PLAT-LAU-001", "PLAT-LAU-009", "PLAT-LAU-015", "PLAT-LAU-022", "PLAT-FILE-017")
def test_processes_start_in_their_working_directory_or_the_app(image: Any, tmp_path: Any) -> None:
    image.process('command = ["pwd"]\ndirect = true')
    assert image.run("web").stdout.strip() == str(image.app)
    assert image.run("launcher", "pwd").stdout.strip() == str(image.app)
    image.process(f'command = ["pwd"]\ndirect = true\nworking-dir = "{tmp_path}"')
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
    image.process('command = "echo $A | tr b c"', "0.7")
    assert image.run("web", api=api, A="b").stdout == "c\n"
    image.process('command = "echo"\nargs = ["$A", "x"]', "0.7")
    assert image.run("web", api=api, A="b").stdout == "b x\n"
    image.process('command = "echo"\nargs = ["$A"]\ndirect = true', "0.7")
    assert image.run("web", api=api, A="b").stdout == "$A\n"


@pytest.mark.requirement("PLAT-LAU-026")
def test_missing_metadata_exits_with_82(image: Any) -> None:
    (image.layers / "config/metadata.toml").unlink()
    done = image.run("web")
    assert done.returncode == 82
    assert done.stdout.endswith("metadata.toml: no such file or directory\n")


@pytest.mark.parametrize("text", ["", "processes = []", "direct = true"])
def test_a_process_without_command_is_an_error(image: Any, text: str) -> None:
    image.metadata(f'[[processes]]\ntype = "web"\n{text}\n')
    done = image.run("web")
    assert done.returncode == 82
    assert 'no command provided for process type "web"' in done.stdout


@pytest.mark.requirement("PLAT-LAU-026")
@pytest.mark.parametrize(
    "text", ["[[processes]", "processes = 1\n", "a = {", "[[processes]]\ntype = 1\n", "[a]\n[a]\n"]
)
def test_malformed_metadata_exits_with_82(image: Any, text: str) -> None:
    image.metadata(text)
    done = image.run("web")
    assert done.returncode == 82
    assert done.stdout.startswith("ERROR: failed to read metadata: ")


def test_metadata_that_the_launcher_does_not_use_is_skipped(image: Any) -> None:
    image.process(
        PRINTF
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


@pytest.mark.requirement("PLAT-LAU-023", "PLAT-LAU-024")
@pytest.mark.parametrize("words", [["--", "sh", "-c", "echo $$"], ["echo $$"], ["echo", "$$"]])
def test_the_process_keeps_the_launchers_pid_also_through_a_shell(image: Any, words: list[str]) -> None:
    with subprocess.Popen(
        ["x", *words], executable=image.launcher, text=True, env=image.variables(), stdout=subprocess.PIPE
    ) as running:
        assert running.communicate()[0].strip() == str(running.pid)
