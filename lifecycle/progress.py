"""How far work on many bytes has come, told to whoever shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Progress(Protocol):
    """Is told of every piece of a task's bytes, by any thread."""

    def __call__(self, task: str, done: int, total: int | None) -> None:
        """Note that ``done`` bytes of ``total`` are behind ``task``.

        ``task`` is what a person reads, and no other task that lasts at the same time has its name.  ``total`` is
        None while nobody knows it.  ``done == total`` ends the task.
        """


def _unseen(task: str, done: int, total: int | None) -> None:
    del task, done, total


NO_PROGRESS: Progress = _unseen
"""For work that nobody watches."""


def watched(chunks: Iterable[bytes], progress: Progress, *, task: str, total: int | None) -> Iterator[bytes]:
    """Yield ``chunks`` and tell ``progress`` of each; the task ends with them, also when they break off."""
    done = 0
    progress(task, done, total)
    try:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            if done != total:
                progress(task, done, total)
    finally:
        progress(task, done, done)
