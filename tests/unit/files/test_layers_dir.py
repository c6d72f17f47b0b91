"""What a buildpack leaves, file by file."""

from __future__ import annotations

import os

import pytest

from lifecycle.errors import InvalidFileError, LifecycleError
from lifecycle.files.build_metadata import metadata_path, save_metadata
from lifecycle.files.codec import load
from lifecycle.files.layers_dir import copy_output, create_directory, read_build_outputs, set_aside
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.build_metadata import BuildMetadata, Process


def test_an_empty_directory_has_no_outputs(tmp_path):
    found = read_build_outputs(tmp_path)
    assert found.layers == ()
    assert found.launch.processes == ()
    assert found.build.unmet == ()
    assert found.file_names == ()


def test_layers_are_sorted_as_their_files_are(tmp_path):
    for name in ("b", "a", "a-b", "ä", "B", "a.b"):
        (tmp_path / f"{name}.toml").touch()
    names = [layer.name for layer in read_build_outputs(tmp_path).layers]
    assert names == ["B", "a-b", "a.b", "a", "b", "ä"]


@pytest.mark.requirement("BP-LAYER-002")
def test_no_layer_has_the_name_of_another_file(tmp_path):
    for name in ("launch", "build", "store", "", "."):
        (tmp_path / f"{name}.toml").touch()
    assert read_build_outputs(tmp_path).layers == ()


def test_a_layer_of_types_is_not_ignored(tmp_path):
    (tmp_path / "x.toml").write_text("[types]\ncache = true\n")
    (tmp_path / "y.toml").write_text("[metadata]\n")
    assert [(layer.name, layer.ignored) for layer in read_build_outputs(tmp_path).layers] == [
        ("x", False),
        ("y", True),
    ]


def test_setting_aside_moves_links_and_not_what_they_point_to(tmp_path):
    (tmp_path / "target").mkdir()
    own = tmp_path / "own"
    own.mkdir()
    (own / "x").symlink_to(tmp_path / "target")
    (own / "x.toml").touch()
    (layer,) = read_build_outputs(own).layers
    set_aside(layer)
    set_aside(layer)
    assert sorted(path.name for path in own.iterdir()) == ["x.ignore", "x.toml"]
    assert (own / "x.ignore").is_symlink()
    assert (tmp_path / "target").is_dir()


def test_directories_are_created_and_may_be_there(tmp_path):
    for _ in range(2):
        assert create_directory(tmp_path / "new", "a", "b") == tmp_path / "new" / "a" / "b"
    assert (tmp_path / "new" / "a" / "b").is_dir()


def test_a_directory_is_not_created_through_a_link_nor_over_a_file(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to("outside")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(LifecycleError, match=f"{name}: is not a directory"):
            create_directory(tmp_path, name, "a")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_large_output_is_copied_whole_with_plain_mode(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    data = os.urandom(300_000)
    (own / "x").write_bytes(data)
    (own / "x").chmod(0o700)
    copy_output(own / "x", tmp_path, "copy", within=own)
    assert (tmp_path / "copy").read_bytes() == data
    assert not (tmp_path / "copy").stat().st_mode & 0o111


def test_a_failed_copy_leaves_what_was_there(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "copy").write_text("old")
    (own / "x").symlink_to("../copy")
    with pytest.raises(InvalidFileError, match="outside"):
        copy_output(own / "x", tmp_path, "copy", within=own)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "own"]
    assert (tmp_path / "copy").read_text() == "old"


def test_metadata_is_read_back_as_it_was_saved(tmp_path):
    metadata = BuildMetadata(processes=(Process(type="w", command=("a", "<"), args=("x",), direct=True),))
    path = metadata_path(tmp_path)
    save_metadata(path, metadata, LATEST_PLATFORM_API)
    assert path == tmp_path / "config" / "metadata.toml"
    assert load(BuildMetadata, path) == metadata
