"""The executables that `lifecycle install` makes of a pip installation."""

import os
import shutil
import subprocess
import sys

import pytest

from lifecycle import __version__
from lifecycle.cli.phase_names import Phase
from lifecycle.dist.install import install
from lifecycle.errors import LifecycleError
from lifecycle.launcher import launcher_path


@pytest.fixture
def installed(tmp_path):
    destination = tmp_path / "cnb" / "lifecycle"
    install(destination, phases=list(Phase))
    return destination


@pytest.mark.parametrize("phase", [*Phase, "lifecycle"])
def test_each_executable_is_the_phase_of_its_name(installed, phase):
    environment = {"CNB_PLATFORM_API": "0.12", "PATH": os.environ["PATH"]}
    done = subprocess.run([installed / phase, "-version"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_variables_and_working_directory_of_the_app_do_not_reach_the_interpreter(installed, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "lifecycle.py").write_text("raise SystemExit('the app was imported')")
    environment = {"CNB_PLATFORM_API": "0.12", "PYTHONPATH": str(tmp_path / "app"), "PYTHONHOME": "/nowhere"}
    done = subprocess.run(
        [installed / "analyzer", "-version"],
        env={**environment, "PATH": os.environ["PATH"]}, cwd=tmp_path / "app", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_launcher_descriptor_and_boms_lie_where_platforms_look(installed):
    assert (installed / "launcher").read_bytes() == launcher_path().read_bytes()
    assert (installed.parent / "lifecycle.toml").is_file()
    names = {f"{which}.sbom.{kind}.json" for which in ("lifecycle", "launcher") for kind in ("cdx", "spdx", "syft")}
    assert names <= {path.name for path in installed.iterdir()}


def test_everybody_may_read_and_run_it_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        install(tmp_path / "lifecycle", phases=["analyzer"])
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "lifecycle").iterdir()}
    assert modes["analyzer"] == modes["launcher"] == 0o755
    assert modes["lifecycle.sbom.cdx.json"] == 0o644
    assert (tmp_path / "lifecycle").stat().st_mode & 0o555 == 0o555


def test_installing_again_replaces_what_is_there_and_follows_no_link(installed, tmp_path):
    other = tmp_path / "other"
    other.write_text("of someone else")
    (installed / "launcher").unlink()
    (installed / "launcher").symlink_to(other)
    shutil.copy(other, installed / "detector.copy")
    install(installed, phases=list(Phase))
    assert other.read_text() == "of someone else"
    assert not (installed / "launcher").is_symlink()
    assert (installed / "analyzer").readlink().name == "lifecycle"


def test_a_launcher_that_is_missing_is_named(tmp_path):
    with pytest.raises(LifecycleError, match=r"no-launcher: the launcher can't be read"):
        install(tmp_path / "lifecycle", phases=["analyzer"], launcher=tmp_path / "no-launcher")


def test_the_command_installs_too(tmp_path):
    command = [sys.executable, "-m", "lifecycle", "install", "--dest", tmp_path / "lifecycle"]
    subprocess.run(command, check=True)
    assert (tmp_path / "lifecycle" / "creator").is_symlink()
