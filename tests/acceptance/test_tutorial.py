"""Every command of buildpacks/README.md, in order, with what it shows."""

from __future__ import annotations

import os
import re
import site
import subprocess
import venv
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
README = CLONE / "buildpacks" / "README.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FAILING = {'pytest -q greeting -k "not Contract"': 1, "lifecycle build greeting/bin --buildpack greeting --explain": 20}
"""Commands that are shown as they fail, with their exit code; the first time only."""


def commands():
    """Yield each command with the lines that are shown of its output."""
    for block in CONSOLE.findall(README.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def matches(shown, output):
    """Say which shown line is missing: all of them have to come in this order, ``…`` standing for anything."""
    rest = output
    for line in shown:
        pattern = ".*?".join(re.escape(part.strip()) for part in line.split("…"))
        found = re.search(pattern, rest)
        if found is None:
            return line
        rest = rest[found.end() :]
    return None


@pytest.fixture
def new_environment(tmp_path):
    """The programs of an environment in which pip finds here what it would download: what the tests have."""
    root = tmp_path / "environment"
    venv.create(root, symlinks=True)
    [packages] = root.glob("lib/python*/site-packages")
    (packages / "of_tests.pth").write_text("\n".join(site.getsitepackages()))
    for module in ("pip", "pytest"):
        program = root / "bin" / module
        program.write_text(f'#!/bin/sh\nexec "{root}/bin/python" -m {module} "$@"\n')
        program.chmod(0o755)
    return root / "bin"


def test_every_command_of_the_tutorial_does_what_it_says(tmp_path, new_environment):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": "",
        "XDG_CACHE_HOME": "",
        "PATH": f"{new_environment}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        # Said in pip's way: there is none.
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    environment.pop("PYTEST_XDIST_WORKER", None)
    failing = dict(FAILING)
    ran = 0
    for command, shown in commands():
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=CLONE if command.startswith("pip install .") else tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == failing.pop(command, 0), f"$ {command}\n{done.stdout}"
        missing = matches(shown, done.stdout)
        assert missing is None, f"$ {command}\n{done.stdout}\ndoes not show {missing!r}"
        ran += 1
    assert ran > 15
    assert not failing
    assert (new_environment / "lifecycle").exists()
