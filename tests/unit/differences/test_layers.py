"""What the layers of an image are, and which of two images belong together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.differences.layers import Origin, Owner, layer_order, origins, pair_layers
from lifecycle.differences.members import Change
from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.oci.digest import digest_of

IDS = {name: digest_of(name.encode()) for name in ("base1", "base2", "deps", "sbom", "app1", "app2", "launcher",
                                                   "config", "types", "odd")}  # fmt: skip
METADATA = {
    "app": [{"sha": IDS["app1"]}, {"sha": IDS["app2"]}],
    "sbom": {"sha": IDS["sbom"]},
    "buildpacks": [{"key": "test/x", "version": "1.0", "layers": {"deps": {"sha": IDS["deps"], "launch": True}}}],
    "config": {"sha": IDS["config"]},
    "launcher": {"sha": IDS["launcher"]},
    "process-types": {"sha": IDS["types"]},
    "runImage": {"topLayer": IDS["base2"], "reference": "run"},
}


def config(*names, metadata=METADATA, history=()):
    labels = {} if metadata is None else {"io.buildpacks.lifecycle.metadata": json.dumps(metadata)}
    return ImageConfig("amd64", "linux", tuple(IDS[name] for name in names), history=history, run={"Labels": labels})


def test_every_layer_of_an_app_image_is_told_and_who_put_it_there():
    history = tuple(HistoryEntry(created_by=f"step {number}") for number in range(9))
    found = origins(
        config("base1", "base2", "odd", "deps", "sbom", "app1", "app2", "launcher", "types", history=history)
    )
    assert list(map(str, found)) == [
        "run image", "run image", "step 2", "buildpack test/x@1.0, layer deps", "lifecycle, sbom", "app, slice 1",
        "app, slice 2", "lifecycle, launcher", "lifecycle, process-types",
    ]  # fmt: skip
    assert [each.position for each in found] == list(range(1, 10))
    assert [each.who for each in found][2:4] == ["", "buildpack test/x@1.0"]


def test_two_layers_of_the_same_bytes_keep_their_own_names():
    same = {**METADATA, "app": [{"sha": IDS["app1"]}, {"sha": IDS["app1"]}]}
    assert [each.name for each in origins(config("base2", "app1", "app1", metadata=same))][1:] == ["slice 1", "slice 2"]


@pytest.mark.parametrize("label", [None, "", "{", "[]", '{"app": 1}'])
def test_an_image_without_a_label_that_can_be_read_has_layers_of_unknown_origin(label):
    labels = {} if label is None else {"io.buildpacks.lifecycle.metadata": label}
    (found,) = origins(ImageConfig("amd64", "linux", (IDS["odd"],), run={"Labels": labels}))
    assert (found.owner, str(found)) == (Owner.UNKNOWN, "of unknown origin")


def test_an_app_on_scratch_has_no_layer_of_a_run_image():
    metadata = {**METADATA, "runImage": {"topLayer": "", "reference": "scratch"}}
    assert [each.owner for each in origins(config("deps", "app1", metadata=metadata))] == [Owner.BUILDPACK, Owner.APP]


def test_layers_of_the_same_name_belong_together_wherever_they_stand():
    other = {**METADATA, "buildpacks": [{"key": "test/x", "version": "1.1", "layers": {"deps": {"sha": IDS["odd"]}}}]}
    pairs = pair_layers(
        origins(config("base1", "base2", "deps", "app1")),
        origins(config("base2", "app1", "odd", metadata=other)),
    )
    found = {str(pair.origin): (pair.change, pair.first and pair.first.position, pair.second and pair.second.position)
             for pair in pairs if pair.change}  # fmt: skip
    assert found == {"buildpack test/x@1.1, layer deps": (Change.CHANGED, 3, 3), "run image": (Change.REMOVED, 1, None)}


def test_another_order_of_layers_is_told():
    pairs = pair_layers(origins(config("base2", "app1", "deps")), origins(config("base2", "deps", "app1")))
    one, other = layer_order(pairs)
    assert [each.name for each in one] == ["", "slice 1", "deps"]
    assert [each.name for each in other] == ["", "deps", "slice 1"]


owners = st.sampled_from([("", Owner.RUN_IMAGE), ("", Owner.UNKNOWN), ("a", Owner.APP), ("b", Owner.APP)])
sides = st.lists(st.tuples(owners, st.sampled_from(sorted(IDS.values())[:4])), max_size=6).map(
    lambda rows: [
        Origin(position, diff_id, owner, name) for position, ((name, owner), diff_id) in enumerate(rows, start=1)
    ]
)


@given(sides, sides)
def test_each_layer_is_in_one_pair_and_the_pairs_are_the_same_the_other_way_round(one, other):
    pairs = pair_layers(one, other)
    assert sorted(pair.first.position for pair in pairs if pair.first) == [each.position for each in one]
    assert sorted(pair.second.position for pair in pairs if pair.second) == [each.position for each in other]
    assert {(pair.second, pair.first) for pair in pairs} == {(p.first, p.second) for p in pair_layers(other, one)}


@given(sides)
def test_an_image_has_the_layers_of_itself(side):
    pairs = pair_layers(side, side)
    assert all(pair.change is None for pair in pairs)
    assert layer_order(pairs) is None
