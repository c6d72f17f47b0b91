"""The tars of layers, byte for byte and as other programs read them."""

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import ExportError
from lifecycle.layers.match import compiled
from lifecycle.layers.source import (
    PathMapping,
    diff_id,
    directory_layer,
    launcher_layer,
    process_types_layer,
    slice_layers,
)
from lifecycle.layers.tar import Entry, EntryType, header

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def tar_of(source):
    return b"".join(source.chunks())


def members(source):
    with tarfile.open(fileobj=io.BytesIO(tar_of(source))) as tar:
        return tar.getmembers()


def names(source):
    return [member.name for member in members(source)]


@pytest.mark.requirement("PLAT-EXP-047", "PLAT-EXP-061")
@pytest.mark.parametrize(
    ("types", "digest"),
    [
        (["web"], "83d85471d9f8a3834b4e27cf701e3f0aef220cc816d9c173c7d32cd73909a590"),
        (["hello"], "8533cf50a397ec195fddc15e547fc2c078ab54ffa2623e72940bdee29c26a9b7"),
        (["task", "web"], "50fb24583fd6ec39694addaeab106159aeaf1d6581b950b77337b9b04ab32331"),
        (["executable-jar", "task", "web"], "1dc94a70dbaa2171fb086500a5d27797f779219b126b0a1eebb9180c2792e80e"),
    ],
)
def test_process_types_have_the_reference_diff_id(types, digest):
    assert diff_id(process_types_layer(types))[0] == f"sha256:{digest}"


def test_a_launcher_has_the_reference_diff_id(tmp_path):
    (tmp_path / "launcher").write_bytes(b"hello")
    found = diff_id(launcher_layer(tmp_path / "launcher"))
    assert found[0] == "sha256:eaba5ac0610069ebde27e61712f82e341c43b8fdae8a28f7be7f071127cd83b8"


def test_a_directory_has_the_reference_diff_id(tmp_path):
    """The reference's fixture has ancestors of 1234:1000, here only root can own them so."""
    layer = tmp_path / "layers" / "corrupted_buildpack" / "corrupted-layer"
    layer.mkdir(parents=True)
    (layer / "data").write_text("digest-not-match-data\n")
    if os.geteuid() == 0:
        for path in (layer, layer.parent, layer.parent.parent):
            os.chown(path, 1234, 1000)
    elif os.geteuid() != 1234:
        pytest.skip("only root can give files to user 1234")
    for path in (layer, layer.parent, layer.parent.parent):
        path.chmod(0o755)
    (layer / "data").chmod(0o644)
    mapping = PathMapping(tmp_path / "layers", PurePosixPath("/layers"))
    found, size = diff_id(directory_layer(layer, uid=1234, gid=1000, mapping=mapping))
    assert (found, size) == ("sha256:258dfa0cc987efebc17559694866ebc91139e7c0e574f60d1d4092f53d7dff59", 3584)


@pytest.mark.requirement("BP-SLICE-001")
def test_an_empty_slice_is_an_empty_tar(tmp_path):
    (tmp_path / "a").touch()
    nothing, rest = slice_layers(tmp_path, [["no-such-*"]], uid=0, gid=0)
    assert diff_id(nothing)[0] == EMPTY
    assert diff_id(rest)[0] != EMPTY


def test_a_directory_is_walked_depth_first_and_a_slice_is_sorted(tmp_path):
    app = tmp_path / "app"
    (app / "a").mkdir(parents=True)
    (app / "a" / "x").touch()
    (app / "a-b").touch()
    mapping = PathMapping(app, PurePosixPath("/app"), normalise_ancestors=True)
    assert names(directory_layer(app, uid=1, gid=1, mapping=mapping)) == ["/app", "/app/a", "/app/a/x", "/app/a-b"]
    [whole] = slice_layers(app, [], uid=1, gid=1, mapping=mapping)
    assert names(whole) == ["/app", "/app/a", "/app/a-b", "/app/a/x"]


def test_slices_take_what_matches_and_no_path_twice(tmp_path):
    app = tmp_path / "app"
    for name in ("public/css/a.css", "public/b.html", "src/main.py", "README"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).touch()
    mapping = PathMapping(app, PurePosixPath("/w"), normalise_ancestors=True)
    first, second, rest = slice_layers(app, [["public/*"], ["public", "src/*.py"]], uid=0, gid=0, mapping=mapping)
    assert names(first) == ["/w", "/w/public", "/w/public/b.html", "/w/public/css", "/w/public/css/a.css"]
    assert names(second) == ["/w", "/w/src", "/w/src/main.py"]
    assert names(rest) == ["/w", "/w/README"]


def test_ancestors_keep_their_owner_unless_they_are_normalised(tmp_path):
    layer = tmp_path / "bp" / "layer"
    layer.mkdir(parents=True)
    layer.parent.chmod(0o750)
    plain = {member.name: member for member in members(directory_layer(layer, uid=7, gid=8))}
    assert stat.S_IMODE(plain[str(layer.parent)].mode) == 0o750
    assert plain[str(layer.parent)].uid == os.geteuid()
    assert (plain[str(layer)].uid, plain[str(layer)].gid) == (7, 8)
    mapping = PathMapping(tmp_path, PurePosixPath("/layers"), normalise_ancestors=True)
    found = members(directory_layer(layer, uid=7, gid=8, mapping=mapping))
    assert [(each.name, each.uid, each.mode) for each in found][:2] == [("/layers", 0, 0o755), ("/layers/bp", 0, 0o755)]


