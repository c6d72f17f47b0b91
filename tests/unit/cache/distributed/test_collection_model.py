"""Collectors that work beside builders never take what those use, and never make them disagree; mutants do.

CNB_SOAK=1 (`make soak`) walks further.
"""

import os
from collections import Counter
from dataclasses import replace

import pytest

from lifecycle.cache.distributed.collection import next_round
from lifecycle.cache.distributed.retention_tags import Used
from lifecycle.cache.distributed.tags import Decided, Stored
from lifecycle.oci.digest import digest_of
from parts.collection_model import KEY, LEFT, OLD, Rules, Stage, Wrong, walk

SOAK = bool(os.environ.get("CNB_SOAK"))
WALKS = 60_000 if SOAK else 800
MUTANT_WALKS = 10_000


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
        (Rules(lease_first=False), "is gone"),
        (Rules(snapshot_holds=False), "ended differently"),
        (Rules(grace=0), "build .* uses a record that is gone"),
    ],
    ids=[
        "leases ignored", "leases ignored at closing", "not closed first", "not announced", "lease after listing",
        "snapshot given up", "no grace",
    ],
)  # fmt: skip
def test_a_collection_that_lacks_a_part_goes_wrong(rules, wrong):
    with pytest.raises(Wrong, match=wrong):
        walks(MUTANT_WALKS, rules)


def publish_before_the_last_look(rules):
    """A build votes for a record that a dead one left, while a collector looks for the last time before deleting it."""
    stage = Stage({Stored(LEFT).name}, rules)
    collector = stage.start("collect")
    stage.until(collector, "q")
    stage.world.time += 1
    stage.until(collector, "k")
    build = stage.start("build", LEFT)
    stage.until(build, "a")
    stage.go(collector, 12)
    stage.go(build, 40)
    return stage.world.reached


def publish_after_the_last_look(rules):
    stage = Stage({Stored(LEFT).name}, rules)
    collector = stage.start("collect")
    stage.until(collector, "q")
    stage.world.time += 1
    stage.until(collector, "r")
    build = stage.start("build", LEFT)
    stage.go(build, 12)
    stage.go(collector)
    stage.go(build, 40)
    return stage.world.reached


def begin_while_a_closing_is_on_its_way(rules):
    """A collector sees what another's closing leads to, and a build begins that does not see it."""
    stage = Stage({Stored(OLD).name, Decided(KEY, 0, OLD).name, Used(OLD, 1).name}, rules)
    first, second = stage.start("collect"), stage.start("collect")
    stage.until(first, "x")
    stage.go(second, 24, shows=True)
    stage.world.time += 1
    build = stage.start("build", digest_of(b"own"))
    stage.go(build, 60)
    return stage.world.reached


@pytest.mark.parametrize(
    ("way", "end", "mutant", "wrong"),
    [
        (publish_before_the_last_look, "made", Rules(announces=False), "is gone"),
        (publish_before_the_last_look, "made", Rules(next_round=without_looking_for_uses), "is gone"),
        (publish_after_the_last_look, "gave way", Rules(check=lambda _value, _names: None), "is gone"),
        (begin_while_a_closing_is_on_its_way, "made", Rules(closed_first=False), "two outcomes"),
    ],
    ids=["publication not announced", "uses ignored", "deletion not looked for", "closing not waited for"],
)
def test_what_walks_seldom_come_upon_goes_wrong_on_the_way_that_leads_there(way, end, mutant, wrong):
    assert end in way(Rules())
    with pytest.raises(Wrong, match=wrong):
        way(mutant)
