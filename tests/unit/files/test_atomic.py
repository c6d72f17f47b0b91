from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.files.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def umask_027() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("umask_027")
def test_files_and_their_directories_have_the_modes_of_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "file", b"data")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"data"
    assert mode(tmp_path / "a" / "b" / "file") == 0o640
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o750, 0o750]


@pytest.mark.parametrize("fsync", [True, False])
def test_chunks_are_written_one_after_the_other(tmp_path: Path, fsync: bool) -> None:
    write_atomic(tmp_path / "file", (bytes([each]) * 70000 for each in range(3)), fsync=fsync)
    assert (tmp_path / "file").read_bytes() == b"\0" * 70000 + b"\1" * 70000 + b"\2" * 70000


def test_an_existing_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a longer content than the new one")
    write_atomic(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_who_holds_the_old_file_open_still_reads_it_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with (tmp_path / "file").open("rb") as file:
        write_atomic(tmp_path / "file", b"new")
        assert file.read() == b"old"


def test_a_symlink_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    target = tmp_path / "passwd"
    target.write_text("root")
    (tmp_path / "report.toml").symlink_to(target)
    write_atomic(tmp_path / "report.toml", b"new")
    assert target.read_text() == "root"
    assert not (tmp_path / "report.toml").is_symlink()


def test_the_longest_file_name_can_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"data")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"data"


def test_a_failing_source_leaves_what_was_there(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_atomic(tmp_path / "file", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_process_that_dies_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    program = (
        "import os, sys; from pathlib import Path; from lifecycle.files.atomic import write_atomic\n"
        "write_atomic(Path(sys.argv[1]), (b'x' * 100000 if n < 5 else os._exit(9) for n in range(9)))"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=False)
    assert died.returncode == 9
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_directory_in_the_place_of_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(LifecycleError, match=r"/file: can't be written: Is a directory$"):
        write_atomic(tmp_path / "file", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_in_the_place_of_a_directory_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "layers").write_text("")
    with pytest.raises(LifecycleError, match=r"/layers/report\.toml: can't be written: ") as caught:
        write_atomic(tmp_path / "layers" / "report.toml", b"data")
    assert isinstance(caught.value.__cause__, OSError)
