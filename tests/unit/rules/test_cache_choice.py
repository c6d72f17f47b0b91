"""Which source a buildpack has its layers from, and what of each layer."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.cached_step import CachedLayer, CachedStep, StepFacts
from lifecycle.model.layer import LayerTypes
from lifecycle.rules.cache_choice import Match, choose, of_layer
from lifecycle.rules.restoration import Restored

SHA = "sha256:" + "1" * 64
HERE = StepFacts(os="linux", arch="amd64", distro="debian", layers_dir="/layers", exec_env="production")


def layer(name="deps", *, diff_id=SHA, has_contents=True, **types):
    return CachedLayer(name=name, types=LayerTypes(**types), diff_id=diff_id, has_contents=has_contents)


def step(buildpack="a", *, key="", facts=None, layers=None):
    kept = (layer(cache=True),) if layers is None else layers
    return CachedStep(buildpack_id=buildpack, key=key, facts=facts or StepFacts(), layers=kept)


def test_the_first_source_that_knows_the_buildpack_is_chosen():
    choice = choose("a", {1: [step("b")], 2: [step("a")], 3: [step("a")]}, facts=HERE)
    assert (choice.source, choice.match) == (2, Match.HINT)
    assert [(each.source, each.reason) for each in choice.passed_over] == [
        (1, "does not know a"),
        (3, "an earlier source was preferred"),
    ]


def test_the_same_inputs_win_in_whichever_source():
    sources = {1: [step(key="k1")], 2: [step(key="k3"), step(key="k2")]}
    choice = choose("a", sources, facts=HERE, key="k2")
    assert (choice.source, choice.match, choice.step) == (2, Match.EXACT, sources[2][1])
    assert choice.passed_over[0].reason == "a step with the same inputs was preferred"


def test_of_several_steps_of_a_source_the_first_is_the_hint():
    best = step(key="k1")
    assert choose("a", {1: [best, step(key="k2")]}, facts=HERE, key="k9").step is best


def test_nothing_is_chosen_where_nothing_is_known():
    choice = choose("a", {}, facts=HERE)
    assert (choice.source, choice.step, choice.passed_over) == (0, None, ())


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (StepFacts(os="windows"), "its os is windows, not linux"),
        (StepFacts(arch="arm64"), "its architecture is arm64, not amd64"),
        (StepFacts(distro="ubuntu"), "its distribution is ubuntu, not debian"),
        (StepFacts(exec_env="test"), "its execution environment is test, not production"),
        (StepFacts(layers_dir="/l"), "its layers directory is /l, not /layers"),
    ],
)
def test_a_step_for_something_else_is_passed_over_and_the_difference_named(facts, reason):
    choice = choose("a", {1: [step(facts=facts)], 2: [step()]}, facts=HERE)
    assert choice.source == 2
    assert choice.passed_over[0].reason == reason


def test_what_is_not_known_is_no_difference():
    assert choose("a", {1: [step(facts=StepFacts(variant="v8"))]}, facts=HERE).source == 1


def test_a_step_without_anything_to_give_is_passed_over():
    choice = choose("a", {1: [step(layers=(layer(build=True),))], 2: [step()]}, facts=HERE)
    assert choice.source == 2
    assert choice.passed_over[0].reason == "has no layer of a that could come back"


def test_an_unusable_source_is_passed_over_with_its_reason():
    choice = choose("a", {1: [step()], 2: [step()]}, facts=HERE, unusable={1: "its SBOM files are unusable"})
    assert choice.source == 2
    assert choice.passed_over[0].reason == "its SBOM files are unusable"


COMES_BACK = {
    (False, False, False): Restored.NOTHING,
    (False, False, True): Restored.CONTENTS,
    (False, True, False): Restored.METADATA,
    (False, True, True): Restored.CONTENTS,
    (True, False, False): Restored.NOTHING,
    (True, False, True): Restored.CONTENTS,
    (True, True, False): Restored.NOTHING,
    (True, True, True): Restored.CONTENTS,
}
"""build, launch, cache.  Spec: buildpack.md "Layer Types"."""


@pytest.mark.parametrize("types", COMES_BACK)
def test_each_combination_of_types_comes_back_as_the_specification_says(types):
    build, launch, cache = types
    found = of_layer(layer(build=build, launch=launch, cache=cache), exact=False)
    assert found.restored is COMES_BACK[types]
    assert found.reason


@pytest.mark.parametrize("types", COMES_BACK)
def test_the_same_inputs_bring_back_layers_of_the_build_too(types):
    build, launch, cache = types
    found = of_layer(layer(build=build, launch=launch, cache=cache), exact=True)
    assert found.restored is (Restored.CONTENTS if build else COMES_BACK[types])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("types", COMES_BACK)
def test_what_a_source_does_not_hold_never_comes_back(types, exact):
    build, launch, cache = types
    flags = {"build": build, "launch": launch, "cache": cache}
    assert of_layer(layer(has_contents=False, **flags), exact=exact).restored is Restored.NOTHING
    assert of_layer(layer(diff_id="", **flags), exact=exact).restored is Restored.NOTHING


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "k", "x"])), max_size=4), max_size=5),
    st.sampled_from(["", "k", "none"]),
)
def test_every_source_but_the_chosen_one_has_a_reason(contents, key):
    sources = {
        index: [step(buildpack, key=its) for buildpack, its in steps] for index, steps in enumerate(contents, start=1)
    }
    choice = choose("a", sources, facts=HERE, key=key)
    assert {each.source for each in choice.passed_over} | {choice.source} - {0} == set(sources)
    assert all(each.reason for each in choice.passed_over)
    known = [index for index, steps in sources.items() if any(each.buildpack_id == "a" for each in steps)]
    exact = [
        index
        for index, steps in sources.items()
        if key and any((each.buildpack_id, each.key) == ("a", key) for each in steps)
    ]
    assert choice.source == next(itertools.chain(exact, known), 0)
