"""Order resolution: from orders with composite buildpacks to plain groups, in the order of trying them.

Spec: buildpack.md "Order Resolution"; platform.md "detector" (system buildpacks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lifecycle.errors import DetectionError
from lifecycle.model.descriptor import OrderGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lifecycle.model.descriptor import OrderElement, SystemTables

_ComponentT = TypeVar("_ComponentT")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an order, and the composites that it was found in, outermost first."""

    element: OrderElement
    extension: bool = False
    within: tuple[OrderElement, ...] = ()

    @property
    def identity(self) -> tuple[bool, str]:
        """What may be in a group once: buildpacks and extensions are told apart, versions are not."""
        return (self.extension, self.element.id)

    @property
    def optional(self) -> bool:
        """Whether the group may do without it; extensions always are."""
        return self.extension or self.element.optional

    def __str__(self) -> str:
        return str(self.element)


@dataclass(frozen=True, slots=True)
class Composite:
    """What a composite buildpack stands for."""

    order: tuple[OrderGroup, ...]


@dataclass(frozen=True, slots=True)
class _ExtensionOrder:
    order: tuple[OrderGroup, ...]


def with_system(group: OrderGroup, system: SystemTables) -> tuple[OrderGroup, int, int]:
    """Return the group between system buildpacks, and how many were put before and after it.

    A system buildpack whose id the group already has, in whatever version, is left out.
    """
    present = {element.id for element in group.group}
    pre = tuple(element for element in system.pre.buildpacks if element.id not in present)
    post = tuple(element for element in system.post.buildpacks if element.id not in present)
    return OrderGroup(group=(*pre, *group.group, *post)), len(pre), len(post)


def resolved_groups(
    order: Sequence[OrderGroup],
    order_extensions: Sequence[OrderGroup],
    *,
    look_up: Callable[[Entry], Composite | _ComponentT | None],
) -> Iterator[tuple[tuple[Entry, _ComponentT], ...]]:
    """Yield the groups to try, depth first and left to right: the entries and what was looked up for them.

    ``look_up`` tells what an entry is: a ``Composite`` is replaced by each group of its order in turn, for
    ``None`` it is left out, and anything else is a component.  An optional composite is left out after its
    last group.  Of entries with one id, the first stays.  Raises ``DetectionError`` for a composite that
    contains itself.
    """
    extensions = (_ExtensionOrder(tuple(order_extensions)),) if order_extensions else ()
    for group in order:
        yield from _groups((*extensions, *(Entry(element) for element in group.group)), look_up)


def _groups(
    start: tuple[Entry | _ExtensionOrder, ...], look_up: Callable[[Entry], Composite | _ComponentT | None]
) -> Iterator[tuple[tuple[Entry, _ComponentT], ...]]:
    """Walk the tree of choices with a stack of our own: how deep composites nest is up to buildpacks."""
    waiting: list[tuple[tuple[Entry | _ExtensionOrder, ...], tuple[tuple[Entry, _ComponentT], ...]]]
    waiting = [(start, ())]
    while waiting:
        pending, before = waiting.pop()
        done = list(before)
        seen = {entry.identity for entry, _ in done}
        for index, entry in enumerate(pending):
            rest = pending[index + 1 :]
            if isinstance(entry, _ExtensionOrder):
                choices = [_extensions(group) + rest for group in entry.order] + [rest]
                waiting += [(choice, tuple(done)) for choice in reversed(choices)]
                break
            if entry.identity in seen:
                continue
            found = look_up(entry)
            if isinstance(found, Composite):
                choices = [_inside(entry, group) + rest for group in found.order] + [rest] * entry.optional
                waiting += [(choice, tuple(done)) for choice in reversed(choices)]
                break
            if found is not None:
                done.append((entry, found))
                seen.add(entry.identity)
        else:
            yield tuple(done)


def _extensions(group: OrderGroup) -> tuple[Entry | _ExtensionOrder, ...]:
    return tuple(Entry(element, extension=True) for element in group.group)


def _inside(composite: Entry, group: OrderGroup) -> tuple[Entry | _ExtensionOrder, ...]:
    within = (*composite.within, composite.element)
    names = [str(element) for element in within]
    if names[-1] in names[:-1]:
        raise DetectionError(
            f"composite buildpack {composite} contains itself: {' -> '.join(names)}",
            remedy="take one of these entries out of the [[order]] that names it",
        )
    return tuple(Entry(element, within=within) for element in group.group)
