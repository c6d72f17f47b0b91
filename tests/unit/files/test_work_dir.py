"""Work directories: gone afterwards, also after a kill, and never under somebody who works there."""

import subprocess
import sys

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.files.work_dir import work_directory

HOLD = """
import sys
from lifecycle.files.work_dir import work_directory
with work_directory("test") as path:
    (path / "sub").mkdir()
    (path / "sub" / "file").write_text("x")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else(temporary):
    for name in ("cnb-lifecycle.tests.other", "lifecycle.exporter.layer1", "cnb-lifecycle.testing"):
        (temporary / name).mkdir()
    (temporary / "cnb-lifecycle.test.link").symlink_to(temporary / "cnb-lifecycle.testing")
    before = set(temporary.iterdir())
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], env={"TMPDIR": str(temporary)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        path = holder.stdout.readline().decode().strip()
        with work_directory("test") as own:
            assert {str(each) for each in set(temporary.iterdir()) - before} == {path, str(own)}
        assert {str(each) for each in set(temporary.iterdir()) - before} == {path}
    finally:
        holder.kill()
        holder.communicate()
    with work_directory("test") as own:
        assert set(temporary.iterdir()) - before == {own}
    assert set(temporary.iterdir()) == before


def test_where_nothing_can_be_made_it_is_said(temporary, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "none"))
    with pytest.raises(LifecycleError, match="can't be written"), work_directory("test"):
        pass
