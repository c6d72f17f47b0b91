"""What is kept, against an evaluator of its own; names and policy files."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.cache.distributed.inventory import take_inventory
from lifecycle.cache.distributed.policy_file import read_policy, seconds
from lifecycle.cache.distributed.retention import (
    DAY,
    DEFAULT_POLICIES,
    HOUR,
    KeepPolicy,
    Limit,
    Policy,
    ReferenceKind,
    kept,
)
from lifecycle.cache.distributed.retention_tags import (
    Ended,
    Going,
    Idle,
    Lease,
    Made,
    Unneeded,
    Used,
    read_retention_tag,
)
from lifecycle.cache.distributed.tags import Decided, Hint, Stored, read_tag
from lifecycle.cache.distributed.usage import BuildNote, read_note
from lifecycle.errors import CorruptImageError, InvalidFileError
from lifecycle.oci.digest import digest_of

NOW = 100 * DAY
digests = st.integers(0, 40).map(lambda number: digest_of(b"%d" % number))
times = st.integers(0, 36**8 - 1)
numbers = st.integers(0, 36**4)
builds = st.text("abcXYZ019", min_size=11, max_size=11)


@given(
    st.one_of(
        st.builds(Used, digests, times),
        st.builds(Idle, digests, times),
        st.builds(Going, digests, times),
        st.builds(Made, digests, times, digests),
        st.builds(Lease, builds, times, times),
        st.builds(Unneeded, digests, numbers, times),
        st.builds(Ended, digests, numbers, times),
    )
)
def test_every_name_is_read_as_it_was_written_and_means_nothing_to_the_protocol(tag):
    assert read_retention_tag(tag.name) == tag
    assert len(tag.name) <= 128
    assert read_tag(tag.name) is None


@given(st.text(max_size=130))
def test_any_other_name_is_nobodys(name):
    tag = read_retention_tag(name)
    assert tag is None or tag.name == name


notes = st.lists(
    st.builds(
        BuildNote,
        image=st.integers(0, 12).map(lambda number: digest_of(b"image %d" % number)),
        time=st.integers(0, 40).map(lambda ago: NOW - ago * 7 * HOUR),
        records=st.dictionaries(digests, st.just("bp"), min_size=1, max_size=3),
        branches=st.lists(st.sampled_from(["main", "feature/a", "feature/b", "fix"]), max_size=2, unique=True).map(
            tuple
        ),
        git_tags=st.lists(st.sampled_from(["v1", "v2", "v3"]), max_size=1).map(tuple),
    ),
    max_size=12,
    unique_by=lambda note: (note.image, note.time),
)
limits = st.builds(
    Limit,
    last=st.none() | st.integers(0, 3),
    within=st.none() | st.sampled_from([0, 20 * HOUR, 5 * DAY]),
    either=st.booleans(),
)
policies = st.builds(
    KeepPolicy,
    kind=st.sampled_from(ReferenceKind),
    name=st.sampled_from(["/.*/", "main", "/^feature/", "v1", "/[12]$/"]),
    references=limits,
    images=limits,
)


def evaluated(built, policy):
    """The images that one policy keeps, said in another way: who has too many before it goes."""

    def in_limit(limit, before, age):
        parts = [limit.last is None or before < limit.last, limit.within is None or age <= limit.within]
        asked = [part for part, bound in zip(parts, (limit.last, limit.within), strict=True) if bound is not None]
        return (any(asked) if limit.either else all(asked)) if asked else True

    def names(note):
        if policy.kind == "tag":
            return set(note.git_tags)
        return set(note.branches) or (set() if note.git_tags else {""})

    def meant(name):
        if policy.name in {"main", "v1"}:
            return name == policy.name
        return {
            "/.*/": True, "/^feature/": name.startswith("feature"), "/[12]$/": name.endswith(("1", "2")),
        }[policy.name]  # fmt: skip

    references = {name for note in built for name in names(note) if meant(name)}
    newest = {name: max(note.time for note in built if name in names(note)) for name in references}
    found = set()
    for name in references:
        before = sum((newest[other], other) > (newest[name], name) for other in references)
        if not in_limit(policy.references, before, NOW - newest[name]):
            continue
        own = [note for note in built if name in names(note)]
        last = {image: max((note.time, note.tag.name) for note in own if note.image == image) for image in
                {note.image for note in own}}  # fmt: skip
        for image, (time, _) in last.items():
            if in_limit(policy.images, sum(other > last[image] for other in last.values()), NOW - time):
                found |= {note.tag for note in own if note.image == image}
    return found


@settings(max_examples=300)
@given(notes, st.lists(policies, max_size=3))
def test_policies_keep_what_another_evaluator_says(built, chosen):
    by_tag = {note.tag: note for note in built}
    found = kept(take_inventory(()), by_tag, Policy(keep_within=-1, policies=tuple(chosen)), NOW)
    expected = set().union(*(evaluated(built, policy) for policy in chosen))
    assert set(found.images) == expected
    assert set(found.records) == {record for made in expected for record in by_tag[made].records}
    assert all(reasons for reasons in found.records.values())


def note(number, **changes):
    image = digest_of(b"image %d" % number)
    return BuildNote(
        **({"image": image, "time": NOW - 30 * DAY, "records": {digest_of(b"%d" % number): "bp"}} | changes)
    )


def test_each_reason_has_a_name():
    built = (note(1, branches=("main",)), note(2), note(3, time=NOW - HOUR), note(4, git_tags=("v1",)))
    value, started = digest_of(b"used"), digest_of(b"start")
    names = {Used(value, NOW - 60).name, Used(value, NOW - DAY).name}
    names |= {Decided(digest_of(b"key"), 0, started).name, Hint("g" * 22, 7, started).name, Stored(started).name}
    policy = Policy(images={built[1].image: "registry/app:live"})
    found = kept(take_inventory(names), {each.tag: each for each in built}, policy, NOW)
    told = {record: " / ".join(reasons) for record, reasons in found.records.items()}
    assert "number 1 of branch main" in told[digest_of(b"1")]
    assert "registry/app:live is in use" in told[digest_of(b"2")]
    assert "built 1 h ago" in told[digest_of(b"3")]
    assert "number 1 of tag v1" in told[digest_of(b"4")]
    assert told[value] == "used 1 min ago"
    assert told[started] == "newest of its buildpack and target"


def test_the_record_of_an_image_itself_is_kept_with_it():
    key, value = digest_of(b"key of the image"), digest_of(b"record of the image")
    built = note(1, key=key, time=NOW)
    found = kept(take_inventory({Decided(key, 0, value).name}), {built.tag: built}, Policy(starts=0), NOW)
    assert value in found.records


def test_werfs_configuration_is_read_in_toml_and_json():
    table = {
        "cleanup": {
            "keepImagesBuiltWithinLastNHours": 12,
            "keepPolicies": [
                {"references": {"tag": "/.*/", "limit": {"last": 10}}, "imagesPerReference": {"last": 1}},
                {
                    "references": {"branch": "/.*/", "limit": {"last": 10, "in": "168h", "operator": "And"}},
                    "imagesPerReference": {"last": 2, "in": "168h", "operator": "And"},
                },
                {
                    "references": {"branch": "/^(main|master|staging|production)$/"},
                    "imagesPerReference": {"last": 2},
                },
            ],
        }
    }
    policy = read_policy(json.loads(json.dumps(table)), Policy(), where="werf.json")
    assert policy == Policy(keep_within=12 * HOUR, policies=DEFAULT_POLICIES)
    assert read_policy({}, Policy(), where="empty") == Policy()
    either = {"keepPolicies": [{"references": {"branch": "x"}, "imagesPerReference": {"last": -1, "operator": "Or"}}]}
    assert read_policy(either, Policy(), where="f").policies[0].images == Limit(either=True)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "the policy is not a table"),
        ({"keepPolicy": []}, "no member 'keepPolicy'"),
        ({"keepImagesBuiltWithinLastNHours": "2h"}, "not a number of hours"),
        ({"keepPolicies": {}}, "not a list"),
        ({"keepPolicies": [{}]}, "references is not a table"),
        ({"keepPolicies": [{"references": {}}]}, "either tag or branch"),
        ({"keepPolicies": [{"references": {"tag": "a", "branch": "b"}}]}, "either tag or branch"),
        ({"keepPolicies": [{"references": {"tag": "/(/"}}]}, "not a regular expression"),
        ({"keepPolicies": [{"references": {"tag": "a", "limit": {"in": "soon"}}}]}, "not a duration"),
        ({"keepPolicies": [{"references": {"tag": "a"}, "imagesPerReference": {"last": True}}]}, "whole number"),
        ({"keepPolicies": [{"references": {"tag": "a"}, "imagesPerReference": {"operator": "Xor"}}]}, "neither And"),
    ],
)
def test_what_a_policy_can_not_mean_is_said(table, words):
    with pytest.raises(InvalidFileError, match=words):
        read_policy(table, Policy(), where="policy.toml")


def test_durations_are_those_of_go_and_days():
    assert [seconds(text) for text in ("168h", "1h30m", "2d", "90s", "1w")] == [604800, 5400, 172800, 90, 604800]
    assert [seconds(text) for text in ("", "h", "1", "1h 2m", "-1h", 5)] == [None] * 6


def test_a_note_is_read_as_it_was_written_and_anything_else_refused():
    written = note(1, names=("app:1",), key=digest_of(b"k"), commit="c", branches=("main",), git_tags=("v1",))
    assert read_note(written.publication.config, where="here") == written
    for data in (b"", b"[]", b"{}", written.publication.config.replace(b'"v":1', b'"v":2')):
        with pytest.raises(CorruptImageError, match="can't be understood"):
            read_note(data, where="here")
