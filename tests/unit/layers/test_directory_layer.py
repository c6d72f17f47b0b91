from __future__ import annotations

import os
import socket
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from lifecycle.errors import ExportError
from lifecycle.layers.members import Member, Members
from lifecycle.layers.source import (
    PathMapping,
    WatchedLayer,
    diff_id,
    directory_layer,
    expected_size,
    launcher_layer,
    process_types_layer,
    slice_layers,
)
from lifecycle.layers.tar import Entry, Kind
from lifecycle.progress import NO_PROGRESS

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable

    from lifecycle.layers.source import LayerSource

    ReadTar = Callable[[LayerSource], list[tarfile.TarInfo]]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away or make devices")


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    path = tmp_path / "layers"
    (path / "bp" / "node").mkdir(parents=True)
    return path


def mapped(layers: Path, *, normalise_ancestors: bool = True) -> PathMapping:
    return PathMapping(layers, PurePosixPath("/layers"), normalise_ancestors)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["web"], "83d85471d9f8a3834b4e27cf701e3f0aef220cc816d9c173c7d32cd73909a590"),
        (["hello"], "8533cf50a397ec195fddc15e547fc2c078ab54ffa2623e72940bdee29c26a9b7"),
        (["task", "web"], "50fb24583fd6ec39694addaeab106159aeaf1d6581b950b77337b9b04ab32331"),
        (
            ["executable-jar", "task", "web"],
            "1dc94a70dbaa2171fb086500a5d27797f779219b126b0a1eebb9180c2792e80e",
        ),
    ],
)
def test_the_layer_of_process_types_has_the_diff_id_of_the_reference(types: list[str], expected: str) -> None:
    assert diff_id(process_types_layer(types)) == (f"sha256:{expected}", 2048 + 512 * len(types))


def test_the_layer_of_the_launcher_has_the_diff_id_of_the_reference(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"hello")
    (tmp_path / "launcher").symlink_to("real")

    found, _ = diff_id(launcher_layer(tmp_path / "launcher"))

    assert found == "sha256:eaba5ac0610069ebde27e61712f82e341c43b8fdae8a28f7be7f071127cd83b8"


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_launcher_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="launcher"):
        launcher_layer(tmp_path / name)


CORRUPTED_LAYER = "sha256:258dfa0cc987efebc17559694866ebc91139e7c0e574f60d1d4092f53d7dff59"


def test_members_as_in_the_reference_fixture_have_its_diff_id(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"digest-not-match-data\n")
    path = b"/layers/corrupted_buildpack/corrupted-layer"
    names = [b"/layers", b"/layers/corrupted_buildpack", path]
    file = Entry(path + b"/data", Kind.FILE, 0o644, 1234, 1000, size=22)
    directories = [Member(Entry(name, Kind.DIRECTORY, 0o755, 1234, 1000)) for name in names]

    layer = Members((*directories, Member(file, os.fsencode(tmp_path / "data"))))

    assert diff_id(layer) == (CORRUPTED_LAYER, 3584)


@needs_root
def test_a_directory_as_in_the_reference_fixture_has_its_diff_id(tmp_path: Path) -> None:
    layers = tmp_path / "layers"
    path = layers / "corrupted_buildpack" / "corrupted-layer"
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"digest-not-match-data\n")
    (path / "data").chmod(0o644)
    for each in (layers, path.parent, path):
        each.chmod(0o755)
        os.chown(each, 1234, 1000)
    layer = directory_layer(path, uid=1234, gid=1000, mapping=mapped(layers, normalise_ancestors=False))

    assert diff_id(layer)[0] == CORRUPTED_LAYER


def test_a_directory_comes_before_what_is_in_it_and_names_are_sorted_by_bytes(layers: Path, read_tar: ReadTar) -> None:
    node = layers / "bp" / "node"
    (node / "a").mkdir()
    (node / "a" / "x").touch()
    (node / "a-b").touch()
    (node / "B").touch()
    (node / "é").touch()

    names = [each.name for each in read_tar(directory_layer(node, uid=1, gid=2, mapping=mapped(layers)))]

    below = ["", "/B", "/a", "/a/x", "/a-b", "/é"]
    assert names == ["/layers", "/layers/bp", *(f"/layers/bp/node{each}" for each in below)]


@pytest.mark.requirement("PLAT-REPRO-004", "PLAT-EXP-061")
def test_the_layer_does_not_tell_when_and_where_it_was_built(tmp_path: Path) -> None:
    found = set()
    for place, time in (("one", 1), ("two/deeper", 2)):
        layers = tmp_path / place / "layers"
        node = layers / "bp" / "node"
        node.mkdir(parents=True, mode=0o755)
        (node / "file").write_text("x")
        os.utime(node / "file", (time, time))
        layers.chmod(0o700 + time)
        found.add(diff_id(directory_layer(node, uid=1, gid=2, mapping=mapped(layers))))

    assert len(found) == 1


def test_ancestors_are_as_on_disk_and_the_rest_belongs_to_the_given_owner(layers: Path, read_tar: ReadTar) -> None:
    node = layers / "bp" / "node"
    (node / "file").touch()
    layers.chmod(0o1770)
    on_disk = layers.stat()

    found = read_tar(directory_layer(node, uid=11, gid=12, mapping=mapped(layers, normalise_ancestors=False)))

    assert (found[0].mode, found[0].uid, found[0].gid) == (0o1770, on_disk.st_uid, on_disk.st_gid)
    assert [(each.uid, each.gid) for each in found[2:]] == [(11, 12)] * 2


