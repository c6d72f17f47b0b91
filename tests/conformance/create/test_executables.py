"""The executables of ``/cnb/lifecycle``, and phases that share nothing but files.

Spec: platform.md "Build"; buildpack.md "Security Considerations".
"""

import subprocess

import pytest

from lifecycle.cli.phase_names import Phase
from lifecycle.dist.install import install

EXECUTABLES = ["analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install to a directory like /cnb/lifecycle; return a function that runs an executable of it."""
    directory = tmp_path_factory.mktemp("cnb") / "lifecycle"
    install(directory, phases=list(Phase))

    def run(name, *arguments, **variables):
        return subprocess.run(
            [directory / name, *arguments], env=variables, cwd="/", capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.requirement("PLAT-API-006")
@pytest.mark.parametrize("name", EXECUTABLES)
def test_every_phase_is_an_executable_of_its_own(installed, name):
    done = installed(name, "-help", CNB_PLATFORM_API="0.15")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"Usage of {name}:")
    assert installed(name, CNB_PLATFORM_API="0.6").returncode == 11


@pytest.mark.requirement("PLAT-API-006")
def test_the_launcher_is_an_executable_beside_the_phases(installed):
    assert installed("launcher", CNB_PLATFORM_API="0.6").returncode == 11
    assert installed("launcher", "x", CNB_PLATFORM_API="0.15", CNB_LAYERS_DIR="/nonexistent").returncode == 82
