"""The format of BuildKit's caches: what we write is what its own code would write again, and any of it can be read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cache.targets.buildkit_manifest import (
    CONFIG_TYPE,
    LARGEST,
    Variant,
    cache_config,
    document_descriptor,
    inline_records,
    manifest_bytes,
    read_cache_config,
    read_cache_manifest,
    step_digest,
)
from lifecycle.cache.targets.cache_index import CachedBuild, SbomLayer, cached_steps, dumps, loads
from lifecycle.cache.targets.merging import MOST_BUILDS, merged
from lifecycle.errors import CacheError, CorruptImageError
from lifecycle.model.cached_step import SbomPlace
from lifecycle.model.group import GroupElement
from lifecycle.model.layer import LayerTypes
from lifecycle.model.step_record import FIELDS, LayerRecord, StepRecord, layer_key, step_key
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor

INDEX = digest_of(b"index")


def layer(name, *, kept=True, **types):
    blob = Descriptor(OCI_LAYER_GZIP, len(name), digest_of(name.encode())) if kept else None
    return LayerRecord(name, LayerTypes(**types or {"launch": True}), None, digest_of(b"tar " + name.encode()), 9, blob)


def step(name, *layers, keyed=True):
    inputs = {field: digest_of(f"{name} {field}".encode()) for field in FIELDS}
    given_ = {"key": step_key(inputs), "inputs": inputs} if keyed else {}
    return StepRecord(GroupElement(id=f"x/{name}", version="1"), layers, **given_)


def built(*steps, mode="max", **more):
    return CachedBuild(mode, steps, **more)


def chain(config, position):
    """Blobs from the lowest, as BuildKit walks them: a missing parent is 0."""
    found = []
    while position != -1:
        found.append(config["layers"][position]["blob"])
        position = config["layers"][position].get("parent", 0)
    return found[::-1]


def test_a_record_of_a_step_gives_all_blobs_up_to_it_and_that_of_a_layer_its_own():
    first, second = step("one", layer("a"), layer("b", kept=False)), step("two", layer("c"), layer("d"))
    config = json.loads(cache_config([built(first, second)], index=INDEX))
    by_digest = {record["digest"]: record for record in config["records"]}
    results = {name: chain(config, each["layers"][0]["layer"]) for name, each in by_digest.items()}
    a, c, d = (digest_of(each) for each in (b"a", b"c", b"d"))
    assert results == {
        first.key: [a],
        second.key: [a, c, d],
        layer_key(first.key, "a"): [a],
        layer_key(second.key, "c"): [c],
        layer_key(second.key, "d"): [d],
    }
    links = {name: [slot[0]["link"] for slot in each.get("inputs", [])] for name, each in by_digest.items()}
    position = {record["digest"]: index for index, record in enumerate(config["records"])}
    assert links[first.key] == []
    assert links[second.key] == [position[first.key]]
    assert links[layer_key(second.key, "d")] == [position[second.key]]


steps = st.lists(
    st.builds(
        lambda name, names, kept, keyed: step(
            name, *(layer(each, kept=bool(kept >> at & 1)) for at, each in enumerate(sorted(names))), keyed=keyed
        ),
        st.sampled_from("abcdefgh"),
        st.sets(st.sampled_from("pqrstuv"), max_size=5),
        st.integers(0, 31),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda each: each.buildpack.id,
)


@given(st.lists(steps, max_size=3))
def test_lists_are_sorted_positions_are_right_and_a_parent_of_0_is_left_out(builds):
    builds = [built(*each) for each in builds]
    data = cache_config(builds, index=INDEX)
    config = json.loads(data)
    layers, records = config.get("layers", []), config.get("records", [])
    assert [each["blob"] for each in layers] == sorted(each["blob"] for each in layers)
    assert [each["digest"] for each in records] == sorted(each["digest"] for each in records)
    assert all(each.get("parent", 0) != 0 or "parent" not in each for each in layers)
    assert len({(each["blob"], each.get("parent", 0)) for each in layers}) == len(layers)
    for build in builds:
        held = []
        for each in build.steps:
            held += [one.blob.digest for one in each.layers if one.blob]
            found = [record for record in records if record["digest"] == step_digest(each)]
            chains = [chain(config, one["layers"][0]["layer"]) if "layers" in one else [] for one in found]
            assert held in chains
    read = read_cache_config(data, where="here")
    assert [(blob, parent) for blob, parent in read.layers] == [
        (each["blob"], each.get("parent", 0)) for each in layers
    ]
    assert [record.digest for record in read.records] == [record["digest"] for record in records]
    assert read.index == INDEX
    assert cache_config(builds, index=INDEX) == data


@given(st.lists(steps, max_size=3))
def test_our_own_document_comes_back(builds):
    sboms = {"launch": SbomLayer(digest_of(b"sbom"), Descriptor(OCI_LAYER, 3, digest_of(b"sbom")))}
    builds = tuple(built(*each, sboms=sboms, detected={"group": {}}) for each in builds)
    found = loads(dumps(builds), where="here")
    assert dumps(found) == dumps(builds)
    for each in cached_steps(found):
        assert each.sboms == {SbomPlace.LAUNCH: digest_of(b"sbom")}
        assert all(one.has_contents is bool(one.digest) for one in each.layers)


BUILDKITS_OWN = {
    "layers": [
        {"blob": digest_of(b"a"), "parent": -1},
        {"blob": digest_of(b"c"), "parent": 2, "annotations": {"mediaType": OCI_LAYER, "createdAt": "x"}},
        {"blob": digest_of(b"b")},
    ],
    "records": [
        {"layers": [{"layer": 0, "createdAt": "2026-01-02T03:04:05Z"}], "digest": digest_of(b"one")},
        {"digest": digest_of(b"two"), "inputs": [[{"selector": "sel", "link": 0}]], "later": True},
        {"chains": [{"layers": [0, 2], "createdAt": "0001-01-01T00:00:00Z"}], "digest": digest_of(b"three")},
    ],
    "later": {},
}


def test_a_configuration_of_buildkit_itself_is_read_with_a_missing_parent_as_0():
    found = read_cache_config(json.dumps(BUILDKITS_OWN).encode(), where="here")
    assert [parent for _, parent in found.layers] == [-1, 2, 0]
    assert [record.chain for record in found.records] == [0, None, None]
    assert found.records[1].inputs == ((0,),)
    assert found.records[2].positions == (0, 2)
    assert found.index is None


@pytest.mark.parametrize(
    "change",
    [{"layers": [{}]}, {"layers": [{"blob": "x", "parent": 7}]}, {"layers": 3}, {"records": [1]},
     {"records": [{"inputs": [[{"link": "x"}]]}]}, {"layers": [{"blob": "x", "parent": True}]}],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_is_none_is_refused(change):
    with pytest.raises(CorruptImageError, match="is no cache configuration"):
        read_cache_config(json.dumps({**BUILDKITS_OWN, **change}).encode(), where="here")


@pytest.mark.parametrize(
    ("variant", "media_type", "layer_types"),
    [
        (Variant(), OCI_MANIFEST, [OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD]),
        (Variant(image_manifest=False), OCI_INDEX, [OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD]),
        (
            Variant(image_manifest=False, oci_types=False),
            "application/vnd.docker.distribution.manifest.list.v2+json",
            [f"application/vnd.docker.image.rootfs.diff.tar{suffix}" for suffix in ("", ".gzip", ".zstd")],
        ),
    ],
)
def test_both_variants_list_all_blobs_and_are_read_alike(variant, media_type, layer_types):
    config = document_descriptor(b"{}", CONFIG_TYPE)
    blobs = [
        variant.typed(Descriptor(each, 1, digest_of(each.encode())))
        for each in (OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD)
    ]
    data = manifest_bytes(variant, blobs, config)
    assert json.loads(data)["mediaType"] == media_type
    assert [each.media_type for each in blobs] == layer_types
    found = read_cache_manifest(data, where="here")
    assert found.config == config
    assert list(found.blobs) == blobs


def test_an_image_is_no_cache():
    config = Descriptor("application/vnd.oci.image.config.v1+json", 2, digest_of(b"{}"))
    assert read_cache_manifest(manifest_bytes(Variant(), [], config), where="here") is None


def test_no_configuration_and_no_manifest_gets_larger_than_buildkit_reads():
    huge = built(*(step(f"s{at}", *(layer(f"{at}-{each}") for each in range(100))) for at in range(40)))
    with pytest.raises(CacheError, match=f"BuildKit reads {LARGEST}"):
        cache_config([huge], index=INDEX)
    blobs = [Descriptor(OCI_LAYER, 1, digest_of(str(each).encode())) for each in range(10_000)]
    with pytest.raises(CacheError, match="manifest"):
        manifest_bytes(Variant(), blobs, document_descriptor(b"{}", CONFIG_TYPE))


def test_inline_records_name_layers_by_their_places_in_the_image():
    first, second = step("one", layer("a")), step("two", layer("c"), layer("not in the image"))
    image = [digest_of(b"run image"), digest_of(b"tar c"), digest_of(b"tar a"), digest_of(b"app")]
    records = json.loads(inline_records(built(first, second), image))
    assert [record["chains"][0]["layers"] for record in records] == [[2], [2, 1]]
    assert [record["digest"] for record in records] == [first.key, second.key]


def test_merging_keeps_the_newest_first_and_drops_what_newer_builds_hold():
    one, other, third = (built(step(name, layer(name))) for name in "abc")
    assert merged(one, (other, third, one)) == (one, other, third)
    both = built(*one.steps, *other.steps)
    assert merged(both, (one, other, third)) == (both, third)
    again = replace(one, mode="min")
    assert merged(again, (one,)) == (again,)


def test_merging_is_bounded_in_builds_and_in_bytes():
    many = [built(step(f"s{each}", layer(f"l{each}"))) for each in range(MOST_BUILDS + 5)]
    assert len(merged(many[0], many[1:])) == MOST_BUILDS
    large = [built(*(step(f"{at}-{each}", *(layer(f"{at}{each}{n}") for n in range(40))) for each in range(10))) for at in range(8)]  # fmt: skip
    kept = merged(large[0], large[1:])
    assert kept[0] == large[0]
    assert 1 < len(kept) < len(large)
    assert len(cache_config(kept, index=INDEX)) <= LARGEST // 2


@pytest.mark.parametrize(
    "value",
    [{}, {"v": 2, "builds": []}, {"v": 1, "builds": [{}]}, {"v": 1, "builds": [{"steps": [{}]}]},
     {"v": 1, "builds": [{"steps": [], "sbom": {"launch": {}}}]}, {"v": 1, "builds": [{"steps": [], "sbom": []}]},
     {"v": 1, "builds": [{"steps": [], "detected": {"plan": 1.5}}]}],
    ids=str,
)  # fmt: skip
def test_a_document_that_is_not_ours_is_refused(value):
    with pytest.raises(CacheError):
        loads(json.dumps(value).encode(), where="here")
