"""What of a distributed cache is kept, and why: decided from a listing, notes of images and a policy, without any I/O.

Terms and defaults are those of ``werf cleanup``: images of the newest references, the newest images of each, images
that are in use somewhere, and what was built lately.  A reference is a git branch or tag that notes of builds name;
its date is that of its newest build.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cache.distributed.inventory import Inventory
    from lifecycle.cache.distributed.retention_tags import Made
    from lifecycle.cache.distributed.usage import BuildNote
    from lifecycle.oci.digest import Digest

HOUR: Final = 3600
DAY: Final = 24 * HOUR
_WEEK: Final = 7 * DAY
_SHOWN: Final = len("sha256:") + 12


@unique
class ReferenceKind(StrEnum):
    """What a reference is in git."""

    BRANCH = "branch"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Limit:
    """The newest ``last`` that are not older than ``within`` seconds; with ``either`` one of the two is enough.

    ``None`` is no bound; a limit without bounds takes all.
    """

    last: int | None = None
    within: float | None = None
    either: bool = False

    def takes(self, position: int, age: float) -> bool:
        """Say whether it takes what is at a position, 0 for the newest, and so old."""
        tests = []
        if self.last is not None:
            tests.append(position < self.last)
        if self.within is not None:
            tests.append(age <= self.within)
        return any(tests) if self.either and tests else all(tests)


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """Images of some references: ``name`` is one, or ``/a regular expression/`` that is searched for."""

    kind: ReferenceKind
    name: str
    references: Limit = field(default_factory=Limit)
    images: Limit = field(default_factory=Limit)

    def matches(self, reference: str) -> bool:
        """Say whether a reference is meant."""
        name = self.name
        if name.startswith("/") and name.endswith("/") and len(name) > 1:
            return re.search(name[1:-1], reference) is not None
        return name == reference


DEFAULT_POLICIES: Final = (
    KeepPolicy(ReferenceKind.TAG, "/.*/", Limit(last=10), Limit(last=1)),
    KeepPolicy(ReferenceKind.BRANCH, "/.*/", Limit(last=10, within=_WEEK), Limit(last=2, within=_WEEK)),
    KeepPolicy(ReferenceKind.BRANCH, "/^(main|master|staging|production)$/", Limit(), Limit(last=2)),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept: all that was used or built within ``keep_within`` seconds, images by ``policies``, and ``images``.

    ``images`` maps the digests of images in use to the text that named them.  ``starts`` is how many of the newest
    records of each buildpack and target stay, for the next commit to begin with.
    """

    keep_within: float = 2 * HOUR
    policies: tuple[KeepPolicy, ...] = DEFAULT_POLICIES
    images: Mapping[Digest, str] = field(default_factory=dict)
    starts: int = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """Why records and images are kept; what is in neither has no use for anybody."""

    records: Mapping[Digest, tuple[str, ...]]
    images: Mapping[Made, tuple[str, ...]]


def kept(inventory: Inventory, notes: Mapping[Made, BuildNote], policy: Policy, now: int) -> Kept:
    """Decide what is kept at a time; ``notes`` are those that could be read."""
    records: dict[Digest, list[str]] = defaultdict(list)
    outcomes = inventory.outcomes()
    record_of: dict[str, Digest] = {key: value for value, (key, _) in outcomes.items()}
    images = _images(notes, policy, now)
    for made, reasons in images.items():
        note = notes[made]
        own = record_of.get(note.key)
        for record in (*note.records, *(() if own is None else (own,))):
            records[record] += reasons
    for value, times in inventory.used.items():
        age = now - max(times)
        if age <= policy.keep_within:
            records[value].append(f"used {age_text(age)} ago")
    for value in _starts(inventory, outcomes, policy):
        records[value].append("newest of its buildpack and target")
    return Kept(
        {value: tuple(dict.fromkeys(reasons)) for value, reasons in records.items()},
        {made: tuple(dict.fromkeys(reasons)) for made, reasons in images.items()},
    )


def age_text(seconds: float) -> str:
    """Return an age in one unit."""
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.0f} d"
    return f"{seconds / HOUR:.0f} h" if seconds >= HOUR else f"{max(0.0, seconds) / 60:.0f} min"


def _images(notes: Mapping[Made, BuildNote], policy: Policy, now: int) -> dict[Made, list[str]]:
    found: dict[Made, list[str]] = defaultdict(list)
    for made, note in notes.items():
        if made.image in policy.images:
            found[made].append(f"image {policy.images[made.image]} is in use")
        if now - note.time <= policy.keep_within:
            found[made].append(f"image {_short(made.image)} built {age_text(now - note.time)} ago")
    for each in policy.policies:
        for reference, images in _references(notes, each, now):
            for position, (image, of_image) in enumerate(_newest_first(images, notes)):
                if each.images.takes(position, now - notes[of_image[0]].time):
                    name = reference or "(none)"
                    reason = f"image {_short(image)}, number {position + 1} of {each.kind} {name}"
                    for made in of_image:
                        found[made].append(reason)
    return found


def _references(notes: Mapping[Made, BuildNote], policy: KeepPolicy, now: int) -> list[tuple[str, Sequence[Made]]]:
    """Return the references that a policy takes, with all of their images; the one built last comes first."""
    found: dict[str, list[Made]] = defaultdict(list)
    for made, note in notes.items():
        # A build of no known commit is on a branch without a name, so that it is not lost at once.
        names = note.git_tags if policy.kind is ReferenceKind.TAG else note.branches or ("",) * (not note.git_tags)
        for name in names:
            if policy.matches(name):
                found[name].append(made)
    dated = sorted(((max(notes[made].time for made in images), name) for name, images in found.items()), reverse=True)
    return [
        (name, found[name])
        for position, (time, name) in enumerate(dated)
        if policy.references.takes(position, now - time)
    ]


def _newest_first(images: Sequence[Made], notes: Mapping[Made, BuildNote]) -> list[tuple[Digest, list[Made]]]:
    """Return the notes of each image, newest first, and the images in the order of their newest."""
    found: dict[Digest, list[Made]] = defaultdict(list)
    for made in sorted(images, key=lambda each: (notes[each].time, each.name), reverse=True):
        found[made.image].append(made)
    return list(found.items())


def _starts(inventory: Inventory, outcomes: Mapping[Digest, object], policy: Policy) -> set[Digest]:
    versions: dict[str, list[tuple[int, Digest]]] = defaultdict(list)
    for hint in inventory.hints:
        if hint.value in outcomes:
            versions[hint.group].append((hint.version, hint.value))
    chosen = (sorted(each, reverse=True)[: policy.starts] for each in versions.values())
    return {value for each in chosen for _, value in each}


def _short(digest: str) -> str:
    return digest[:_SHOWN]
