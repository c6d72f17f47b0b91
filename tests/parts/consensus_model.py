"""Explores everything that can happen to proposers, over the code that runs in builds.

A name is on its way from the moment when its proposer decides to write it, and acknowledged at some later moment or
never.  A listing has all names that were acknowledged when it began, and any of the others that were on their way
before it ended: each listing another choice, so that late, lost and half-written names are covered.  A listing begins
as soon as it can, which allows all that a later beginning would.  A proposer that is never scheduled again has
crashed, and its last name stays on its way for ever.  The environment may close the first generation at any moment.
A claim is answered in one step by the place that keeps the names; a claimant may crash before it hears of it.  With
`mends`, a crash of that place may leave what it knows of the first claim unreadable at any moment: nobody gets an answer
then, until a collector that sees any of the names on their way writes what it makes of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.cache.distributed import consensus
from lifecycle.cache.distributed.consensus import Claim, Outcome, Pause, Proposal, Put, State, action, claimed
from lifecycle.cache.distributed.tags import Closed, Decided, First, read_tag
from lifecycle.oci.digest import Digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KEY = digest_of(b"key")
CLOSED = Closed(KEY, 0).name
_CLOSED_BIT = 1

Names = frozenset[str]
# What is acknowledged, whether the environment began to close the generation, and of each proposer its state and
# what was acknowledged when its listing began; names are bits, states are numbers.
World = tuple[int, bool, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Explored:
    """`states` visited, whether those were all, and what came out."""

    states: int
    exhausted: bool
    disagreement: str = ""
    generations: frozenset[int] = frozenset()
    decided: frozenset[str] = frozenset()


def explore(proposers: int, attempts: int, *, most: int = 10_000_000, **model) -> Explored:
    """Visit every state that can be reached, or `most`; stop where two outcomes of one generation differ.

    `closes`: the environment may close generation 0.  `after`, `write`, `mends`: see `_Model`.
    """
    return _Model(attempts, **model).explore(proposers, most)


def now_has(first: dict[int, str], name: str) -> bool:
    _, generation, value = name.split(".")
    return first.get(int(generation)) == value


class _Model:
    def __init__(
        self,
        attempts: int,
        *,
        closes: bool = False,
        after: Callable[[State, Iterable[str]], State] = consensus.after,
        write: Callable[[Names, str], Names] = lambda names, name: names | {name},
        claims: bool = False,
        answer: Callable[[dict[int, str], int, str], str] = lambda first, generation, value: first.setdefault(
            generation, value
        ),
        mends: Callable[[str, Names], str | None] | None = None,
    ) -> None:
        self.attempts = attempts
        self.closes = closes
        self.after = after
        self.write = write
        self.claims = claims
        self.answer = answer
        self.mends = mends
        self.names = [CLOSED]
        self.bits = {CLOSED: _CLOSED_BIT}
        self.states: list[State] = []
        self.numbers: dict[State, int] = {}
        self.writes: list[int] = []
        self.lists: list[bool] = []
        self.outcomes: list[tuple[int, str] | None] = []
        self.choices: dict[tuple[int, int, int], tuple[int, ...]] = {}
        self.written: dict[tuple[int, int], int] = {}
        self.decisions: dict[int, tuple[int, str]] = {}

    def explore(self, proposers: int, most: int) -> Explored:
        values = [digest_of(f"value of {each}".encode()) for each in range(proposers)]
        states = [
            State(Proposal(KEY, value, f"proposer{each:03}", claims=self.claims)) for each, value in enumerate(values)
        ]
        first: World = (0, False, tuple((self.number(state), 0) for state in states))
        seen, queue = {first}, deque([first])
        found: set[tuple[int, str]] = set()
        while queue:
            for world in self.following(queue.popleft()):
                if world in seen:
                    continue
                outcomes = self.outcomes_of(world)
                found |= outcomes
                if len(outcomes) != len({generation for generation, _ in outcomes}):
                    return Explored(len(seen), False, f"{sorted(outcomes)}: {self.told(world)}")
                seen.add(world)
                if len(seen) >= most:
                    queue.clear()
                    break
                queue.append(world)
        generations = frozenset(generation for generation, _ in found)
        decided = frozenset(value for _, value in found)
        assert decided <= set(values), "what nobody proposed was decided"
        return Explored(len(seen), len(seen) < most, "", generations, decided)

    def following(self, world: World) -> Iterator[World]:
        acknowledged, closing, proposers = world
        on_their_way = _CLOSED_BIT if closing else 0
        for state, _ in proposers:
            on_their_way |= self.writes[state]
        for now, is_closing in self.of_the_place(acknowledged, on_their_way, closing):
            yield now, is_closing, proposers
        for index, (state, begun) in enumerate(proposers):
            if self.states[state].failures >= self.attempts:
                continue
            if self.writes[state]:
                # In a mutant a write may take away what was acknowledged.
                now = self.after_write(acknowledged, self.writes[state])
                yield self.moved(now, closing, proposers, index, self.choices_of(state, 0, 0)[0])
            elif isinstance(doing := action(self.states[state]), Claim):
                if not acknowledged & self.bit(f"torn.{doing.generation}"):
                    now, heard = self.answered(acknowledged, state, doing)
                    yield self.moved(now, closing, proposers, index, heard)
                    yield self.moved(now, closing, proposers, index, state)
            elif self.lists[state]:
                sure = begun & acknowledged
                for choice in self.choices_of(state, sure, (acknowledged | on_their_way) & ~sure):
                    yield self.moved(acknowledged, closing, proposers, index, choice)

    def of_the_place(self, acknowledged: int, on_their_way: int, closing: bool) -> Iterator[tuple[int, bool]]:
        """Yield what is acknowledged, and whether the generation is being closed, after what no proposer does."""
        if self.closes and not closing:
            yield acknowledged, True
        if closing and not acknowledged & _CLOSED_BIT:
            yield acknowledged | _CLOSED_BIT, True
        if self.mends is not None:
            for now in self.torn_and_mended(acknowledged, on_their_way):
                yield now, closing

    def answered(self, acknowledged: int, state: int, doing: Claim) -> tuple[int, int]:
        """Return what is acknowledged after a claim, and the state of who heard the answer."""
        first = self.first_of(acknowledged)
        value = self.answer(first, doing.generation, doing.value)
        now = acknowledged | sum(self.bit(f"first.{generation}.{each}") for generation, each in first.items())
        now &= ~sum(bit for name, bit in self.bits.items() if name.startswith("first.") and not now_has(first, name))
        return now, self.number(claimed(self.states[state], Digest(value)))

    def torn_and_mended(self, acknowledged: int, on_their_way: int) -> Iterator[int]:
        """Yield what is acknowledged after a crash that tore the tag of a first claim, or after it was mended."""
        for generation, value in self.first_of(acknowledged).items():
            yield acknowledged & ~self.bit(f"first.{generation}.{value}") | self.bit(f"torn.{generation}")
        for generation in (0, 1):
            torn = self.bit(f"torn.{generation}")
            # A listing may have all that is on its way, or nothing of it; all between lies between.
            for seen in {acknowledged, acknowledged | on_their_way} if acknowledged & torn else ():
                value = self.mends(First(KEY, generation).name, self.text(seen))
                if value is not None:
                    yield acknowledged & ~torn | (self.bit(f"first.{generation}.{value}") if value else 0)

    def first_of(self, acknowledged: int) -> dict[int, str]:
        """Return what the place of the names has been asked for first, by generation."""
        found = {}
        for name in self.text(acknowledged):
            if name.startswith("first."):
                _, generation, value = name.split(".")
                found[int(generation)] = value
        return found

    def moved(self, acknowledged: int, closing: bool, proposers, index: int, state: int) -> World:
        begun = acknowledged if self.lists[state] else 0
        return acknowledged, closing, (*proposers[:index], (state, begun), *proposers[index + 1 :])

    def choices_of(self, state: int, sure: int, perhaps: int) -> tuple[int, ...]:
        """Return the states that follow from all listings that have `sure` and any of `perhaps`."""
        asked = state, sure, perhaps
        known = self.choices.get(asked)
        if known is None:
            if perhaps:
                lowest = perhaps & -perhaps
                rest = perhaps & ~lowest
                with_it = self.choices_of(state, sure | lowest, rest)
                known = tuple({*with_it, *self.choices_of(state, sure, rest)})
            else:
                following = self.after(self.states[state], self.text(sure))
                while isinstance(action(following), Pause):
                    following = self.after(following, ())
                known = (self.number(following),)
            self.choices[asked] = known
        return known

    def after_write(self, acknowledged: int, bit: int) -> int:
        asked = acknowledged, bit
        if asked not in self.written:
            names = self.write(self.text(acknowledged), self.names[bit.bit_length() - 1])
            self.written[asked] = sum(map(self.bit, names))
        return self.written[asked]

    def number(self, state: State) -> int:
        if state not in self.numbers:
            self.numbers[state] = len(self.states)
            self.states.append(state)
            doing = action(state)
            self.writes.append(self.bit(doing.name) if isinstance(doing, Put) else 0)
            self.lists.append(doing == "list")
            self.outcomes.append((doing.generation, doing.value) if isinstance(doing, Outcome) else None)
        return self.numbers[state]

    def bit(self, name: str) -> int:
        if name not in self.bits:
            self.bits[name] = 1 << len(self.names)
            self.names.append(name)
            if isinstance(tag := read_tag(name), Decided):
                self.decisions[self.bits[name]] = tag.generation, tag.value
        return self.bits[name]

    def text(self, mask: int) -> Names:
        return frozenset(name for index, name in enumerate(self.names) if mask >> index & 1)

    def outcomes_of(self, world: World) -> set[tuple[int, str]]:
        acknowledged, _, proposers = world
        visible = acknowledged
        found = set()
        for state, _ in proposers:
            visible |= self.writes[state]
            if self.outcomes[state] is not None:
                found.add(self.outcomes[state])
        return found | {outcome for bit, outcome in self.decisions.items() if visible & bit}

    def told(self, world: World) -> str:
        acknowledged, _, proposers = world
        return f"{sorted(self.text(acknowledged))} and {[self.states[state] for state, _ in proposers]}"
