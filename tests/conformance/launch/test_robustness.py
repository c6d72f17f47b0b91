"""What images, platforms and programs shouldn't do to the launcher, and do."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from parts.temporary import let_others_enter

ENV_COMMAND = 'command = ["env", "-0"]\ndirect = true'


@pytest.fixture
def as_another_user() -> dict[str, Any]:
    """Popen arguments that drop root, which may read and enter everything."""
    return {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def failure(image: Any, *argv: str, **options: str) -> str:
    done = image.run(*argv, **options)
    assert done.returncode == 82
    assert done.stdout.startswith("ERROR: failed to ")
    return done.stdout


def test_an_execd_program_may_leave_something_running_that_keeps_its_output_open(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "echo \"A = 'kept'\" >&3; sleep 60 >/dev/null 2>&1 & echo $! > pid")
    try:
        assert image.printed_env()["A"] == "kept"
    finally:
        os.kill(int((image.app / "pid").read_text()), signal.SIGKILL)


def test_an_execd_program_may_close_its_output_and_go_on(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "echo \"A = 'early'\" >&3; exec 3>&-; sleep 0.3; echo late > late")
    assert image.printed_env()["A"] == "early"
    assert (image.app / "late").read_text() == "late\n"


def test_an_execd_program_reads_nothing(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "echo \"A = '$(cat | wc -c)'\" >&3")
    done = subprocess.run(
        ["x", "--", "printenv", "A"],
        executable=image.launcher,
        env=image.variables(),
        input=b"for the app",
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"0\n"


def test_the_process_reads_what_the_launcher_was_given(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "cat")
    done = subprocess.run(
        ["x", "--", "cat"],
        executable=image.launcher,
        env=image.variables(),
        input=b"for the app",
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"for the app"


def test_an_execd_program_may_write_a_megabyte_but_not_for_ever(image: Any) -> None:
    image.execd(
        "a_b/l/exec.d/1",
        "i=0; while [ $i -lt 9 ]; do i=$((i+1)); echo \"A$i = '$(head -c 110000 /dev/zero | tr '\\0' x)'\" >&3; done",
    )
    assert len(image.printed_env()["A9"]) == 110_000
    image.execd("a_b/l/exec.d/1", "trap '' PIPE; while :; do echo '# more' >&3; done 2>/dev/null")
    assert "more than 4194304 bytes of output" in failure(image, "x", "--", "true")


@pytest.mark.parametrize("held", [[], [0], [1], [0, 1], [0, 1, 2], [3]])
def test_it_starts_without_standard_descriptors(image: Any, held: list[int]) -> None:
    image.execd("a_b/l/exec.d/1", "echo \"A = 'x'\" >&3")
    read_end, write_end = os.pipe()
    # Above every descriptor that a shell takes for itself, and free whatever the test run holds open.
    moved = fcntl.fcntl(write_end, fcntl.F_DUPFD, 64)

    def close() -> None:
        for descriptor in held:
            os.close(descriptor) if descriptor != 3 else os.dup2(moved, 3)

    with subprocess.Popen(
        ["x", "--", "bash", "-c", f"echo $A >&{moved}"],
        executable=image.launcher,
        env=image.variables(),
        preexec_fn=close,  # noqa: PLW1509  # no thread runs here
        close_fds=False,
    ) as running:
        os.close(write_end)
        os.close(moved)
        with os.fdopen(read_end) as stream:
            assert stream.read() == "x\n"
        assert running.wait() == 0


def test_no_descriptor_of_the_launcher_reaches_a_program(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "ls /proc/$$/fd > list")
    process = image.run("x", "--", "sh", "-c", "ls /proc/$$/fd; true").stdout.split()
    # A shell keeps its script open from descriptor 10 on.
    assert [each for each in (image.app / "list").read_text().split() if int(each) < 10] == ["0", "1", "2", "3"]
    assert process == ["0", "1", "2"]


def test_ignored_and_blocked_signals_stay_so_for_the_process_and_do_not_confuse_the_launcher(image: Any) -> None:
    image.execd("a_b/l/exec.d/1", "echo \"A = 'x'\" >&3")

    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

    def states(prefix: list[str]) -> list[str]:
        status = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
        done = subprocess.run([*prefix, *status], executable=image.launcher if prefix else None, env=image.variables(),
                              preexec_fn=ignore, capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout.splitlines()

    assert states(["x", "--"]) == states([])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_launcher_and_the_execd_program_that_it_waits_for(image: Any, number: int) -> None:
    image.execd("a_b/l/exec.d/1", "echo $$ > started; mv started ready; exec sleep 60")

    def heed() -> None:
        """What starts the tests in the background ignores SIGINT and SIGQUIT, and so would the launcher."""
        signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(
        ["x", "--", "true"],
        executable=image.launcher,
        env=image.variables(),
        preexec_fn=heed,  # noqa: PLW1509  # nothing else runs in this test
        stdout=subprocess.PIPE,
    ) as running:
        ready = image.app / "ready"
        while not ready.exists():
            time.sleep(0.01)
        running.send_signal(number)
        assert running.wait(30) == -number
    child = Path(f"/proc/{ready.read_text().strip()}/stat")
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a process id namespace")
def test_a_signal_ends_it_also_as_process_1(image: Any) -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host lets nobody make a process id namespace")
    image.execd("a_b/l/exec.d/1", "touch ready; sleep 60")
    (image.app / "web").symlink_to(image.launcher)
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", image.app / "web", "--", "true"], env=image.variables()
    ) as running:
        while not (image.app / "ready").exists():
            time.sleep(0.01)
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        try:
            assert running.wait(30) == 128 + signal.SIGTERM
        finally:
            running.kill()


def test_many_arguments_and_variables_pass(image: Any) -> None:
    words = [f"word-{number}" for number in range(20_000)]
    assert image.run("x", "--", "printf", "%s\n", *words).stdout.split() == words
    variables = {f"VARIABLE_{number}": "x" for number in range(20_000)}
    image.process(ENV_COMMAND)
    done = image.run("web", **variables)
    assert variables.items() <= dict(each.split("=", 1) for each in done.stdout.split("\0") if each).items()


def test_three_thousand_arguments_pass_a_shell(image: Any) -> None:
    words = [f"w{number}" for number in range(3000)]
    assert image.run("x", "true", *words).returncode == 0
    assert "bash exec: /bin/bash: argument list too long" in failure(image, "x", "true", *words * 3)


def test_a_variable_that_the_kernel_refuses_is_named_as_such(image: Any) -> None:
    image.file("a_b/l/env/A", "x" * 200_000)
    assert "argument list too long" in failure(image, "x", "--", "true").lower()


@pytest.mark.parametrize("name", ["", "/", "a/", "."])
def test_a_name_that_is_none_selects_no_process(image: Any, name: str) -> None:
    image.metadata('[[buildpacks]]\nid = "a/b"\napi = "0.12"\n[[processes]]\ntype = ""\ncommand = ["false"]\n')
    assert image.run(name, "--", "echo", "x").stdout == "x\n"


@pytest.mark.parametrize("process_type", [".", ".."])
def test_a_process_type_never_leads_out_of_the_directories_of_processes(image: Any, process_type: str) -> None:
    image.metadata(
        '[[buildpacks]]\nid = "a/b"\napi = "0.12"\n[[processes]]\nbuildpack-id = "a/b"\n'
        f'type = "{process_type}"\ncommand = ["env", "-0"]\ndirect = true\n'
    )
    image.file("a_b/l/B", "outside")
    image.file("a_b/l/env.launch/A.append", "once")
    image.execd("a_b/l/run-me", "exit 9")
    found = dict(each.split("=", 1) for each in image.run(process_type).stdout.split("\0") if each)
    assert found["A"] == "once"
    assert "B" not in found


@pytest.mark.parametrize("name", ["bin", "lib", "env", "env.launch", "env/A", "exec.d", "exec.d/1"])
def test_a_loop_of_links_is_an_error_that_names_it(image: Any, name: str) -> None:
    path = image.layers / "a_b/l" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(path.name)
    message = failure(image, "x", "--", "true")
    assert str(path) in message
    assert "too many levels of symbolic links" in message.lower() or "symbolic link loop" in message


@pytest.mark.parametrize("name", ["a_b/l/env", "a_b/l/env.launch", "a_b/l/exec.d", "a_b", "a_b/l/env/A"])
def test_what_can_not_be_read_is_an_error_that_names_it(
    image: Any, name: str, as_another_user: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    image.file("a_b/l/env/A", "x")
    image.file("a_b/l/env.launch/A", "x")
    image.execd("a_b/l/exec.d/1", "true")
    launcher = shutil.copy(image.launcher, image.root / "launcher")
    let_others_enter(image.root, tmp_path_factory.getbasetemp())
    hidden = image.layers / name
    before = hidden.stat().st_mode
    hidden.chmod(0)
    try:
        done = subprocess.run(["x", "--", "true"], executable=launcher, env=image.variables(), capture_output=True, text=True, check=False,
                              **as_another_user)  # fmt: skip
    finally:
        hidden.chmod(before)
    assert done.returncode == 82
    assert str(hidden) in done.stdout
    assert "permission denied" in done.stdout


def test_profiles_may_have_any_name(image: Any) -> None:
    for number, name in enumerate(["a b", 'c"d', "e$HOME", "f`exit`", "g\\", "h\ni", "j'k"]):
        image.file(f"a_b/l/profile.d/{name}", f"export P=${{P}}{number}\n")
    assert image.run("x", "echo $P").stdout == "0123456\n"


def test_the_app_profile_is_found_wherever_other_profiles_go(image: Any) -> None:
    image.file("a_b/l/profile.d/a", "cd /\n")
    (image.app / ".profile").write_text("export P=app\n")
    assert image.run("x", "echo $P $PWD").stdout == f"app {image.app}\n"


@pytest.mark.parametrize(
    "document", [b"a = '\xff'", b"[[processes]]\r", b"\x00", b"\xef\xbb\xbfa = 1", b"a = " + b"[" * 1_000_000]
)
def test_metadata_that_is_no_toml_is_refused(image: Any, document: bytes) -> None:
    image.file("config/metadata.toml", document)
    assert failure(image, "web").startswith("ERROR: failed to read metadata: toml: ")


@pytest.mark.parametrize(
    "word", ['command = ["a\\u0000b"]', 'type = "a\\u0000"', 'args = ["\\u0000"]', 'working-dir = "\\u0000"']
)
def test_a_nul_can_be_in_no_word(image: Any, word: str) -> None:
    image.metadata(f"[[processes]]\n{word}\n")
    assert "a key of [[processes]] has the wrong type" in failure(image, "web")


def test_a_nul_can_be_in_no_variable_but_in_files_that_are_none(image: Any) -> None:
    image.file("a_b/l/env/A.bak", b"\0")
    assert image.run("x", "--", "true").returncode == 0
    image.file("a_b/l/env/A", b"x\0y")
    assert "a variable can't hold a NUL byte" in failure(image, "x", "--", "true")


def test_metadata_with_windows_line_ends_or_other_letters_in_keys_is_read(image: Any) -> None:
    image.process('Command = ["printf", "%s,"]\r\nARGS = ["one"]\r\nDirect = true')
    assert image.run("web").stdout == "one,"


def test_no_environment_at_all_is_a_missing_platform_api(image: Any) -> None:
    done = subprocess.run(["x"], executable=image.launcher, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 11
    assert "CNB_PLATFORM_API" in done.stdout


def test_a_full_disk_or_closed_output_does_not_hide_the_exit_code(image: Any) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(["x"], executable=image.launcher, env=image.variables(), stdout=full, check=False)
    assert done.returncode == 82
    done = subprocess.run(
        ["x"], executable=image.launcher, env=image.variables(), preexec_fn=lambda: os.close(1), check=False
    )
    assert done.returncode == 82
