"""Collectors that work beside builders never take what those use, and never make them disagree; mutants do.

CNB_SOAK=1 (`make soak`) walks further.
"""

import os
from collections import Counter
from dataclasses import replace

import pytest

from lifecycle.cache.distributed.collection import next_round
from lifecycle.cache.distributed.tags import Decided
from parts.collection_model import Rules, Wrong, walk

SOAK = bool(os.environ.get("CNB_SOAK"))
WALKS = 300_000 if SOAK else 800
MUTANT_WALKS = 20_000

soak = pytest.mark.skipif(not SOAK, reason="takes long to find: set CNB_SOAK=1")


def walks(count, rules):
    reached = Counter()
    for seed in range(count):
        reached.update(walk(seed, rules=rules))
    return reached


def test_no_walk_ends_wrong_and_every_part_is_reached():
    assert {
        "used", "made", "closed", "completed", "outcome deleted", "record deleted", "build killed", "collect killed",
    } <= set(walks(WALKS, Rules()))  # fmt: skip


def without_leases(inventory, *arguments, **keywords):
    return next_round(replace(inventory, leases=set()), *arguments, **keywords)


def without_leases_at_closing(inventory, *arguments, **keywords):
    planned = next_round(inventory, *arguments, **keywords)
    return replace(planned, closes=without_leases(inventory, *arguments, **keywords).closes)


def without_closing(inventory, *arguments, **keywords):
    """Outcomes are deleted where they would be closed."""
    planned = next_round(inventory, *arguments, **keywords)
    gone = [
        Decided(each.key, each.generation, value).name
        for each in planned.closes
        for value in inventory.generations[each.key, each.generation].decided
    ]
    return replace(planned, closes=(), removes=(*planned.removes, *gone))


def without_announcing(inventory, kept, notes, *, now, **keywords):
    """Records are deleted as soon as the time of grace is over."""
    told = replace(inventory, going={value: {now} for value in inventory.idle})
    return next_round(told, kept, notes, now=now, **keywords)


def without_looking_for_uses(inventory, *arguments, **keywords):
    return next_round(replace(inventory, used={}), *arguments, **keywords)


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        (Rules(next_round=without_leases), "is gone|ended differently"),
        (Rules(next_round=without_leases_at_closing), "ended differently"),
        (Rules(next_round=without_closing), "is gone|two outcomes"),
        (Rules(next_round=without_announcing), "is gone"),
        (Rules(next_round=without_looking_for_uses), "is gone"),
        (Rules(lease_first=False), "is gone"),
        (Rules(snapshot_holds=False), "ended differently"),
        pytest.param(Rules(announces=False), "is gone", marks=soak),
        (Rules(check=lambda _value, _names: None), "is gone"),
        pytest.param(Rules(closed_first=False), "is gone|two outcomes", marks=soak),
        (Rules(grace=0), "build .* uses a record that is gone"),
    ],
    ids=[
        "leases ignored", "leases ignored at closing", "not closed first", "not announced", "uses ignored",
        "lease after listing", "snapshot given up", "publication not announced", "deletion not looked for",
        "closing not waited for", "no grace",
    ],
)  # fmt: skip
def test_a_collection_that_lacks_a_part_goes_wrong(rules, wrong):
    with pytest.raises(Wrong, match=wrong):
        walks(MUTANT_WALKS, rules)
