"""What a check of ``lifecycle doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.errors import LifecycleError


class Mark(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    NOTE = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, and what to do about it."""

    mark: Mark
    name: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Checks of one thing, made while they are iterated."""

    title: str
    checks: Iterable[Check]


def failed(name: str, error: LifecycleError) -> Check:
    """Return the check that an error ended."""
    text = error.message if error.where is None else f"{error.where}: {error.message}"
    return Check(Mark.FAILED, name, text, error.remedy or "")
