"""Commands of Dockerfiles: as which user they run, and what becomes of what they leave running."""

import contextlib
import os
import time
from pathlib import Path

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.executables.process import Command, ProcessUser, run_process


def test_what_a_command_left_running_ends_with_it_if_nothing_is_to_be_left(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pid_file}; echo done"
    printed = []
    command = Command(("/bin/sh", "-c", script), tmp_path, {"PATH": "/usr/bin:/bin"}, leaves_nothing=True)
    assert run_process(command, output=printed.append) == 0
    assert b"".join(printed) == b"done\n"
    # It has been killed, which takes effect when it is on a processor next.
    stat = Path(f"/proc/{int(pid_file.read_text())}/stat")
    until = time.monotonic() + 30
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        while stat.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize("script", ["exit 3", "exec >&- 2>&-; sleep 0.1; exit 3", "yes | head -c 500000; exit 3"])
def test_a_command_that_leaves_nothing_gives_its_status_and_all_that_it_prints(tmp_path, script):
    printed = []
    command = Command(("/bin/sh", "-c", script), tmp_path, {"PATH": "/usr/bin:/bin"}, leaves_nothing=True)
    assert run_process(command, output=printed.append) == 3
    assert sum(map(len, printed)) == (500000 if "yes" in script else 0)


@pytest.mark.parametrize(
    ("content", "mode", "remedy"),
    [
        (b"#!/bin/sh\n", 0o644, "chmod \\+x"),
        (b"#!/bin/sh\r\nexit 0\r\n", 0o755, "CR LF"),
        (b"#!/no/such -x\n", 0o755, "'/no/such', which is not there"),
        (b"exit 0\n", 0o755, "such as #!/bin/sh"),
        (b"\x7fELF\1\1\1" + bytes(60), 0o755, "other machines"),
        (None, 0o755, "missing"),
    ],
)
def test_what_can_not_be_started_is_told_with_its_cause(tmp_path, content, mode, remedy):
    path = tmp_path / "build"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(LifecycleError, match=f"can't be started: .*{remedy}"):
        run_process(Command((str(path),), tmp_path, {}), output=print)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_can_not_be_started_and_is_not_waited_for(tmp_path, make):
    path = tmp_path / "build"
    make(path, 0o755)
    with pytest.raises(LifecycleError, match=r"can't be started: .*it is no file"):
        run_process(Command((str(path),), tmp_path, {}), output=print)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of other users")
def test_a_command_runs_as_its_user_with_the_groups_of_that_user(tmp_path):
    printed = []
    user = ProcessUser(1234, 2345, (5, 6))
    command = Command(("/usr/bin/id", "-u"), Path("/"), {}, user)
    groups = Command(("/usr/bin/id", "-G"), Path("/"), {}, user)
    assert (run_process(command, output=printed.append), run_process(groups, output=printed.append)) == (0, 0)
    assert b"".join(printed) == b"1234\n2345 5 6\n"
