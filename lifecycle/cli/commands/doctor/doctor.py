"""``lifecycle doctor``: what a build on this host would stumble over, and what to do about each of it."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from lifecycle.cli.commands.doctor.check import Check, Mark, Section
from lifecycle.cli.commands.doctor.host import directories, engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NAME_WIDTH = 10
_WIDEST = 120
_INDENT = " " * (2 + 6 + 2 + _NAME_WIDTH + 2)


_COLORS = {Mark.OK: "32", Mark.FAILED: "31;1", Mark.NOTE: "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRequest:
    """What a person asked for: ``references`` are names of images, with ``read_only`` ones that are not pushed."""

    references: tuple[str, ...] = ()
    read_only: bool = False
    insecure: tuple[str, ...] = ()
    cache_dir: Path | None = None


def diagnose(request: DoctorRequest, *, environment: Mapping[str, str], out: TextIO, width: int | None = None) -> bool:
    """Print every check as soon as it is made; return whether none failed."""
    width = width or min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
    color = out.isatty() and "NO_COLOR" not in environment
    failures = 0
    for section in _sections(request, environment):
        out.write(f"{section.title}\n")
        for check in section.checks:
            failures += check.mark is Mark.FAILED
            out.write(_shown(check, width, color=color))
            out.flush()
        out.write("\n")
    problems = "1 problem" if failures == 1 else f"{failures} problems"
    out.write(f"{problems} found\n" if failures else "all is well\n")
    return not failures


def _sections(request: DoctorRequest, environment: Mapping[str, str]) -> Iterator[Section]:
    # Made first, because it forks, which only a process with one thread should do.
    host = Section("this host", list(engine(environment)))
    if request.references:
        from lifecycle.cli.commands.doctor.registries import registries

        yield from registries(request.references, environment, insecure=request.insecure, read_only=request.read_only)
    yield host
    yield Section("directories of a build", directories(environment, cache=request.cache_dir))


def _shown(check: Check, width: int, *, color: bool) -> str:
    mark = f"\x1b[{_COLORS[check.mark]}m{check.mark:<6}\x1b[0m" if color else f"{check.mark:<6}"
    first = f"  {mark}  {check.name:<{_NAME_WIDTH}}  "
    lines = _wrapped(check.text, width) or [""]
    remedy = _wrapped(f"→ {check.remedy}", width) if check.remedy else []
    return "".join(
        f"{line}\n".lstrip("\n") for line in (first + lines[0], *(_INDENT + line for line in lines[1:] + remedy))
    )


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width - len(_INDENT), 40), break_long_words=False, break_on_hyphens=False)
