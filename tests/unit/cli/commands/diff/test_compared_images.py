"""Two whole images compared: nothing that was changed in one goes unnoticed, and nothing else is said."""

import copy
import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.cli.commands.diff.compared_images import Compared, compare
from lifecycle.cli.commands.diff.difference_json import value_of
from lifecycle.cli.commands.diff.difference_view import lines_of
from lifecycle.cli.stores.locations import read_platform
from lifecycle.differences.fields import Place
from lifecycle.differences.members import Change
from lifecycle.errors import InvalidInputError
from lifecycle.oci.config import read_config
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import read_manifest

LAYER = "application/vnd.oci.image.layer.v1.tar"
few = settings(max_examples=25)


@dataclass
class Made:
    """An image of which every byte was chosen."""

    name: str
    config_bytes: bytes
    manifest_bytes: bytes
    tars: dict
    read: list = field(default_factory=list)
    reference: str = "made"

    @property
    def config(self):
        return read_config(self.config_bytes, where=self.name)

    @property
    def manifest(self):
        return read_manifest(self.manifest_bytes, where=self.name)

    def config_data(self):
        return self.config_bytes

    def manifest_data(self):
        return self.manifest_bytes

    def layer(self, diff_id):
        self.read.append(diff_id)
        yield self.tars[diff_id]


@dataclass(frozen=True)
class Member:
    path: str
    type: bytes = tarfile.REGTYPE
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    mtime: int = 0
    linkname: str = ""
    xattrs: tuple = ()

    def info(self):
        info = tarfile.TarInfo(self.path)
        info.size = len(self.content)
        for name in ("type", "mode", "uid", "gid", "uname", "gname", "mtime", "linkname"):
            setattr(info, name, getattr(self, name))
        info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in self.xattrs}
        return info


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            archive.addfile(member.info(), io.BytesIO(member.content))
    return buffer.getvalue()


@dataclass(frozen=True)
class Spec:
    """An image as a test thinks of it."""

    layers: tuple
    config: dict
    manifest: dict = field(default_factory=dict)
    packed: tuple = ()
    space: str = ""

    def image(self, name="made"):
        tars = [tar(each) for each in self.layers]
        config = {
            "architecture": "amd64", "os": "linux", **self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in tars]},
        }  # fmt: skip
        config_bytes = (json.dumps(config) + self.space).encode()
        stored = [gzip.compress(each, mtime=0) if n in self.packed else each for n, each in enumerate(tars)]
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": "c", "size": len(config_bytes), "digest": digest_of(config_bytes)},
            "layers": [{"mediaType": LAYER, "size": len(each), "digest": digest_of(each)} for each in stored],
            **self.manifest,
        }
        return Made(name, config_bytes, json.dumps(manifest).encode(), {digest_of(each): each for each in tars})


def difference(first, second):
    return compare(Compared("first", first.image("first")), Compared("second", second.image("second")))


paths = st.sampled_from([f"{directory}/{name}" for directory in ("a", "b", "ü") for name in ("x", "y", "z")])
members = st.builds(
    Member,
    path=paths,
    content=st.binary(max_size=20),
    mode=st.sampled_from([0o644, 0o755, 0o4711]),
    uid=st.integers(0, 5_000_000),
    mtime=st.integers(0, 2**31),
    xattrs=st.sampled_from([(), (("user.a", "1"),)]),
) | st.builds(Member, path=paths, type=st.just(tarfile.SYMTYPE), linkname=paths)
layers = st.lists(members, min_size=1, max_size=5, unique_by=lambda each: each.path).map(tuple)
specs = st.builds(
    Spec,
    layers=st.lists(layers, min_size=1, max_size=3, unique_by=tar).map(tuple),
    config=st.fixed_dictionaries(
        {
            "created": st.sampled_from(["1980-01-01T00:00:01Z", "2001-01-01T00:00:00Z"]),
            "config": st.fixed_dictionaries(
                {
                    "Env": st.just(["A=1", "B=2"]),
                    "Labels": st.dictionaries(st.sampled_from(["a", "b"]), st.just('{"x": {"y": 1}}'), min_size=1),
                }
            ),
        }
    ),
)


@few
@given(specs)
def test_an_image_is_identical_to_itself_and_none_of_its_layers_is_read(spec):
    images = spec.image(), spec.image()
    found = compare(*(Compared("one", image) for image in images))
    assert found.identical
    assert (found.layers, found.order, found.fields) == ((), None, ())
    assert [image.read for image in images] == [[], []]
    assert next(lines_of(found)) == "identical"


