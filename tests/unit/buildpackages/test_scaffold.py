import errno
import os
import shutil
import subprocess
import sys

import pytest

from lifecycle.buildpackages.lint import lint
from lifecycle.buildpackages.module_layer import modules_layer
from lifecycle.buildpackages.read import read_module
from lifecycle.buildpackages.scaffold import scaffold
from lifecycle.errors import InvalidInputError, LifecycleError
from lifecycle.model.buildpackage import ModuleKind


def pytest_in(root):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", root],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", ModuleKind, ids=str)
def test_what_is_begun_passes_its_tests_and_the_checks(tmp_path, kind):
    root = tmp_path / "a new one"
    written = scaffold(root, "me/greeting", kind)
    assert {path.suffix for path in written} == {".toml", ".py"}
    assert [str(each) for each in lint(root)] == []
    done = pytest_in(root)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_its_package_has_the_sdk_and_not_the_tests(tmp_path):
    root = tmp_path / "new"
    scaffold(root, "me/greeting", ModuleKind.BUILDPACK)
    module = read_module(root)
    names = {each.entry.name.decode() for each in modules_layer([(module, root)]).members}
    place = "/cnb/buildpacks/me_greeting/0.1.0"
    assert f"{place}/lib/cnb_buildpack/__init__.py" in names
    assert not [name for name in names if "/tests" in name or "__pycache__" in name]


@pytest.mark.parametrize("module_id", ["", "a b", "/a", "a/", "../a", "ä"])
def test_an_id_that_is_none_is_refused(tmp_path, module_id):
    with pytest.raises(InvalidInputError, match="can't be an id"):
        scaffold(tmp_path / "new", module_id, ModuleKind.BUILDPACK)
    assert not (tmp_path / "new").exists()


def test_nothing_that_is_there_is_overwritten(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InvalidInputError, match="is not empty"):
        scaffold(tmp_path, "me/greeting", ModuleKind.BUILDPACK)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LifecycleError, match="can't be written"):
        scaffold(tmp_path / "file" / "new", "me/greeting", ModuleKind.BUILDPACK)


@pytest.mark.parametrize("there", [True, False])
def test_what_could_not_be_finished_can_be_begun_again(tmp_path, monkeypatch, there):
    root = tmp_path / "new"
    if there:
        root.mkdir()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        with pytest.raises(LifecycleError, match="can't be written: No space left"):
            scaffold(root, "me/greeting", ModuleKind.BUILDPACK)
    assert root.exists() == there
    assert scaffold(root, "me/greeting", ModuleKind.BUILDPACK)
