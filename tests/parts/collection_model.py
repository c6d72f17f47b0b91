"""Walks at random through what can happen when collectors work beside builders, over the code that runs in both.

A name that somebody writes is on its way until it is acknowledged, and each listing may or may not show it; a listing
has all that was there from its beginning to its end, and any of what came or went meanwhile.  Whoever is killed leaves
the write it was at on its way, a build until its lease is over at most.  Time goes on in ticks, at any moment.  There is one key, whose outcome of long
ago nobody needs, and a record of a build that was killed before anybody voted for it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lifecycle.cache.distributed import consensus, inventory
from lifecycle.cache.distributed.collection import Round, next_round
from lifecycle.cache.distributed.consensus import Outcome, Pause, Proposal, Put, State, Step, action
from lifecycle.cache.distributed.inventory import Inventory, take_inventory
from lifecycle.cache.distributed.retention import Policy, kept
from lifecycle.cache.distributed.retention_tags import OVER, Ended, Lease, Unneeded, Used
from lifecycle.cache.distributed.tags import Accept, Ballot, Closed, Decided, Stored, seen_of
from lifecycle.cache.distributed.usage import check_not_going
from lifecycle.errors import CacheError
from lifecycle.oci.digest import digest_of

KEY = digest_of(b"key")
OLD = digest_of(b"of long ago")
LEFT = digest_of(b"left by a dead builder")
GRACE = 2
FAR = 1_000_000
_BEGINNING = 10
_AT_WORK = 0.85
_SAME_AGAIN = 0.6
_NOTHING = Policy(keep_within=-1, policies=(), starts=0)

# The same few names are read again and again.
read_tag = functools.cache(inventory.read_tag)
read_retention_tag = functools.cache(inventory.read_retention_tag)

LIST = "list"
Actor = Generator[object, Any, Any]


class Wrong(Exception):  # noqa: N818  # what a walk found, not what failed
    """Something that must never happen."""


@dataclass
class Rules:
    """What the walk is made of; mutants replace parts."""

    next_round: Callable[..., Round] = next_round
    snapshot_holds: bool = True
    lease_first: bool = True
    announces: bool = True
    check: Callable[..., None] = check_not_going
    closed_first: bool = True
    grace: int | None = None
    """Of a walk with builds that have no lease; all others have none or this."""


@dataclass
class World:
    """What is acknowledged and what is on its way; `builds` are those that hold a lease."""

    chance: random.Random
    rules: Rules
    names: set[str] = field(default_factory=set)
    pending: dict[int, str] = field(default_factory=dict)
    ghosts: dict[int, str] = field(default_factory=dict)
    grace: int = GRACE
    time: int = _BEGINNING
    expired: set[str] = field(default_factory=set)
    readers: dict[int, int] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], str] = field(default_factory=dict)
    epochs: dict[int, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def learn(self, generation: int, value: str) -> None:
        """Take down an outcome."""
        if self.outcomes.setdefault((KEY, generation), value) != value:
            raise Wrong(f"generation {generation} has two outcomes")

    def check(self) -> None:
        """Take down what everybody can see."""
        for name in self.names:
            if name.startswith("d.") and isinstance(tag := read_tag(name), Decided):
                self.learn(tag.generation, tag.value)

    def need(self, value: str, why: str) -> None:
        """Fail where a record that somebody uses is gone."""
        if Stored(value).name not in self.names:
            raise Wrong(f"{why} uses a record that is gone")


def builder(world: World, number: int, own: str) -> Actor:
    """A build of the key whose buildpack makes `own`."""
    rules, build, began = world.rules, f"build{number:06}", world.time
    lease = Lease(build, began, FAR)
    if rules.lease_first:
        yield "put", lease.name
    snapshot = yield LIST
    if not rules.lease_first:
        yield "put", lease.name
    epoch = seen_of(snapshot, KEY).generation
    seen = seen_of(snapshot, KEY)
    if seen.decided is None or not rules.snapshot_holds:
        names = yield LIST
        names |= snapshot if rules.snapshot_holds else set()
        seen = seen_of(names, KEY)
        if seen.generation and seen.decided is None:
            yield "put", Closed(KEY, seen.generation - 1).name
    outcome = (seen.generation, seen.decided) if seen.decided else (yield from publish(world, number, own, names))
    if outcome is not None:
        generation, value = outcome
        world.learn(generation, value)
        if world.epochs.setdefault(epoch, value) != value:
            raise Wrong("two builds that saw the same generation open ended differently")
        yield from use(world, number, value)
        world.reached.add("used" if value == OLD else "made")
    yield "put", Lease(build, began, OVER).name


def reader(world: World, number: int) -> Actor:
    """A build without a lease, which uses what was decided when it began."""
    world.readers[number] = world.time
    seen = seen_of((yield LIST), KEY)
    if seen.decided is not None:
        yield from use(world, number, seen.decided)
    world.readers.pop(number)


def use(world: World, number: int, value: str) -> Actor:
    while world.chance.random() < _AT_WORK:
        world.need(value, f"build {number}")
        yield "think"
    world.need(value, f"build {number}")


def publish(world: World, number: int, own: str, names):
    if world.rules.announces:
        yield "put", Used(own, world.time).name
    yield "put", Stored(own).name
    check = world.rules.check
    try:
        return (yield from agree(own, f"proposer{number:03}", names, check))
    except CacheError:
        world.reached.add("gave way")
        return None


def agree(value: str, proposer: str, names=None, check=lambda _value, _names: None):
    state = State(Proposal(KEY, value, proposer))
    if names is not None:
        state = consensus.after(state, names)
    while True:
        match action(state):
            case Put(name):
                yield "put", name
                state = consensus.after(state)
            case "list":
                names = yield LIST
                if state.step is not Step.CHECK_VOTE:
                    check(value, names)
                state = consensus.after(state, names)
            case Pause():
                yield "think"
                state = consensus.after(state)
            case Outcome(generation, decided):
                return generation, decided


def collector(world: World, number: int) -> Actor:
    """A collector that keeps nothing, and begins again when it is through."""
    confirmed: frozenset[str] = frozenset()
    for turn in range(40):
        now = world.time
        names = yield LIST
        live = {name for name in names if not _expired(world, name)}
        found = take_inventory(live)
        planned = world.rules.next_round(found, _kept(found, now), {}, now=now, grace=world.grace, confirmed=confirmed)
        if planned.empty:
            yield "think"
            continue
        yield from carry_out(world, planned, f"collect{number}{turn:02}".ljust(11, "0"))
        confirmed |= {*planned.confirms}


def carry_out(world: World, planned: Round, proposer: str) -> Actor:
    yield from write(world, planned)
    for each in planned.completes:
        yield from agree(each.value, proposer)
        world.reached.add("completed")
    for name in planned.removes:
        yield "remove", name
        match read_tag(name):
            case Stored():
                world.reached.add("record deleted")
            case Decided():
                world.reached.add("outcome deleted")


def write(world: World, planned: Round) -> Actor:
    for name in (*planned.confirms, *planned.puts):
        yield "put", name
    for mark in planned.marks:
        yield "put", mark.outcome.name
        yield "put", Unneeded(mark.outcome.key, mark.outcome.generation, world.time).name
    for close in planned.closes:
        closed = "put", Closed(close.key, close.generation).name
        if world.rules.closed_first:
            yield closed
        yield "put", Ended(close.key, close.generation, world.time).name
        if not world.rules.closed_first:
            yield closed
        world.reached.add("closed")


def _kept(found: Inventory, now: int):
    return kept(found, {}, _NOTHING, now)


def _expired(world: World, name: str) -> bool:
    tag = read_retention_tag(name)
    return isinstance(tag, Lease) and tag.build in world.expired


def walk(seed: int, *, rules: Rules, length: int = 160) -> set[str]:
    """Go one way; return what was reached, raise `Wrong`."""
    way = _Walk(random.Random(seed), rules)
    for _ in range(length):
        way.step()
        way.world.check()
    return way.world.reached


class _Stage:
    """Actors, and what each of them is at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance
        self.starts: list[tuple[str, str]] = []
        self.actors: dict[int, Actor] = {}
        self.kinds: dict[int, str] = {}
        self.waiting: dict[int, object] = {}
        self.begun: dict[int, set[str]] = {}
        self.dead: list[int] = []
        self.started = self.last = 0

    def start(self, kind: str, value: str = "") -> int:
        self.started += 1
        number = self.started
        match kind:
            case "build":
                self.actors[number] = builder(self.world, number, value)
            case "reader":
                self.actors[number] = reader(self.world, number)
            case _:
                self.actors[number] = collector(self.world, number)
        self.kinds[number] = kind
        self.advance(number)
        return number

    def kill(self, number: int) -> None:
        kind = self.kinds[number]
        self.forget(number)
        if number in self.world.pending:
            self.world.ghosts[number] = self.world.pending.pop(number)
        self.world.readers.pop(number, None)
        if kind == "build":
            self.dead.append(number)
        elif kind == "collect":
            self.starts.append((kind, ""))
        self.world.reached.add(f"{kind} killed")

    def expire(self, number: int) -> None:
        """Let a dead build's lease end, by when what it wrote last has come to be or never will."""
        self.dead.remove(number)
        self.settle(number)
        self.world.expired.add(f"build{number:06}")

    def settle(self, number: int) -> None:
        ghost = self.world.ghosts.pop(number, None)
        if ghost is not None and self.chance.random() < 0.5:
            self.world.names.add(ghost)

    def act(self, number: int) -> None:
        world = self.world
        match self.waiting[number]:
            case ("put", name) if number not in world.pending:
                world.pending[number] = name
            case ("put", name):
                world.names.add(world.pending.pop(number))
                self.advance(number)
            case ("remove", name):
                world.names.discard(name)
                self.advance(number)
            case "list" if number not in self.begun:
                self.begun[number] = set(world.names)
            case "list":
                before = self.begun.pop(number)
                sure = before & world.names
                perhaps = sorted((before | world.names | {*world.pending.values(), *world.ghosts.values()}) - sure)
                shown = {name for name in perhaps if self.chance.random() < 0.5}
                self.advance(number, frozenset(sure | shown))
            case _:
                self.advance(number)

    def advance(self, number: int, answer: object = None) -> None:
        try:
            self.waiting[number] = self.actors[number].send(answer)
        except StopIteration:
            self.forget(number)

    def forget(self, number: int) -> None:
        for table in (self.actors, self.kinds, self.waiting, self.begun):
            table.pop(number, None)


