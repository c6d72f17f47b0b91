"""What ``lifecycle doctor`` prints, and its checks of this host."""

import io
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli.commands.doctor import doctor
from lifecycle.cli.commands.doctor.check import Check, Mark, Section
from lifecycle.cli.commands.doctor.doctor import DoctorRequest, diagnose
from lifecycle.cli.commands.doctor.host import directories, engine, writable
from lifecycle.executables import namespace


def shown(monkeypatch, *checks, width=100):
    monkeypatch.setattr(doctor, "_sections", lambda *_: [Section("title", checks)])
    out = io.StringIO()
    well = diagnose(DoctorRequest(), environment={}, out=out, width=width)
    return well, out.getvalue()


def test_each_check_is_a_line_with_its_remedy_below(monkeypatch):
    well, text = shown(
        monkeypatch,
        Check(Mark.OK, "name", "found"),
        Check(Mark.NOTE, "proxy", "none"),
        Check(Mark.FAILED, "read", "refused", "log in"),
    )
    assert not well
    assert text == (
        "title\n"
        "  ok      name        found\n"
        "  -       proxy       none\n"
        "  failed  read        refused\n"
        "                      → log in\n"
        "\n"
        "1 problem found\n"
    )


def test_notes_are_no_problems(monkeypatch):
    well, text = shown(monkeypatch, Check(Mark.OK, "a", "b"), Check(Mark.NOTE, "a", "b"))
    assert well
    assert text.endswith("\n\nall is well\n")


@given(st.lists(st.text("ab-/ ", min_size=1), min_size=1), st.integers(63, 120))
def test_long_texts_are_wrapped_and_lose_nothing(parts, width):
    with pytest.MonkeyPatch.context() as monkeypatch:
        _, text = shown(monkeypatch, Check(Mark.FAILED, "name", "x ".join(parts), "y ".join(parts)), width=width)
    lines = text.splitlines()
    assert all(len(line) <= width or len(line[22:].split()) <= 2 for line in lines)
    words = " ".join(line[22:] for line in lines[1:-2]).split()
    assert words == [*"x ".join(parts).split(), "→", *"y ".join(parts).split()]


def test_colors_are_for_terminals_that_want_them(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(doctor, "_sections", lambda *_: [Section("title", [Check(Mark.OK, "a", "b")])])
    for environment, colored in (({}, True), ({"NO_COLOR": ""}, False)):
        out = Terminal()
        diagnose(DoctorRequest(), environment=environment, out=out)
        assert ("\x1b[" in out.getvalue()) is colored


# Directories


def test_a_directory_that_is_there_or_can_be_made_is_writable_and_stays_as_it_was(tmp_path):
    for path in (tmp_path, tmp_path / "not" / "yet"):
        found = writable("cache", path, remedy="")
        assert found.mark is Mark.OK
        assert found.text.startswith(f"{path}, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "dangling/below"])
def test_what_is_no_directory_is_not_writable(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    found = writable("cache", tmp_path / name, remedy="choose another")
    assert found.mark is Mark.FAILED
    assert found.text.startswith(f"{tmp_path / name} can't be written")
    assert found.remedy == "choose another"


def test_a_directory_of_somebody_else_is_not_writable(tmp_path):
    tmp_path.chmod(0o500)
    code = (
        "import os, sys; from pathlib import Path; from lifecycle.cli.commands.doctor.host import writable\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY); os.fchdir(fd)\n"
        "if os.geteuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(writable('cache', Path(f'/proc/self/fd/{fd}'), remedy='').text)\n"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert done.stdout.rstrip().endswith("can't be written: Permission denied"), done.stderr


def test_a_file_system_without_programs_is_no_place_for_buildpacks(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lifecycle.cli.commands.doctor.host import writable\n"
        "print(writable('state', Path(sys.argv[1]), remedy='', runs=True).text)\n"
        "print(writable('cache', Path(sys.argv[1]), remedy='').mark)\n"
    )
    script = 'mount -t tmpfs -o noexec,size=1g none "$1" && exec "$2" -c "$3" "$1"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", tmp_path, sys.executable, code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"this host lets nobody mount: {done.stderr.strip()}")
    assert done.stderr == ""
    assert done.stdout == f"{tmp_path} is mounted noexec, so buildpacks can't run there\nok\n"


def checks(environment, cache=None):
    return {check.name: check for check in directories(environment, cache=cache)}


def test_the_directories_of_a_user(tmp_path):
    found = checks({"HOME": str(tmp_path)})
    assert found["state"].text.startswith(str(tmp_path / ".local/state/cnb-lifecycle"))
    assert found["cache"].text.startswith(str(tmp_path / ".cache/cnb-lifecycle"))
    assert {"temporary", "layers", "workspace"} <= set(found)


def test_a_home_that_can_not_be_used_is_the_reason_for_another_place(tmp_path):
    (tmp_path / "file").touch()
    found = checks({"HOME": str(tmp_path / "file")})
    assert found["state"].text.endswith(f"because {tmp_path / 'file'} can't be written")
    assert checks({})["state"].text.endswith("because HOME is not set")


def test_directories_that_the_platform_names_are_checked(tmp_path):
    (tmp_path / "file").touch()
    found = checks(
        {"HOME": str(tmp_path), "CNB_LAYERS_DIR": str(tmp_path / "layers"), "CNB_CACHE_DIR": str(tmp_path / "file")},
        cache=tmp_path / "file",
    )
    assert found["CNB_LAYERS_DIR"].mark is Mark.OK
    assert found["CNB_CACHE_DIR"].mark is Mark.FAILED
    assert "set CNB_CACHE_DIR to another directory" in found["CNB_CACHE_DIR"].remedy
    assert found["cache"].remedy == "choose another --cache-dir"


# Kernel and daemon


def test_a_daemon_that_does_not_answer_is_a_problem(tmp_path):
    found = {check.name: check for check in engine({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})}
    assert found["daemon"].mark is Mark.FAILED
    assert f"{tmp_path}/none.sock" in found["daemon"].text
    assert found["daemon"].remedy


def test_a_socket_that_nobody_listens_to_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("docker.sock")
    found = {check.name: check for check in engine({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})}
    assert found["daemon"].mark is Mark.FAILED


def test_namespaces_that_the_host_forbids_come_with_a_remedy(monkeypatch):
    monkeypatch.setattr(namespace, "obstacle", lambda *_: "unshare mounts: Operation not permitted")
    found = {check.name: check for check in engine({"DOCKER_HOST": "unix:///none"})}["namespaces"]
    assert found.mark is Mark.FAILED
    assert "unshare mounts: Operation not permitted" in found.text
    assert "allow user namespaces" in found.remedy
