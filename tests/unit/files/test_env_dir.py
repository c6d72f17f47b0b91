"""Directories of variables, as users and buildpacks leave them."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError
from lifecycle.files.env_dir import read_env_dir, read_layer_environment


def test_a_missing_directory_is_empty(tmp_path):
    assert read_env_dir(tmp_path / "env") == {}


def test_files_are_read_with_their_names_and_directories_passed_over(tmp_path):
    env = tmp_path / "env"
    (env / "dir").mkdir(parents=True)
    (env / "dir" / "INNER").write_text("1")
    (env / "B.append").write_text("b\n")
    (env / "A").write_text("")
    (env / "LINK").symlink_to("B.append")
    (env / "LINKED_DIR").symlink_to("dir")
    assert read_env_dir(env) == {"A": "", "B.append": "b\n", "LINK": "b\n"}


@pytest.mark.requirement("BP-ENV-016", "PLAT-ENV-005")
@given(data=st.binary().filter(lambda data: b"\0" not in data))
def test_contents_are_kept_byte_for_byte(tmp_path_factory, data):
    env = tmp_path_factory.mktemp("env")
    (env / "A").write_bytes(data)
    assert os.fsencode(read_env_dir(env)["A"]) == data


def test_names_that_are_no_utf_8_are_kept(tmp_path):
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"\xfe")
    assert {os.fsencode(name): os.fsencode(value) for name, value in read_env_dir(tmp_path).items()} == {
        b"\xff": b"\xfe"
    }


def a_pipe(path):
    os.mkfifo(path)


def a_dangling_link(path):
    path.symlink_to("none")


def a_loop(path):
    path.symlink_to(path.name)


def a_nul(path):
    path.write_bytes(b"a\0b")


def a_huge_file(path):
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (a_pipe, "A: is not a file"),
        (a_dangling_link, "A: can't be read: No such file"),
        (a_loop, "can't be read: Too many levels of symbolic links"),
        (a_nul, "A: holds a NUL byte"),
        (a_huge_file, "A: is longer than 16 MiB"),
    ],
)
def test_what_can_be_no_variable_is_an_error(tmp_path, make, problem):
    make(tmp_path / "A")
    with pytest.raises(InvalidFileError, match=problem):
        read_env_dir(tmp_path)


def test_a_name_with_an_equals_sign_is_an_error(tmp_path):
    (tmp_path / "A=B").touch()
    with pytest.raises(InvalidFileError, match="can't hold '='"):
        read_env_dir(tmp_path)


def test_a_file_in_place_of_the_directory_is_an_error(tmp_path):
    (tmp_path / "env").touch()
    with pytest.raises(InvalidFileError, match="env: can't be read: Not a directory"):
        read_env_dir(tmp_path / "env")


@pytest.mark.requirement("BP-ENV-001", "BP-ENV-013")
def test_a_layer_contributes_search_directories_and_build_files(tmp_path):
    for name in ("bin", "include", "other", "env", "env.build", "env.launch"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib").touch()
    (tmp_path / "env" / "A").write_text("1")
    (tmp_path / "env.build" / "A").write_text("2")
    (tmp_path / "env.launch" / "A").write_text("3")
    found = read_layer_environment(tmp_path)
    assert found.search_paths == {"bin": f"{tmp_path}/bin", "include": f"{tmp_path}/include"}
    assert found.files == ({"A": "1"}, {"A": "2"})


def test_a_layer_without_directory_contributes_nothing(tmp_path):
    found = read_layer_environment(tmp_path / "none")
    assert (found.search_paths, found.files) == ({}, ({}, {}))
