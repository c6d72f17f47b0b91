"""Buildpacks that run as the user of the lifecycle, or as root, and look around among processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from parts.nobody import AS_NOBODY, NOBODY
from parts.small_build import make_small_build

SECRET = "Basic-c2VjcmV0"
NOSY = f"""#!{sys.executable}
import os, subprocess, sys
def readable(pid, name):
    try:
        if name == "fd":
            return bool(os.readlink(f"/proc/{{pid}}/fd/0"))
        if name == "environ":
            return bool(open(f"/proc/{{pid}}/environ", "rb").read())
        first = int(open(f"/proc/{{pid}}/maps").readline().partition("-")[0], 16)
        with open(f"/proc/{{pid}}/mem", "rb") as memory:
            memory.seek(first)
            return bool(memory.read(1))
    except OSError:
        return False
def look(who, pid):
    seen = [name for name in ("environ", "fd", "mem") if readable(pid, name)]
    print(f"nosy {{os.path.basename(sys.argv[0])}} of {{who}}:", *seen or ["nothing"], flush=True)
with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
    child.stdin.write(b"x")
    child.stdout.read(1)
    look("child", child.pid)
    look("lifecycle", os.getppid())
    if os.geteuid() == 0:
        above = open(f"/proc/{{os.getppid()}}/stat").read().rpartition(")")[2].split()[1]
        look("caller", int(above))
    child.stdin.close()
print("nosy environment:", [name for name, value in os.environ.items() if {SECRET!r} in value], flush=True)
"""
SEEN = "nosy {0} of child: environ fd mem\nnosy {0} of lifecycle: nothing\n"


@pytest.fixture
def place():
    """A small build with a buildpack that looks, in both its executables, where other users may enter."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        made = make_small_build(directory, prefix=name, owner=NOBODY if os.geteuid() == 0 else None)
        (directory / "cnb/lifecycle/launcher").write_text("#!/bin/sh\n")
        for each in ("detect", "build"):
            buildpack(made).joinpath("bin", each).write_text(NOSY)
        yield made


def buildpack(place):
    return place.root / "cnb/buildpacks/test_small/1.0.0"


def lifecycle(place, *arguments, before=()):
    """Run a command in a process of its own, which has the secret from its start."""
    environment = {
        **place.environment,
        "HOME": str(place.root / "tmp"),
        "CNB_REGISTRY_AUTH": f'{{"registry.example": "{SECRET}"}}',
        "CNB_LOG_LEVEL": "debug",
        "NO_COLOR": "1",
    }
    command = [*before, sys.executable, "-m", "lifecycle", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=place.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert done.stdout.count("nosy environment: []") + done.stderr.count("nosy environment: []") > 0
    return done.stdout + done.stderr


def check(output, *executables):
    lines = "".join(f"{line[line.index('nosy') :]}\n" for line in output.splitlines() if "nosy" in line)
    for each in executables:
        assert SEEN.format(each) in lines
    assert "of caller: environ" not in lines


@pytest.fixture
def as_user():
    """What makes a command start as another user than root, as clusters start phases."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing, of Debian's util-linux")
    return AS_NOBODY if os.geteuid() == 0 else ()


@pytest.mark.requirement("BP-SEC-001")
def test_a_creator_that_starts_as_the_user_of_the_build_shows_it_nothing(place, as_user):
    check(lifecycle(place, "creator", *place.arguments("creator"), before=as_user), "detect", "build")


@pytest.mark.requirement("BP-SEC-001")
def test_phases_that_have_credentials_needlessly_show_nothing(place, as_user):
    for phase, executable in {"detector": "detect", "builder": "build"}.items():
        check(lifecycle(place, phase, *place.arguments(phase), before=as_user), executable)


@pytest.mark.requirement("BP-SEC-001")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs buildpacks as root")
def test_buildpacks_of_root_see_nothing_of_a_creator_and_of_whoever_called_it(place):
    check(lifecycle(place, "creator", *place.arguments("creator")), "detect", "build")


@pytest.mark.requirement("BP-SEC-001")
def test_a_build_of_a_person_shows_nothing(place):
    arguments = ("build", place.root / "workspace", "-b", buildpack(place), "-o", place.root / "image", "-t", "app")
    check(lifecycle(place, *arguments, "--verbose"), "build")
