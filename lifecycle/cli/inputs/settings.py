"""The inputs of one phase, resolved: flag, then environment, then default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cli.inputs.flags import FlagError, ParsedFlags, parse_bool, parse_flags, parse_list
from lifecycle.cli.inputs.table import BUILDER_ORDER, INPUTS, Input, Kind, inputs_of
from lifecycle.rules.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cli.phase_names import Phase
    from lifecycle.model.api import PlatformApi

_EXTRA_SWITCHES = frozenset({"version", "help", "h"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a phase was asked to do; ``texts`` holds each input's last value, ``lists`` the repeatable ones.

    ``image_names`` are what the platform called ``images``, where these are paths of layouts.
    """

    phase: Phase
    api: PlatformApi
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    images: tuple[str, ...]
    image_names: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Return an input as text, ``""`` when not given."""
        return self.texts[name]

    def path(self, name: str) -> Path:
        """Return an input as an absolute path."""
        return _absolute(self.texts[name])

    def optional_path(self, name: str) -> Path | None:
        """Return an input as an absolute path, ``None`` when not given."""
        return self.path(name) if self.texts[name] else None

    def switch(self, name: str) -> bool:
        """Return an input as a boolean; what is no boolean is false."""
        return parse_bool(self.texts[name]) or False

    def number(self, name: str) -> int:
        """Return a user or group id; what is no number is 0."""
        try:
            return int(self.texts[name])
        except ValueError:
            return 0

    def seconds(self, name: str) -> float:
        """Return a duration; what is none in the environment is the default."""
        found = parse_duration(self.texts[name])
        default = next(row.default for row in INPUTS if row.name == name)
        return found if found is not None else parse_duration(default) or 0.0

    def list(self, name: str) -> tuple[str, ...]:
        """Return all values of a repeatable input."""
        return self.lists[name]


def wants(arguments: Sequence[str], *names: str) -> bool:
    """Say whether one of the flags ``names`` is given, so that ``-version`` and ``-help`` precede all checks."""
    for word in arguments:
        if not word.startswith("-") or word == "--":
            return False
        if word.lstrip("-") in names:
            return True
    return False


def wants_color(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Say whether messages have colors, as far as that is known before the flags are read."""
    forbidden = parse_bool(environment.get("CNB_NO_COLOR", "")) or "NO_COLOR" in environment
    return not (forbidden or wants(arguments, "no-color", "no-color=true"))


def read_flags(phase: Phase, api: PlatformApi, arguments: Sequence[str]) -> ParsedFlags:
    """Read the flags that ``phase`` accepts in ``api``; raises ``FlagError``."""
    rows = list(inputs_of(phase, api))
    switches = frozenset(row.flag for row in rows if row.kind is Kind.FLAG)
    valued = frozenset(row.flag for row in rows) - switches
    parsed = parse_flags(arguments, switches=switches | _EXTRA_SWITCHES, valued=valued)
    for row in rows:
        for value in parsed.values.get(row.flag, ()):
            if row.kind is Kind.ID and not value.removeprefix("-").isdecimal():
                raise FlagError(f'invalid value "{value}" for flag -{row.flag}: parse error')
            if row.kind is Kind.DURATION and parse_duration(value) is None:
                raise FlagError(f'invalid value "{value}" for flag -{row.flag}: parse error')
    return parsed


def resolve(phase: Phase, api: PlatformApi, parsed: ParsedFlags, environment: Mapping[str, str]) -> Settings:
    """Resolve every input of the table.  Spec: platform.md "Usage", "Inputs"."""
    lists = {row.name: _values(row, parsed, environment) for row in INPUTS}
    texts = {name: values[-1] if values else "" for name, values in lists.items()}
    layers = texts["layers"] = str(_absolute(texts["layers"]))
    for row in INPUTS:
        texts[row.name] = texts[row.name].replace("<layers>", layers)
    if not _given("order", lists) and not os.path.exists(texts["order"]):  # noqa: PTH110  # Path.exists raises where it may not look
        texts["order"] = BUILDER_ORDER
    return Settings(phase, api, texts, lists, parsed.arguments)


def _absolute(text: str) -> Path:
    """Return an absolute path by name alone, as Go's filepath.Abs: it is in the app image.

    Python would keep a second slash at the beginning, which pack gives with ``--workspace /app``.
    """
    return Path("/" + os.path.abspath(text).lstrip("/"))  # noqa: PTH100  # resolve() follows links


def _given(name: str, lists: Mapping[str, tuple[str, ...]]) -> bool:
    row = next(row for row in INPUTS if row.name == name)
    return lists[name] != (row.default,)


def _values(row: Input, parsed: ParsedFlags, environment: Mapping[str, str]) -> tuple[str, ...]:
    if row.flag in parsed.values and row.has_flag:
        given = parsed.values[row.flag]
        # Tekton gives each list a flag, with nothing after "=" where its user gave nothing.
        return tuple(filter(None, given)) if row.kind in {Kind.LIST, Kind.LINES} else given
    value = environment.get(row.variable, "") if row.variable else ""
    if value and row.kind is Kind.LIST:
        return parse_list(value)
    if value and row.kind is Kind.LINES:
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    if value or row.default:
        return (value or row.default,)
    return ()
