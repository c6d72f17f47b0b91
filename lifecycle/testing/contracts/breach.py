"""What a test of the contract says of a buildpack that breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.testing.log import Log


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule: what happened, where the specification says otherwise, what to do about it.

    ``log`` is what the buildpack printed, where that may tell more.
    """

    what: str
    spec: str
    remedy: str
    log: Log | None = None

    def __str__(self) -> str:
        text = f"{self.what}\n  specification: {self.spec}\n  what to do: {self.remedy}"
        return f"{text}\n  log of the buildpack:\n{indent(self.log.tail, '    ')}" if self.log else text


def none_of(breaches: Iterable[Breach]) -> None:
    """Fail the test that runs if there are any."""
    found = list(breaches)
    if found:
        pytest.fail("\n".join(map(str, found)), pytrace=False)
