"""HEALTHCHECK: how an image says whether its process works.  Reference: Docker's image configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lifecycle.rules.durations import parse_duration
from lifecycle.rules.extensions.dockerfile_arguments import json_list, refused, take_flags

if TYPE_CHECKING:
    from lifecycle.rules.extensions.dockerfile_syntax import Instruction

_DURATIONS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
_NANO = 10**9
_COUNT = re.compile(r"[0-9]{1,9}\Z")


def healthcheck(instruction: Instruction) -> dict[str, Any]:
    """Return the object of the configuration; raise ``DockerfileError``."""
    found_flags, text = take_flags(instruction, frozenset({*_DURATIONS, "retries"}))
    flags = dict(found_flags)
    kind, _, command = text.partition(" ")
    if kind.upper() == "NONE" and not command.strip() and not flags:
        return {"Test": ["NONE"]}
    command = command.strip()
    if kind.upper() != "CMD" or not command:
        raise refused(instruction, "is followed by NONE, or by flags and CMD with a command")
    argv = json_list(command)
    found: dict[str, Any] = {"Test": ["CMD-SHELL", command] if argv is None else ["CMD", *argv]}
    for flag, key in _DURATIONS.items():
        if flag in flags:
            seconds = parse_duration(flags[flag])
            if seconds is None or seconds < 0:
                raise refused(instruction, f"has --{flag}={flags[flag]}, expected a duration as in 30s")
            found[key] = round(seconds * _NANO)
    if "retries" in flags:
        if _COUNT.match(flags["retries"]) is None:
            raise refused(instruction, f"has --retries={flags['retries']}, expected a number")
        found["Retries"] = int(flags["retries"])
    return found