MEMBER_MUTATIONS = {
    "content": lambda member: {"content": member.content + b"!"} if member.type == tarfile.REGTYPE else None,
    "mode": lambda member: {"mode": member.mode ^ 0o001},
    "uid": lambda member: {"uid": member.uid + 1},
    "gid": lambda member: {"gid": member.gid + 1},
    "uname": lambda member: {"uname": member.uname + "u"},
    "gname": lambda member: {"gname": member.gname + "g"},
    "mtime": lambda member: {"mtime": member.mtime + 1},
    "link target": lambda member: {"linkname": member.linkname + "l"} if member.type == tarfile.SYMTYPE else None,
    "kind": lambda member: {"type": tarfile.FIFOTYPE, "content": b""},
    "xattr user.b": lambda member: {"xattrs": (*member.xattrs, ("user.b", "2"))},
}


@pytest.mark.parametrize("attribute", MEMBER_MUTATIONS)
@few
@given(data=st.data())
def test_an_attribute_of_one_file_that_was_changed_is_told(attribute, data):
    spec = data.draw(specs)
    at = data.draw(st.integers(0, len(spec.layers) - 1))
    member = data.draw(st.sampled_from(spec.layers[at]))
    change = MEMBER_MUTATIONS[attribute](member)
    if change is None:
        return
    layer = tuple(replace(each, **change) if each is member else each for each in spec.layers[at])
    found = difference(spec, replace(spec, layers=(*spec.layers[:at], layer, *spec.layers[at + 1 :])))
    assert not found.identical
    (row,) = found.layers
    assert row.pair.first.position == row.pair.second.position == at + 1
    (told,) = row.comparison.members
    assert told.path == f"/{member.path}"
    assert attribute in {each.name for each in told.attributes}
    assert any(f"/{member.path}" in line for line in lines_of(found))
    json.dumps(value_of(found))


@few
@given(data=st.data())
def test_a_file_more_or_less_is_told(data):
    spec = data.draw(specs)
    at = data.draw(st.integers(0, len(spec.layers) - 1))
    more = (*spec.layers[at], Member("new", content=b"new"))
    other = replace(spec, layers=(*spec.layers[:at], more, *spec.layers[at + 1 :]))
    for found, change in ((difference(spec, other), Change.ADDED), (difference(other, spec), Change.REMOVED)):
        (row,) = found.layers
        assert [(each.path, each.change) for each in row.comparison.members] == [("/new", change)]


@few
@given(data=st.data())
def test_files_in_another_order_are_told(data):
    spec = data.draw(specs)
    first = (Member("p"), *spec.layers[0], Member("q"))
    layers_of = [(each, *spec.layers[1:]) for each in (first, first[::-1])]
    (row,) = difference(*(replace(spec, layers=each) for each in layers_of)).layers
    assert row.comparison.order == ("/p", "/q")
    assert row.comparison.members == ()


@few
@given(data=st.data())
def test_layers_in_another_order_more_or_less_are_told_and_only_those_that_are_new_are_read(data):
    spec = data.draw(specs)
    new = (Member("new", content=b"new"),)
    one, other = spec.image(), replace(spec, layers=(*spec.layers, new)).image()
    found = compare(Compared("one", one), Compared("other", other))
    assert [(each.pair.change, each.pair.origin.position) for each in found.layers] == [
        (Change.ADDED, len(spec.layers) + 1)
    ]
    assert (one.read, other.read) == ([], [digest_of(tar(new))])
    turned = difference(replace(spec, layers=(*spec.layers, new)), replace(spec, layers=(new, *spec.layers)))
    assert turned.layers == ()
    assert [each.position for each in turned.order[1]] == list(range(1, len(spec.layers) + 2))


def edited(document, path, value):
    found = copy.deepcopy(document)
    at = found
    for part in path[:-1]:
        at = at.setdefault(part, {})
    at[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "field_name"),
    [
        (("created",), "1999-01-01T00:00:00Z", "created"),
        (("os",), "plan9", "os"),
        (("variant",), "v8", "variant"),
        (("unheard-of",), 1, "unheard-of"),
        (("history",), [{"created_by": "x", "empty_layer": True}], "history"),
        (("config", "User"), "1", "config.User"),
        (("config", "Cmd"), ["x"], "config.Cmd"),
        (("config", "Env"), ["A=2", "B=2"], "config.Env.A"),
        (("config", "Env"), ["B=2", "A=1"], "config.Env.(order)"),
        (("config", "Labels", "new"), "1", "new"),
        (("config", "Labels", "c"), '{"x": {"y": 2}}', "c: x.y"),
        (("config", "Unheard"), True, "config.Unheard"),
    ],
)
@few
@given(spec=specs)
def test_a_field_of_the_configuration_that_was_changed_is_told(path, value, field_name, spec):
    spec = replace(spec, config=edited(spec.config, ("config", "Labels", "c"), '{"x": {"y": 1}}'))
    found = difference(spec, replace(spec, config=edited(spec.config, path, value)))
    assert not found.identical
    assert [each.field for each in found.fields if each.place in {Place.CONFIG, Place.LABEL}] == [field_name]
    assert found.layers == ()
    assert any(field_name in line for line in lines_of(found))