class _Walk(_Stage):
    def __init__(self, chance: random.Random, rules: Rules) -> None:
        super().__init__(World(chance, rules))
        self.world.names = {Stored(LEFT).name}
        beginning = chance.random()
        if beginning < 0.5:
            self.world.names |= {Stored(OLD).name, Decided(KEY, 0, OLD).name, Used(OLD, 1).name}
        elif beginning < 0.8:
            self.world.names.add(Accept(KEY, 0, Ballot(1, "deaddeaddea"), LEFT).name)
        if 0.6 < beginning < 0.8:
            self.world.ghosts[0] = Decided(KEY, 0, LEFT).name
        same = chance.random() < 0.5
        own = [LEFT, LEFT, digest_of(b"another")] if same else [digest_of(b"%d" % number) for number in range(3)]
        chance.shuffle(own)
        self.starts += [("build", value) for value in own[: chance.randint(1, 3)]]
        self.starts += [("collect", "")] * chance.randint(1, 2)
        if chance.random() < 0.5:
            self.starts.append(("reader", ""))
            self.world.grace = GRACE if rules.grace is None else rules.grace
        else:
            self.world.grace = chance.choice([0, GRACE])
        chance.shuffle(self.starts)

    def step(self) -> None:
        choice = self.chance.random()
        world = self.world
        if self.starts and (not self.actors or choice < 0.05):
            self.start(*self.starts.pop())
        elif choice < 0.12:
            # Who only reads has no lease, and is trusted to be done before the time of grace is over.
            if all(world.time < began + GRACE - 1 for began in world.readers.values()):
                world.time += 1
        elif choice < 0.14 and self.actors:
            self.kill(self.chance.choice([*self.actors]))
        elif choice < 0.15 and world.ghosts:
            self.settle(self.chance.choice([*world.ghosts]))
        elif choice < 0.17 and self.dead:
            self.expire(self.chance.choice(self.dead))
        elif self.actors:
            if self.last not in self.actors or self.chance.random() > _SAME_AGAIN:
                self.last = self.chance.choice([*self.actors])
            self.act(self.last)


class _Given(random.Random):
    """Nobody thinks twice, and listings show nothing of what is on its way, unless `shows` is set."""

    shows = False

    def random(self) -> float:
        return 0.0 if self.shows else 1.0


class Stage(_Stage):
    """Goes the way that a test says, in a cache without time of grace: what nobody needs goes once that is safe."""

    def __init__(self, names: set[str], rules: Rules) -> None:
        self._given = _Given()
        super().__init__(World(self._given, rules, names=names, grace=0))

    def until(self, number: int, kind: str) -> None:
        """Let an actor go on until a name of this kind is on its way from it, or the next that it takes away."""
        while not self._at(number).startswith(f"{kind}."):
            self.go(number)

    def go(self, number: int, steps: int = 1, *, shows: bool = False) -> None:
        """Let an actor go on for so many steps, or to its end; `shows` what is on its way in its listings."""
        self._given.shows = shows
        for _ in range(steps):
            if number in self.actors:
                self.act(number)
                self.world.check()
        self._given.shows = False

    def _at(self, number: int) -> str:
        match self.waiting[number]:
            case ("remove", name):
                return name
        return self.world.pending.get(number, "")