def test_without_a_mapping_all_directories_above_are_recorded(tmp_path: Path, read_tar: ReadTar) -> None:
    names = [each.name for each in read_tar(directory_layer(tmp_path, uid=0, gid=0))]

    assert names == [str(each) for each in reversed((tmp_path, *tmp_path.parents[:-1]))]


def test_directories_of_the_image_without_counterpart_on_disk_are_roots(tmp_path: Path, read_tar: ReadTar) -> None:
    mapping = PathMapping(tmp_path, PurePosixPath("/home/app/src"), normalise_ancestors=False)

    found = read_tar(directory_layer(tmp_path, uid=5, gid=6, mapping=mapping))

    assert [(each.name, each.mode, each.uid) for each in found[:2]] == [
        ("/home", 0o755, 0),
        ("/home/app", 0o755, 0),
    ]
    assert (found[2].name, found[2].uid) == ("/home/app/src", 5)


def test_a_path_outside_its_mapping_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not below"):
        directory_layer(tmp_path, uid=0, gid=0, mapping=PathMapping(tmp_path / "x", PurePosixPath("/layers")))


def test_links_pipes_and_modes_are_recorded_and_sockets_left_out(layers: Path, read_tar: ReadTar) -> None:
    node = layers / "bp" / "node"
    (node / "file").write_text("data")
    (node / "file").chmod(0o4751)
    os.link(node / "file", node / "hard")
    (node / "link").symlink_to("../nowhere")
    os.mkfifo(node / "pipe")
    (node / "pipe").chmod(0o600)
    (node / "sticky").mkdir()
    (node / "sticky").chmod(0o1777)
    with socket.socket(socket.AF_UNIX) as server:
        directory = os.open(node, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)

        found = {
            Path(each.name).name: each for each in read_tar(directory_layer(node, uid=0, gid=0, mapping=mapped(layers)))
        }

    assert found.keys() == {"layers", "bp", "node", "file", "hard", "link", "pipe", "sticky"}
    assert found["file"].mode == 0o4751
    assert found["hard"].isreg()
    assert found["hard"].size == 4
    assert (found["link"].linkname, found["link"].mode) == ("../nowhere", 0o777)
    assert found["pipe"].isfifo()
    assert found["sticky"].mode == 0o1777


@needs_root
def test_devices_keep_their_numbers(layers: Path, read_tar: ReadTar) -> None:
    node = layers / "bp" / "node"
    try:
        os.mknod(node / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices can't be made here")

    found = read_tar(directory_layer(node, uid=0, gid=0, mapping=mapped(layers)))[-1]

    assert found.ischr()
    assert (found.devmajor, found.devminor) == (1, 3)


def test_a_link_in_the_place_of_the_layer_is_not_followed(layers: Path, read_tar: ReadTar) -> None:
    (layers / "bp" / "link").symlink_to("node")

    found = read_tar(directory_layer(layers / "bp" / "link", uid=0, gid=0, mapping=mapped(layers)))

    assert found[-1].issym()
    assert len(found) == 3


@pytest.mark.parametrize(("new_size", "word"), [(4_000_000, "grown"), (10, "shrunk")])
def test_a_file_that_changes_meanwhile_is_named(layers: Path, new_size: int, word: str) -> None:
    file = layers / "bp" / "node" / "changing"
    file.write_bytes(bytes(3_000_000))
    chunks = directory_layer(layers / "bp" / "node", uid=0, gid=0, mapping=mapped(layers)).chunks()
    next(chunks)
    os.truncate(file, new_size)

    with pytest.raises(ExportError, match=word) as caught:
        list(chunks)

    assert caught.value.where == str(file)


def test_a_large_file_comes_in_small_chunks(layers: Path) -> None:
    (layers / "bp" / "node" / "large").write_bytes(bytes(3_000_000))
    layer = directory_layer(layers / "bp" / "node", uid=0, gid=0, mapping=mapped(layers))

    sizes = [len(chunk) for chunk in layer.chunks()]

    assert max(sizes) <= 1 << 20
    assert sum(sizes) == 3_000_000 + (-3_000_000 % 512) + 4 * 512 + 1024


def test_a_missing_directory_is_an_expected_failure(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="can't be read"):
        list(directory_layer(tmp_path / "missing", uid=0, gid=0).chunks())


def test_the_size_of_a_layer_can_be_told_before_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "layer" / "bin").mkdir(parents=True)
    for size in (0, 1, 511, 512, 513, 100_000):
        (tmp_path / "layer" / f"{size}").write_bytes(bytes(size))
    (tmp_path / "layer" / "bin" / "link").symlink_to("../512")
    directory = directory_layer(tmp_path / "layer", uid=0, gid=0)
    app = slice_layers(tmp_path / "layer", [["bin/*"], ["5*"]], uid=0, gid=0)

    for source in (directory, *app, process_types_layer(["web"])):
        assert expected_size(source) == diff_id(source)[1]


def test_the_size_of_any_other_source_is_not_known_before(tmp_path: Path) -> None:
    source = WatchedLayer(directory_layer(tmp_path, uid=0, gid=0), NO_PROGRESS, task="t")
    assert expected_size(source) is None