def test_what_is_on_disk_is_what_the_entry_says(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    (tmp_path / "file").chmod(0o4755)
    (tmp_path / "link").symlink_to("../elsewhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    os.link(tmp_path / "file", tmp_path / "hard")
    found = {member.name.rpartition("/")[2]: member for member in members(directory_layer(tmp_path, uid=0, gid=0))}
    assert (found["file"].size, found["file"].mode) == (1000, 0o4755)
    assert found["link"].linkname == "../elsewhere"
    assert found["pipe"].isfifo()
    assert found["hard"].isreg()
    assert {member.mtime for member in found.values()} == {315532801}


@settings(deadline=None)
@given(
    name=st.binary(min_size=1, max_size=300).filter(lambda each: b"\0" not in each and not each.endswith(b"/")),
    link=st.binary(max_size=150).filter(lambda each: b"\0" not in each),
    uid=st.integers(0, 2**32 - 2),
    size=st.sampled_from([0, 1, 0o77777777777, 0o77777777777 + 1]),
)
def test_any_header_is_read_back(name, link, uid, size):
    kind = EntryType.SYMLINK if link else EntryType.DIRECTORY
    entry = Entry(b"/" + name, kind, 0o755, uid=uid, gid=uid, linkname=link)
    block = header(entry)
    assert len(block) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(block + bytes(1024)), errors="surrogateescape", encoding="utf-8") as tar:
        [member] = tar.getmembers()
    assert os.fsencode(member.name) == (b"/" + name).rstrip(b"/")
    assert (os.fsencode(member.linkname), member.uid) == (link, uid)
    big = header(Entry(b"/f", EntryType.FILE, 0o644, size=size))
    assert (b"size=" in big) == (size > 0o77777777777)


def test_gnu_tar_reads_long_and_foreign_names(tmp_path):
    layer = tmp_path / "layer"
    deep = layer.joinpath(*["d" * 60] * 4)
    deep.mkdir(parents=True)
    (deep / ("f" * 120)).write_text("long")
    (layer / "naïve").touch()
    (layer / os.fsdecode(b"\xff\xfe")).touch()
    (layer / "to").symlink_to("t" * 130)
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar_of(directory_layer(layer, uid=1000, gid=1000)))
    subprocess.run(["tar", "-xPf", archive, "--transform", "s,^.*/layer,out,"], cwd=tmp_path, check=True)
    ours = sorted(path.relative_to(layer) for path in layer.rglob("*"))
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")) == ours


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 10)
    chunks = directory_layer(tmp_path, uid=0, gid=0).chunks()
    for chunk in chunks:
        if chunk[:100].rstrip(b"\0").endswith(b"/data"):
            break
    (tmp_path / "data").write_bytes(b"x" * 20)
    with pytest.raises(ExportError, match="grew while"):
        b"".join(chunks)


@pytest.mark.parametrize(
    ("types", "problem"), [([""], "type is required"), (["a/b"], "may not contain"), (["a&b"], "may not contain")]
)
def test_a_bad_process_type_is_refused(types, problem):
    with pytest.raises(ExportError, match=problem):
        process_types_layer(types)


def test_a_missing_launcher_is_refused(tmp_path):
    with pytest.raises(ExportError, match="launcher can't be read"):
        launcher_layer(tmp_path / "none")


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a", True), ("*", "a/b", False), ("a/*", "a/b", True), ("?", "/", False), ("[a-c]x", "bx", True),
        ("[^a]", "b", True), ("[^a]", "a", False), ("[^a]", "/", False), (r"\*", "*", True), (r"\*", "a", False),
        ("**", "a/b", False), ("*.js", ".js", True), ("a[\\]]", "a]", True), ("", "", True),
    ],
)  # fmt: skip
def test_patterns_match_as_go_matches_them(pattern, name, matches):
    assert (compiled(pattern.encode()).match(name.encode()) is not None) is matches


@pytest.mark.requirement("BP-SLICE-002")
@pytest.mark.parametrize("pattern", ["[", "[]", "a[", "[a", "[-x]", "[x-]", "\\", "[a-", "[\\"])
def test_a_malformed_pattern_fails_the_export(tmp_path, pattern):
    (tmp_path / "a").touch()
    with pytest.raises(ExportError, match="malformed"):
        slice_layers(tmp_path, [[pattern]], uid=0, gid=0)


def test_the_digest_of_a_source_is_that_of_its_bytes(tmp_path):
    source = directory_layer(tmp_path, uid=0, gid=0)
    data = tar_of(source)
    assert diff_id(source) == ("sha256:" + hashlib.sha256(data).hexdigest(), len(data))
    assert Path(tmp_path).is_dir()
