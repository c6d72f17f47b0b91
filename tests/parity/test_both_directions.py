"""Images and volume caches of one lifecycle serve the other: every layer is reused, and the image is the same."""

from dataclasses import replace

import pytest

from parity.building import Place, build, calls, renew
from parity.cases import CASES
from parity.comparison import log_lines
from parity.runner import OURS, reference

CASE = next(case for case in CASES if case.name == "reuse-unchanged")
NAMES = ("plain", "sboms", "store", "layer-metadata", "reuse-without-directory")


@pytest.mark.skipif(
    reference() is None, reason="needs the reference's executables: CNB_REFERENCE_DIR names their folder"
)
@pytest.mark.parametrize("place", Place, ids=lambda place: place.value)
@pytest.mark.parametrize("api", ["0.8", "0.12", "0.15"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-then-theirs", "theirs-then-ours"])
def test_the_next_build_by_the_other_lifecycle_reuses_every_layer(name, api, place, ours_first, new_root, network):
    if place is Place.LAYOUT and api == "0.8":
        pytest.skip("Platform API 0.8 has no layouts")
    case = next(case for case in CASES if case.name == name)
    first, second = (OURS, reference()) if ours_first else (reference(), OURS)
    root = new_root()
    (one, *_) = build(case, api, place, root, first)
    assert one.failed is None
    made = place.app(root)
    renew(case, place, root)
    todo = calls(case, api, place, creator=False)
    results = second.run(root, todo, registry=place is Place.REGISTRY)
    assert [result.code for result in results] == [0] * len(todo), results[-1].out
    log = log_lines(results[-1].out)
    assert [line for line in log if line.startswith("Adding layer")] == []
    assert [line for line in log if line.startswith("Added")] == []
    assert [line for line in log if line.startswith("Reusing layer '")]
    assert place.app(root).diff_ids == made.diff_ids


@pytest.mark.skipif(
    reference() is None, reason="needs the reference's executables: CNB_REFERENCE_DIR names their folder"
)
@pytest.mark.parametrize("api", ["0.7", "0.12", "0.15"])
@pytest.mark.parametrize("cache_image", [False, True], ids=["volume", "image"])
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-then-theirs", "theirs-then-ours"])
def test_a_cache_restores_every_layer_in_the_other_lifecycle(ours_first, cache_image, api, new_root, network):
    first, second = (OURS, reference()) if ours_first else (reference(), OURS)
    case = replace(CASE, cache_image=cache_image)
    root = new_root()
    (one, *_) = build(replace(case, change=None), api, Place.REGISTRY, root, first)
    assert one.failed is None
    renew(case, Place.REGISTRY, root)
    results = second.run(root, calls(case, api, Place.REGISTRY, creator=False), registry=True)
    restored = sorted(line for line in log_lines(results[2].out) if line.startswith("Restoring data for"))
    assert restored == [
        'Restoring data for "parity/one:cached" from cache',
        'Restoring data for "parity/one:same" from cache',
    ]
    reused = sorted(line for line in log_lines(results[-1].out) if line.startswith("Reusing cache layer"))
    assert reused == ["Reusing cache layer 'parity/one:cached'", "Reusing cache layer 'parity/one:same'"]
