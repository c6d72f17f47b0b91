"""The table of what comes back of a layer, as pure rules."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.lifecycle_metadata import BuildpackLayer
from lifecycle.rules.restoration import Origin, Restored, restoration, restorations

SHA, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
APIS = [PlatformApi(version) for version in PLATFORM_APIS]


def remembered(*, build, launch, cache, sha=SHA):
    layer = BuildpackLayer(sha=sha, build=build, launch=launch, cache=cache)
    return layer if launch else None, layer if cache else None


TABLE = {
    # build, launch, cache: what comes back, and whose metadata
    (False, False, False): (Restored.NOTHING, None),
    (False, False, True): (Restored.CONTENTS, Origin.CACHE),
    (False, True, False): (Restored.METADATA, Origin.APP_IMAGE),
    (False, True, True): (Restored.CONTENTS, Origin.APP_IMAGE),
    (True, False, False): (Restored.NOTHING, None),
    (True, False, True): (Restored.CONTENTS, Origin.CACHE),
    (True, True, False): (Restored.NOTHING, None),
    (True, True, True): (Restored.CONTENTS, Origin.APP_IMAGE),
}


@pytest.mark.requirement(
    "BP-LAYER-001",
    "BP-LAYER-004",
    "BP-LAYER-005",
    "BP-LAYER-006",
    "BP-LAYER-007",
    "BP-LAYER-009",
    "PLAT-RES-020",
)
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize(("flags", "expected"), TABLE.items())
def test_each_row_of_the_specification(flags, expected, api):
    build, launch, cache = flags
    image, cached = remembered(build=build, launch=launch, cache=cache)
    decision = restoration(image, cached, api=api)
    assert (decision.restored, decision.origin) == expected
    assert (decision.layer is None) == (decision.restored is Restored.NOTHING)
    assert decision.reason


@pytest.mark.requirement("BP-LAYER-008", "BP-LAYER-009")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("build", [False, True])
def test_a_launch_layer_in_another_version_in_the_cache_does_not_come_back(api, build):
    image, _ = remembered(build=build, launch=True, cache=True)
    _, cached = remembered(build=build, launch=True, cache=True, sha=OTHER)
    decision = restoration(image, cached, api=api)
    assert decision.restored is Restored.NOTHING
    assert decision.outdated


@pytest.mark.parametrize("api", APIS, ids=str)
def test_a_cached_launch_layer_that_only_the_cache_knows_comes_back_from_platform_api_0_14_on(api):
    _, cached = remembered(build=False, launch=True, cache=True)
    decision = restoration(None, cached, api=api)
    assert (decision.restored is Restored.CONTENTS) == (str(api) in {"0.14", "0.15"})
    assert decision.origin is (Origin.CACHE if str(api) in {"0.14", "0.15"} else None)


@pytest.mark.requirement("BP-LAYER-005")
def test_a_launch_only_layer_keeps_its_metadata_whatever_an_old_cache_says():
    image, _ = remembered(build=False, launch=True, cache=False)
    _, cached = remembered(build=False, launch=True, cache=True, sha=OTHER)
    decision = restoration(image, cached, api=APIS[-1])
    assert (decision.restored, decision.origin) == (Restored.METADATA, Origin.APP_IMAGE)
    assert decision.layer == image


layers = st.none() | st.builds(
    BuildpackLayer,
    sha=st.sampled_from([SHA, OTHER, "", "sha256:../x"]),
    build=st.booleans(),
    launch=st.booleans(),
    cache=st.booleans(),
)


@pytest.mark.requirement("BP-LAYER-010", "BP-LAYER-011")
@given(image=layers, cached=layers, api=st.sampled_from(APIS))
def test_contents_come_with_metadata_of_the_same_version_and_from_the_cache_only(image, cached, api):
    decision = restoration(image, cached, api=api)
    if decision.restored is Restored.CONTENTS:
        assert cached is not None
        assert cached.cache
        assert decision.layer is not None
        assert decision.layer.sha == cached.sha
        assert cached.sha in {SHA, OTHER}
    if decision.restored is Restored.METADATA:
        assert decision.layer == image
        assert (image.build, image.launch, image.cache) == (False, True, False)
    assert (decision.layer is None) == (decision.origin is None) == (decision.restored is Restored.NOTHING)
    assert not (decision.outdated and decision.restored is not Restored.NOTHING)


@given(names=st.lists(st.text(max_size=4) | st.sampled_from(["..", "build", "a/b", "ok"]), unique=True))
def test_only_names_that_are_one_part_of_a_path_are_restored_in_order(names):
    image, _ = remembered(build=False, launch=True, cache=False)
    found = list(restorations(dict.fromkeys(names, image), {}, api=APIS[-1]))
    assert found == sorted(found)
    assert set(names) - set(found) == {
        name for name in names if name in {"", ".", "..", "build", "launch", "store"} or "/" in name or "\0" in name
    }


def test_every_combination_of_image_and_cache_has_a_reason():
    flags = list(itertools.product([False, True], repeat=3))
    some = [None, *(BuildpackLayer(sha=SHA, build=b, launch=x, cache=c) for b, x, c in flags)]
    assert all(restoration(image, cached, api=APIS[0]).reason for image, cached in itertools.product(some, some))
