"""Layers on their way into the layers directory."""

import subprocess
import sys

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.phases.layer_contents import move_into_place, staging_in


def _place_directory(target):
    target.mkdir()
    (target / "old").touch()


def _place_link(target):
    target.symlink_to("elsewhere")


def _place_nothing(target):
    pass


@pytest.mark.parametrize("place", [_place_directory, _place_link, _place_nothing])
def test_a_layer_takes_the_place_of_what_was_there_and_nothing_else_is_left(tmp_path, place):
    target = tmp_path / "node"
    place(target)
    with staging_in(tmp_path) as staging:
        (staging / "layer").mkdir()
        (staging / "layer" / "new").touch()
        move_into_place(staging / "layer", target)
    assert not target.is_symlink()
    assert [each.name for each in target.iterdir()] == ["new"]
    assert [each.name for each in tmp_path.iterdir()] == ["node"]


def test_what_was_there_stays_if_the_new_layer_cannot_take_its_place(tmp_path):
    target = tmp_path / "node"
    _place_directory(target)
    with staging_in(tmp_path) as staging, pytest.raises(LifecycleError, match="can't be written"):
        move_into_place(staging / "missing", target)
    assert [each.name for each in target.iterdir()] == ["old"]
    assert [each.name for each in tmp_path.iterdir()] == ["node"]


def test_what_a_restorer_that_was_killed_left_goes_with_the_next(tmp_path):
    code = (
        "import pathlib, sys; from lifecycle.phases.layer_contents import staging_in\n"
        "with staging_in(pathlib.Path(sys.argv[1])) as staging:\n"
        "    (staging / 'layer').mkdir(); print('there', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout.readline() == b"there\n"
        one.kill()
    assert list(tmp_path.iterdir()) != []
    with staging_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
