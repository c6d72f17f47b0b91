"""Which members of two layers differ, and in what."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.differences.members import Change, compare_members
from lifecycle.layers.facts import MemberFacts

FILE = MemberFacts(b"a", "0", 0o644, size=1, content=b"1" * 32, format="ustar")

names = st.sampled_from([b"a", b"./a", b"a/", b"b", b"c/d", b"\xff", b"e\n\x1b[2J"])
times = st.integers(-(2**62), 2**62)
member = st.builds(
    MemberFacts,
    name=names,
    kind=st.sampled_from(["0", "1", "2", "5", "6", "x?"]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2),
    gid=st.integers(0, 2),
    uname=st.sampled_from([b"", b"root"]),
    size=st.integers(0, 3),
    mtime=times,
    atime=st.none() | times,
    linkname=names,
    device=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    records=st.just(()) | st.builds(lambda value: (("SCHILY.xattr.user.a", value),), st.binary(max_size=3)),
    content=st.sampled_from([b"", b"1" * 32, b"2" * 32]),
    format=st.sampled_from(["ustar", "pax", "gnu"]),
)
layers = st.lists(member, max_size=8)


@given(layers)
def test_a_layer_does_not_differ_from_itself(layer):
    assert not compare_members(layer, [replace(each, head=(1, 2)) for each in layer])


@given(layers, layers)
def test_the_other_way_round_everything_is_the_other_way_round(one, other):
    mirrored = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}
    forth, back = compare_members(one, other), compare_members(other, one)
    assert [(each.path, mirrored[each.change], each.first, each.second) for each in forth.members] == [
        (each.path, each.change, each.second, each.first) for each in back.members
    ]
    assert [[(a.name, a.first, a.second) for a in each.attributes] for each in forth.members] == [
        [(a.name, a.second, a.first) for a in each.attributes] for each in back.members
    ]
    assert (forth.order and forth.order[::-1]) == back.order


@given(layers, layers)
def test_layers_in_which_nothing_differs_have_the_same_facts(one, other):
    found = compare_members(one, other)
    assert bool(found) == (one != other)


CHANGES = {
    "kind": replace(FILE, kind="2"),
    "content": replace(FILE, content=b"2" * 32),
    "size": replace(FILE, size=2),
    "mode": replace(FILE, mode=0o755),
    "uid": replace(FILE, uid=1),
    "gid": replace(FILE, gid=1),
    "uname": replace(FILE, uname=b"root"),
    "gname": replace(FILE, gname=b"root"),
    "mtime": replace(FILE, mtime=1),
    "atime": replace(FILE, atime=1),
    "ctime": replace(FILE, ctime=0),
    "link target": replace(FILE, linkname=b"b"),
    "device": replace(FILE, device=(1, 3)),
    "name": replace(FILE, name=b"./a"),
    "tar format": replace(FILE, format="gnu"),
    "xattr user.a": replace(FILE, records=(("SCHILY.xattr.user.a", b"1"),)),
    "PAX record comment": replace(FILE, records=(("comment", b"1"),)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_attribute_is_told_by_its_name(name):
    (row,) = compare_members([FILE], [CHANGES[name]]).members
    assert [each.name for each in row.attributes] == [name]
    assert row.change is Change.CHANGED


def test_every_field_of_the_facts_is_looked_at():
    changed = {field for each in CHANGES.values() for field in MemberFacts.__slots__
               if getattr(each, field) != getattr(FILE, field)}  # fmt: skip
    assert changed == {*MemberFacts.__slots__} - {"head"}


def test_values_are_written_as_people_write_them():
    (row,) = compare_members([FILE], [replace(FILE, mode=0o4755, mtime=1_500_000_000)]).members
    assert [(each.first, each.second) for each in row.attributes] == [
        ("0644", "4755"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z"),
    ]


def test_another_order_is_told_with_the_first_two_that_changed_places():
    a, b, c = (replace(FILE, name=name) for name in (b"a", b"b", b"c"))
    assert compare_members([a, b, c], [b, a, c]).order == ("/a", "/b")
    assert compare_members([a, c], [a, b, c]).order is None


def test_members_of_one_name_are_told_apart():
    found = compare_members([FILE, FILE], [FILE, replace(FILE, mode=0)])
    assert [each.path for each in found.members] == ["/a"]
    assert [each.change for each in compare_members([FILE, FILE], [FILE]).members] == [Change.REMOVED]


def test_a_name_does_not_move_the_cursor():
    (row,) = compare_members([], [replace(FILE, name=b"e\x1b[2J\xff\xe2\x80\xae")]).members
    assert row.path == r"/e\x1b[2J\xff\u202e"
