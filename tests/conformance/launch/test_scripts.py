"""exec.d programs and profile scripts.  Spec: buildpack.md "Exec.d", platform.md "launcher", "Execution"."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.requirement("PLAT-LAU-016")
def test_execd_programs_see_the_variables_of_all_layers_also_of_later_buildpacks(image: Any) -> None:
    image.process('command = ["printenv", "SEEN"]\ndirect = true')
    image.file("second/l/env/A", "env")
    image.file("second/l/env.launch/B", "launch")
    image.file("second/l/env.launch/web/C", "of the process")
    image.file("second/l/env.launch/other/D", "of another")
    image.file("second/l/bin/tool", "#!/bin/sh\necho tool\n", 0o755)
    image.execd("a_b/l/exec.d/1", 'echo "SEEN = \\"$A, $B, $C, $D, $(tool)\\"" >&3')
    assert image.run("web").stdout == "env, launch, of the process, , tool\n"


@pytest.mark.requirement("PLAT-LAU-017", "BP-EXECD-001", "BP-EXECD-003", "BP-EXECD-004")
def test_execd_programs_run_in_the_app_and_see_what_earlier_ones_set(image: Any) -> None:
    image.process('command = ["printenv", "A", "B"]\ndirect = true')
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


@pytest.mark.requirement("PLAT-LAU-021", "PLAT-LAU-024", "BP-LAU-004")
def test_profiles_are_sourced_in_order_by_one_shell(image: Any) -> None:
    image.process('command = "echo $P $$"', "0.7")
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


@pytest.mark.requirement("BP-LAU-005", "PLAT-LAU-009", "PLAT-LAU-022")
@pytest.mark.parametrize("platform_api", ["0.9", "0.12", "0.15"])
@pytest.mark.parametrize("buildpack_api", [f"0.{minor}" for minor in range(8, 13)])
def test_scripts_run_in_the_app_and_the_command_in_its_working_directory(
    image: Any, platform_api: str, buildpack_api: str
) -> None:
    image.process(f'command = ["echo $E $P $PWD"]\nworking-dir = "{image.layers}"', buildpack_api)
    image.execd("a_b/l/exec.d/1", "echo \"E = '$PWD'\" >&3")
    image.file("a_b/l/profile.d/1", "export P=$PWD\n")
    assert image.run("web", api=platform_api).stdout == f"{image.app} {image.app} {image.layers}\n"
    image.process('command = ["echo $E $P $PWD"]', buildpack_api)
    assert image.run("web", api=platform_api).stdout == f"{image.app} {image.app} {image.app}\n"


@pytest.mark.requirement("BP-EXECD-003")
def test_what_an_execd_program_prints_goes_where_the_launchers_output_goes(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "echo told; echo warned >&2")
    done = image.run("x", "--", "echo", "started")
    assert (done.stdout, done.stderr) == ("told\nstarted\n", "warned\n")


def test_execd_output_replaces_earlier_values_one_program_after_the_other(image: Any) -> None:
    for number in range(3):
        image.execd(f"a_b/l/exec.d/{number}", f"echo \"A = '${{A}}{number}'\" >&3")
    image.execd("a_b/k/exec.d/9", "echo \"A = '$A-'\" >&3")
    image.file("a_b/m/env/A", "file")
    assert image.printed_env()["A"] == "file-012"
