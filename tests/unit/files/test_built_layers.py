"""Reading what a buildpack left in its layers directory."""

import os

import pytest

from lifecycle.errors import InvalidFileError
from lifecycle.files.built_layers import has_directory, read_built_layers
from lifecycle.model.group import GroupElement

JAVA = GroupElement(id="samples/java", version="1")


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "samples_java"
    path.mkdir()
    return path


def test_a_buildpack_without_a_directory_has_no_layers(tmp_path):
    built = read_built_layers(tmp_path, JAVA)
    assert (built.layers, built.malformed, built.store) == ((), (), None)


def test_layers_are_directories_and_toml_files_sorted_by_their_bytes(tmp_path, directory):
    for name in ("b", "Z", "é", "a-b"):
        (directory / name).mkdir()
    for name in ("b.toml", "only.toml", "launch.toml", "build.toml", "store.toml", "note.txt"):
        (directory / name).write_text("")
    (directory / "linked").symlink_to("b")
    built = read_built_layers(tmp_path, JAVA)
    assert [(each.name, each.has_contents) for each in built.layers] == [
        ("Z", True),
        ("a-b", True),
        ("b", True),
        ("only", False),
        ("é", True),
    ]
    assert built.store is not None
    assert built.store.metadata is None


def test_types_metadata_and_store_are_read(tmp_path, directory):
    (directory / "jre.toml").write_text("[types]\nlaunch = true\n[metadata]\nv = 1\n")
    (directory / "store.toml").write_text("[metadata]\nk = 'v'\n")
    built = read_built_layers(tmp_path, JAVA)
    assert built.layers[0].metadata.types.launch
    assert built.layers[0].metadata.metadata == {"v": 1}
    assert built.store.metadata == {"k": "v"}


def test_malformed_layers_are_told_apart_and_do_not_hide_others(tmp_path, directory):
    (directory / "bad.toml").write_text("[types\n")
    (directory / "old.toml").write_text("launch = true\n")
    os.mkfifo(directory / "pipe.toml")
    (directory / "good").mkdir()
    built = read_built_layers(tmp_path, JAVA)
    assert [each.name for each in built.layers] == ["good"]
    assert [name for name, _ in built.malformed] == ["bad", "old", "pipe"]


def test_a_malformed_store_fails(tmp_path, directory):
    (directory / "store.toml").write_text("[metadata\n")
    with pytest.raises(InvalidFileError, match=r"store\.toml"):
        read_built_layers(tmp_path, JAVA)


def test_a_file_in_place_of_the_directory_fails(tmp_path):
    (tmp_path / "samples_java").write_text("")
    with pytest.raises(InvalidFileError, match="can't be read"):
        read_built_layers(tmp_path, JAVA)


def test_only_what_does_not_exist_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    assert has_directory(tmp_path)
    assert has_directory(tmp_path / "file")
    assert not has_directory(tmp_path / "missing")
