"""One line at the bottom of a terminal that moves while work on many bytes lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from lifecycle.cli.logs.size_text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE: Final = 0.5
"""Seconds that work takes before it is worth a line."""
_PAUSE: Final = 0.1
"""Seconds between two drawings."""
_BAR_WIDTH: Final = 20
_ERASE: Final = "\r\x1b[2K"


def is_terminal(stream: TextIO) -> bool:
    """Say whether lines on ``stream`` can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}


@dataclass(slots=True)
class _Task:
    begun: float
    done: int = 0
    total: int | None = None


class ProgressBar:
    """A ``Progress`` that is drawn on a terminal; off it, nothing is.

    Whoever else writes to the terminal does it ``above`` the line.
    """

    def __init__(self, stream: TextIO, *, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._shown = shown
        self._clock = clock
        self._lock = threading.RLock()
        self._tasks: dict[str, _Task] = {}
        self._drawn_at = float("-inf")
        self._is_drawn = False

    def __call__(self, task: str, done: int, total: int | None) -> None:
        """Note how far a task is, and draw the line if it is time to."""
        if not self._shown:
            return
        with self._lock:
            now = self._clock()
            if done == total:
                self._tasks.pop(task, None)
                if not self._tasks:
                    self._erase()
                return
            known = self._tasks.setdefault(task, _Task(now))
            known.done, known.total = done, total
            if now - self._drawn_at >= _PAUSE and now - self._oldest().begun >= _PATIENCE:
                self._drawn_at = now
                self._draw()

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        """Erase the line and let no thread draw it until the end of the block."""
        with self._lock:
            self._erase()
            yield

    def close(self) -> None:
        """Erase the line and forget what was left unfinished."""
        with self._lock:
            self._tasks.clear()
            self._erase()

    def _oldest(self) -> _Task:
        return next(iter(self._tasks.values()))

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns - 1
        self._write(_ERASE + _line(self._tasks, columns))
        self._is_drawn = True

    def _erase(self) -> None:
        if self._is_drawn:
            self._write(_ERASE)
            self._is_drawn = False

    def _write(self, text: str) -> None:
        # A terminal that went away is no reason to fail.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _line(tasks: dict[str, _Task], columns: int) -> str:
    """Return at most ``columns`` characters on all tasks: the name of the oldest, and the bytes of all."""
    name = next(iter(tasks))
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    done = sum(task.done for task in tasks.values())
    totals = [task.total for task in tasks.values() if task.total is not None]
    total = sum(totals) if len(totals) == len(tasks) else 0
    if total:
        share = min(done / total, 1)
        filled = round(share * _BAR_WIDTH)
        amount = f"{'#' * filled}{'.' * (_BAR_WIDTH - filled)} {share:4.0%}  {size_text(done)} of {size_text(total)}"
    else:
        amount = size_text(done)
    printable = "".join(char if char.isascii() and char.isprintable() else "?" for char in name)
    return f"    {amount}  {printable}{more}"[: max(columns, 0)]
