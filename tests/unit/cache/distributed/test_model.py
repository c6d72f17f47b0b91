"""The protocol never disagrees, whatever happens when; without one of its parts it does.

CNB_SOAK=1 (`make soak`) searches further.
"""

import os
from dataclasses import replace

import pytest

from lifecycle.cache.distributed import consensus
from lifecycle.cache.distributed.consensus import Step
from lifecycle.cache.distributed.deciding_registry import read_first
from lifecycle.cache.distributed.tags import Accept, read_tag
from lifecycle.cache.distributed.torn_tags import contents
from parts.consensus_model import explore

soak = pytest.mark.skipif(not os.environ.get("CNB_SOAK"), reason="takes minutes: set CNB_SOAK=1")


@pytest.mark.parametrize(("proposers", "attempts", "closes"), [(2, 1, True), (2, 2, False), (3, 1, False)])
def test_no_order_of_events_lets_proposers_disagree(proposers, attempts, closes):
    explored = explore(proposers, attempts, closes=closes)
    assert not explored.disagreement
    assert explored.exhausted
    assert len(explored.decided) == proposers
    assert explored.generations == ({0, 1} if closes else {0})


@pytest.mark.parametrize(("proposers", "attempts", "closes"), [(2, 2, True), (3, 1, True), (3, 2, False)])
def test_larger_models_have_no_disagreement_as_far_as_they_were_searched(proposers, attempts, closes):
    assert not explore(proposers, attempts, closes=closes, most=50_000).disagreement


@soak
def test_two_proposers_with_two_attempts_and_a_closed_generation_never_disagree():
    explored = explore(2, 2, closes=True)
    assert explored.exhausted
    assert not explored.disagreement


@soak
@pytest.mark.parametrize(
    ("proposers", "attempts", "closes"), [(3, 1, True), (3, 2, False), (2, 3, False), (4, 1, False)]
)
def test_millions_of_states_of_larger_models_have_no_disagreement(proposers, attempts, closes):
    assert not explore(proposers, attempts, closes=closes, most=1_500_000).disagreement


def without_carrying_on(state, names):
    following = consensus.after(state, names)
    return replace(following, value=state.proposal.value) if following.step is Step.ACCEPT else following


def without_second_listing(state, names):
    following = consensus.after(state, names)
    return replace(following, step=Step.DECIDE) if following.step is Step.CHECK_VOTE else following


def without_vote(state, names):
    following = consensus.after(state, names)
    return replace(following, step=Step.DECIDE) if following.step is Step.ACCEPT else following


def without_first_listing(state, names):
    following = consensus.after(state, names)
    if following.step is Step.CHECK_BALLOT:
        return replace(following, step=Step.ACCEPT, value=state.proposal.value)
    return following


@pytest.mark.parametrize("mutant", [without_carrying_on, without_second_listing, without_vote, without_first_listing])
def test_a_protocol_that_lacks_a_part_disagrees(mutant):
    explored = explore(2, 2, after=mutant)
    assert explored.disagreement


def test_one_vote_for_all_that_each_overwrites_leads_to_disagreement():
    def overwrite(names, name):
        votes = {each for each in names if isinstance(read_tag(each), Accept)}
        return (names - votes if isinstance(read_tag(name), Accept) else names) | {name}

    assert explore(3, 1, write=overwrite).disagreement


def test_a_log_that_forgets_what_it_acknowledged_leads_to_disagreement():
    def forget(names, name):
        return frozenset(each for each in names if not each.startswith("a.") or read_tag(each).ballot.number > 1) | (
            {name} if not name.startswith("d.") else frozenset()
        )

    assert explore(2, 2, write=forget).disagreement


@pytest.mark.parametrize(("proposers", "closes"), [(2, True), (3, False), (4, False)])
def test_no_order_of_events_lets_proposers_disagree_where_the_registry_decides(proposers, closes):
    explored = explore(proposers, 1, closes=closes, claims=True, most=300_000)
    assert not explored.disagreement
    assert explored.decided


def the_last_claim_wins(first, generation, value):
    first[generation] = value
    return value


def everybody_is_told_to_be_first(first, generation, value):
    first.setdefault(generation, value)
    return value


@pytest.mark.parametrize("answer", [the_last_claim_wins, everybody_is_told_to_be_first])
def test_a_registry_that_overwrites_leads_to_disagreement(answer):
    assert explore(2, 1, claims=True, answer=answer).disagreement


def mended(name, names):
    """Return the record that the mended tag names; `None` where it stays as it is, or says nothing."""
    data = contents(name, names, lambda _: None)
    return None if data is None else read_first(data, name, where=name)


def given_to_the_next(name, names):
    """What is torn is taken away, so that the next who claims is the first."""
    return mended(name, names) or ""


@pytest.mark.parametrize(("proposers", "closes"), [(2, True), (3, False)])
def test_a_first_claim_that_a_crash_made_unreadable_is_told_from_what_was_decided_or_not_at_all(proposers, closes):
    explored = explore(proposers, 1, closes=closes, claims=True, mends=mended, most=100_000)
    assert not explored.disagreement
    assert explored.decided


def test_a_first_claim_that_is_forgotten_leads_to_disagreement():
    assert explore(2, 1, claims=True, mends=given_to_the_next).disagreement