@few
@given(spec=specs)
def test_how_an_image_is_stored_is_told_although_its_id_is_the_same(spec):
    packed = difference(spec, replace(spec, packed=(0,)))
    assert (packed.identical, packed.same_id) == (False, True)
    assert [(each.place, each.field) for each in packed.fields] == [(Place.COMPRESSION, "layers[0]")]
    annotated = difference(spec, replace(spec, manifest={"annotations": {"a": "b"}}))
    assert (annotated.identical, annotated.same_id) == (False, True)
    assert [(each.place, each.field) for each in annotated.fields] == [(Place.MANIFEST, "annotations")]
    spaced = difference(spec, replace(spec, space=" "))
    assert (spaced.identical, spaced.same_id) == (False, False)
    assert [(each.place, each.field) for each in spaced.fields] == [(Place.CONFIG, "(written otherwise)")]


@few
@given(specs, specs)
def test_the_other_way_round_the_same_is_said_the_other_way_round(one, other):
    forth, back = value_of(difference(one, other)), value_of(difference(other, one))
    assert turned(forth) == plain(back)


def plain(value):
    layers = [
        (each["change"], each["first"] and each["first"]["position"], each["second"] and each["second"]["position"],
         [(member["path"], member["change"], [(a["name"], a["first"], a["second"]) for a in member["attributes"]])
          for member in each["members"]], each["order"])
        for each in value["layers"]
    ]  # fmt: skip
    fields = [(each["field"], each.get("first"), each.get("second")) for each in value["fields"]]
    return sorted(map(repr, layers)), sorted(map(repr, fields)), value["identical"]


def turned(value):
    mirror = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}

    def swap(each):
        sides = {"first": each.get("second"), "second": each.get("first")}
        return {**each, **{key: side for key, side in sides.items() if key in each or side is not None}}

    layers = [
        {**swap(each), "change": mirror[each["change"]], "order": each["order"] and each["order"][::-1],
         "members": [{**member, "change": mirror[member["change"]], "attributes": list(map(swap, member["attributes"]))}
                     for member in each["members"]]}
        for each in value["layers"]
    ]  # fmt: skip
    return plain({**value, "layers": layers, "fields": list(map(swap, value["fields"]))})


def test_a_short_text_is_shown_and_a_large_file_only_named():
    small, large = Member("small", content=b"one\n"), Member("large", content=b"\0" * 200_000)
    first = Spec(((small, large),), {})
    second = Spec(((replace(small, content=b"two\n"), replace(large, content=b"\0" * 200_000 + b"1")),), {})
    text = "\n".join(lines_of(difference(first, second)))
    assert "-one" in text
    assert "+two" in text
    assert "/large  content, 200.0 kB" in text
    assert len(text) < 2000


def test_many_files_are_counted_and_shown_only_if_wanted():
    first = Spec((tuple(Member(f"f{n:03}") for n in range(50)),), {})
    second = Spec((tuple(Member(f"f{n:03}", content=b"x") for n in range(50)),), {})
    found = difference(first, second)
    assert sum("/f0" in line for line in lines_of(found)) == 10
    assert sum("/f0" in line for line in lines_of(found, everything=True)) == 50
    assert "  … and 40 more: --all shows them" in list(lines_of(found))


def test_a_layer_with_members_that_can_not_be_compared_is_told_as_such():
    first, second = Spec(((Member("a"),),), {}).image(), Spec(((Member("a", content=b"1"),),), {}).image()
    (diff_id,) = second.tars
    second.tars[diff_id] = b"this is no tar".ljust(1024)
    found = compare(Compared("one", first), Compared("other", second))
    assert "is not a valid tar" in found.layers[0].unread
    assert "not compared" in "\n".join(lines_of(found))


def test_values_do_not_move_the_cursor():
    one = Spec(((Member("a"),),), {"config": {"Labels": {"\x1b[2J": "1"}}})
    other = Spec(((Member("a"),),), {"config": {"Labels": {"\x1b[2J": "\x1b[2J"}}})
    assert all(line.isprintable() for line in lines_of(difference(one, other)))


def test_a_platform_has_two_or_three_parts():
    assert str(read_platform("linux/arm/v7")) == "linux/arm/v7"
    for text in ("", "linux", "linux/", "a/b/c/d"):
        with pytest.raises(InvalidInputError, match="is no platform"):
            read_platform(text)
