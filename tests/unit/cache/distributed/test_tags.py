"""Names of tags: read back as they were written, and nothing else is taken for one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cache.distributed.tags import (
    Accept,
    Ballot,
    Closed,
    Decided,
    First,
    Hint,
    Prepare,
    Signed,
    Stored,
    group_of,
    read_tag,
    seen_of,
)
from lifecycle.oci.digest import digest_of

digests = st.binary(max_size=4).map(digest_of)
numbers = st.integers(0, 36**8 - 1)
ballots = st.builds(Ballot, numbers, st.from_regex(r"[A-Za-z0-9]{11}", fullmatch=True))
tags = st.one_of(
    st.builds(Stored, digests),
    st.builds(Signed, digests, digests.map(group_of)),
    st.builds(First, digests, numbers),
    st.builds(Prepare, digests, numbers, ballots),
    st.builds(Accept, digests, numbers, ballots, digests),
    st.builds(Decided, digests, numbers, digests),
    st.builds(Closed, digests, numbers),
    st.builds(Hint, digests.map(group_of), numbers, digests),
)
KEY, OTHER = digest_of(b"key"), digest_of(b"other")
ONE, TWO = digest_of(b"one"), digest_of(b"two")
A, B = "aaaaaaaaaaa", "bbbbbbbbbbb"


@given(tags)
def test_a_name_reads_back_and_is_a_tag_that_registries_allow(tag):
    assert read_tag(tag.name) == tag
    assert re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", tag.name)


@given(tags, tags)
def test_different_tags_have_different_names(one, other):
    assert (one == other) == (one.name == other.name)


@given(tags, st.data())
def test_a_name_that_was_changed_is_another_tag_or_none(tag, data):
    position = data.draw(st.integers(0, len(tag.name) - 1))
    changed = tag.name[:position] + data.draw(st.text(max_size=2)) + tag.name[position + 1 :]
    found = read_tag(changed)
    assert found is None or found.name == changed


@pytest.mark.parametrize("name", ["", "latest", "r.", "r.short", "d.a.b.c", "p." + "A" * 43 + ".00.1.aaaaaaaaaaa"])
def test_other_names_are_no_tags(name):
    assert read_tag(name) is None


def test_what_is_seen_is_of_one_key_and_its_open_generation():
    names = [
        Prepare(KEY, 0, Ballot(5, A)).name,
        Closed(KEY, 0).name,
        Prepare(KEY, 1, Ballot(1, A)).name,
        Accept(KEY, 1, Ballot(1, A), ONE).name,
        Accept(KEY, 1, Ballot(2, A), TWO).name,
        Prepare(KEY, 1, Ballot(2, B)).name,
        Decided(OTHER, 1, ONE).name,
        Decided(KEY, 0, ONE).name,
        "latest",
    ]
    seen = seen_of(names, KEY)
    assert (seen.generation, seen.top, seen.vote, seen.decided) == (1, Ballot(2, B), TWO, None)


def test_an_outcome_is_seen_whatever_else_there_is():
    names = [Prepare(KEY, 0, Ballot(9, B)).name, Decided(KEY, 0, ONE).name]
    assert seen_of(names, KEY).decided == ONE
