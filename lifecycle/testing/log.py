"""What an executable printed, as text that tests can search and reports can show."""

from __future__ import annotations

from dataclasses import dataclass, field

SHOWN_LINES = 60
"""How much of a log a report shows: its end."""


class Log(str):
    """Standard output and error together, as they came; undecodable bytes are replaced."""

    __slots__ = ()

    @classmethod
    def of(cls, data: bytes) -> Log:
        """Return the log of these bytes."""
        return cls(data.decode(errors="replace"))

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends."""
        return self.splitlines()

    @property
    def tail(self) -> str:
        """Its last lines, and how many are left out before them."""
        lines = self.splitlines()
        hidden = len(lines) - SHOWN_LINES
        shown = lines[-SHOWN_LINES:]
        return "\n".join([f"({hidden} lines before)", *shown] if hidden > 0 else shown)


@dataclass(slots=True)
class LogBook:
    """The logs of a test in the order of the runs, for the report of its failure."""

    entries: list[tuple[str, Log]] = field(default_factory=list)

    def add(self, title: str, log: Log) -> None:
        """Add a run; the title says what ran and how it ended."""
        self.entries.append((title, log))
