"""Ctrl-C, a terminal that goes away and an engine that stops a container: a build ends as a whole and tidies up."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parts.phases import Place, temporary_place

WITHIN = 60.0
"""Seconds, on a machine that is very busy."""
HANGS = 'sleep 1000 & echo $$ $! > "$HOME/pids.new"; mv "$HOME/pids.new" "$HOME/pids"; wait; wait'
STUBBORN = f"trap '' TERM; {HANGS}"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def place():
    with temporary_place() as made:
        made.run_image("reg.example/run")
        made.write("launcher", "#!/bin/sh\n")
        made.write("home/pids.new", "")
        made.write("tmp/x", "").unlink()
        yield made


@contextlib.contextmanager
def started(place: Place, *command):
    """Start a program and wait until its buildpack hangs; yield it with the processes of the buildpack."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(place.root / "tmp"),
        "HOME": str(place.root / "home"),
        "CNB_PLATFORM_API": "0.15",
        "CNB_EXPERIMENTAL_MODE": "silent",
        "XDG_CACHE_HOME": str(place.root / "home"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "lifecycle", *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            assert eventually((place.root / "home" / "pids").exists, program), program.stdout.read()
            yield program, [int(each) for each in (place.root / "home" / "pids").read_text().split()]
        finally:
            program.kill()


def eventually(condition, program=None):
    until = time.monotonic() + WITHIN
    while time.monotonic() < until and (program is None or program.poll() is None):
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def gone(pid):
    """Say whether a process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def creator(place):
    directories = {"layers": "layers", "app": "app", "buildpacks": "buildpacks", "platform": "platform"}
    options = [f"-{name}={place.root / path}" for name, path in directories.items()]
    return [
        "creator", "-layout", f"-layout-dir={place.root}/images", "-run-image=reg.example/run", *options,
        f"-launcher={place.root}/launcher", "reg.example/app",
    ]  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("executable", ["detect", "build"])
def test_a_signal_ends_a_phase_and_the_processes_of_its_buildpack(place, number, executable):
    place.buildpack(**{executable: HANGS.replace("$HOME", str(place.root / "home"))})
    with started(place, *creator(place)) as (program, processes):
        program.send_signal(number)
        output, _ = program.communicate(timeout=WITHIN)
        assert program.returncode == 128 + number
        assert "Traceback" not in output
        assert output.endswith("interrupted\n")
        assert eventually(lambda: all(map(gone, processes)))
    assert list((place.root / "tmp").iterdir()) == []
    assert not (place.layers / "report.toml").exists()


@pytest.mark.parametrize("executable", ["detect", "build"])
def test_who_does_not_listen_is_killed(place, executable):
    place.buildpack(**{executable: STUBBORN.replace("$HOME", str(place.root / "home"))})
    with started(place, *creator(place)) as (program, processes):
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=WITHIN)
        assert program.returncode == 128 + signal.SIGTERM
        assert eventually(lambda: all(map(gone, processes)))
    assert list((place.root / "tmp").iterdir()) == []


def test_a_second_signal_does_not_wait(place):
    place.buildpack(detect=STUBBORN.replace("$HOME", str(place.root / "home")))
    with started(place, *creator(place)) as (program, processes):
        program.send_signal(signal.SIGTERM)
        assert eventually(lambda: not handled_first(program.pid))
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=WITHIN)
        assert program.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}
        assert eventually(lambda: all(map(gone, processes)))


def handled_first(pid):
    """Say whether a signal still waits to be seen."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("ShdPnd:")[2].split()[0], 16) != 0


@pytest.mark.parametrize("executable", ["detect", "build"])
def test_what_a_build_that_was_killed_left_goes_with_the_next(place, executable):
    home, temporary = place.root / "home", place.root / "tmp"
    place.buildpack(**{executable: f"[ -e {home}/pids ] || {{ {HANGS.replace('$HOME', str(home))}; }}"})
    with started(place, *creator(place)) as (program, processes):
        program.kill()
        for each in processes:
            os.kill(each, signal.SIGKILL)
        program.communicate(timeout=WITHIN)
    assert list(temporary.iterdir()) != []
    with started(place, *creator(place)) as (program, _):
        output, _ = program.communicate(timeout=WITHIN)
        assert program.returncode == 0, output
    assert list(temporary.iterdir()) == []


def test_the_command_for_people_ends_in_the_same_way(place):
    place.buildpack(build=HANGS.replace("$HOME", str(place.root / "home")))
    place.root.joinpath("home").chmod(0o755)
    with started(place, "build", place.root / "app", "-b", place.root / "buildpacks/a_b/1", "-t", "app") as (
        program,
        processes,
    ):
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=WITHIN)
        assert program.returncode == 130
        assert "Traceback" not in output
        assert eventually(lambda: all(map(gone, processes)))
    assert list((place.root / "tmp").iterdir()) == []
