from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import ExportError
from lifecycle.layers.source import PathMapping, diff_id, slice_layers

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable

    from lifecycle.layers.source import LayerSource

    ReadTar = Callable[[LayerSource], list[tarfile.TarInfo]]
    Sliced = Callable[..., list[list[str]]]

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    for name in ("a-b", "a/x", "a/y", "b/c/deep", "top"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    (path / "empty").mkdir()
    return path


@pytest.fixture
def sliced(app: Path, read_tar: ReadTar) -> Callable[..., list[list[str]]]:
    """Return the names in each layer, relative to the app: "" is the app directory itself."""

    def names(*patterns: list[str]) -> list[list[str]]:
        mapping = PathMapping(app, PurePosixPath("/ws/app"), normalise_ancestors=True)
        found = []
        for layer in slice_layers(app, patterns, 1, 2, mapping):
            entries = [each.name for each in read_tar(layer)]
            assert entries[:1] in ([], ["/ws"])
            found.append([name.removeprefix("/ws/app").removeprefix("/") for name in entries[1:]])
        return found

    return names


ALL = ["", "a", "a-b", "a/x", "a/y", "b", "b/c", "b/c/deep", "empty", "top"]


@pytest.mark.requirement("BP-SLICE-004")
def test_without_slices_the_app_is_one_layer_sorted_by_whole_names(sliced: Sliced) -> None:
    assert sliced() == [ALL]


@pytest.mark.requirement("BP-SLICE-001", "BP-SLICE-004")
def test_a_slice_takes_directories_whole_and_brings_those_above(sliced: Sliced) -> None:
    assert sliced(["b"], ["a/x", "top"]) == [
        ["", "b", "b/c", "b/c/deep"],
        ["", "a", "a/x", "top"],
        ["", "a", "a-b", "a/y", "empty"],
    ]


@pytest.mark.requirement("BP-SLICE-002")
def test_a_file_is_in_the_first_slice_that_matches_it(sliced: Sliced) -> None:
    assert sliced(["a/x"], ["a"], ["*"]) == [
        ["", "a", "a/x"],
        ["", "a", "a/y"],
        ["", "a-b", "b", "b/c", "b/c/deep", "empty", "top"],
        [],
    ]


def test_a_directory_whose_children_are_all_taken_is_not_in_the_rest(sliced: Sliced) -> None:
    assert sliced(["a/*"])[1] == ["", "a-b", "b", "b/c", "b/c/deep", "empty", "top"]


@pytest.mark.requirement("BP-SLICE-003", "BP-SLICE-005")
@pytest.mark.parametrize("pattern", ["nothing", "/a", "../app/a", ".", "{a,top}"])
def test_a_slice_that_matches_nothing_is_an_empty_layer(app: Path, pattern: str) -> None:
    first, _ = slice_layers(app, [[pattern]], 0, 0)

    assert diff_id(first) == (EMPTY, 1024)


def test_everything_taken_leaves_an_empty_rest(app: Path) -> None:
    assert diff_id(slice_layers(app, [["*"]], 0, 0)[-1])[0] == EMPTY


@pytest.mark.requirement("BP-SLICE-005")
def test_patterns_are_cleaned_and_a_star_does_not_cross_a_slash(sliced: Sliced) -> None:
    assert sliced(["./b//c/"], ["**/x"], ["*/deep"])[:3] == [
        ["", "b", "b/c", "b/c/deep"],
        ["", "a", "a/x"],
        [],
    ]


@pytest.mark.requirement("BP-SLICE-005")
def test_a_malformed_pattern_fails_the_export_and_names_itself(app: Path) -> None:
    with pytest.raises(ExportError) as caught:
        slice_layers(app, [["top", "b/["]], 0, 0)

    assert caught.value.message.startswith("failed to check if 'a' matches 'b/['")


def test_the_owner_is_set_from_the_app_directory_down(app: Path, read_tar: ReadTar) -> None:
    mapping = PathMapping(app, PurePosixPath("/ws/app"), normalise_ancestors=True)

    found = read_tar(slice_layers(app, [["top"]], 1, 2, mapping)[0])

    assert [(each.name, each.uid, each.gid) for each in found] == [
        ("/ws", 0, 0),
        ("/ws/app", 1, 2),
        ("/ws/app/top", 1, 2),
    ]


def test_an_empty_app_is_still_a_layer_with_its_directory(tmp_path: Path, read_tar: ReadTar) -> None:
    app = tmp_path / "app"
    app.mkdir()
    mapping = PathMapping(app, PurePosixPath("/workspace"), normalise_ancestors=True)

    (only,) = slice_layers(app, [], 0, 0, mapping)

    assert [each.name for each in read_tar(only)] == ["/workspace"]


@settings(max_examples=30, deadline=None)
@given(
    names=st.sets(st.sampled_from(["a", "b", "a/a", "a/b", "a/a/a", "b/a", "c/a/b", "c/b"]), max_size=8),
    patterns=st.lists(st.lists(st.sampled_from(["a", "*", "*/a", "c/*", "a/*/a", "[ab]"]), max_size=2), max_size=3),
)
def test_every_file_is_in_exactly_one_layer(
    tmp_path_factory: pytest.TempPathFactory, read_tar: ReadTar, names: set[str], patterns: list[list[str]]
) -> None:
    app = tmp_path_factory.mktemp("app")
    for name in names:
        (app / name / "file").parent.mkdir(parents=True, exist_ok=True)
        (app / name / "file").touch()

    layers = [read_tar(each) for each in slice_layers(app, patterns, 0, 0)]

    files = sorted(each.name for layer in layers for each in layer if each.isreg())
    assert files == sorted(str(app / name / "file") for name in names)
