"""What ``RUN --mount`` means where nothing can be mounted.  Reference: the Dockerfile reference of Docker.

A cache may be empty at any time, so a cache and a temporary file system are alike: a directory that is empty when the
command starts, and of which nothing stays.  A secret that is not required is not there, for nobody gives one to an
extension.  Other mounts are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.rules.extensions.dockerfile_arguments import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lifecycle.rules.extensions.dockerfile_syntax import Instruction

_TARGETS = ("target", "dst", "destination")
_IGNORED = frozenset({"id", "sharing", "size", "ro", "readonly", "rw", "readwrite"})
_MOST = 1 << 31


@dataclass(frozen=True, slots=True)
class EmptyDirectory:
    """A directory that a command finds empty; its owner and mode meanwhile are as they were where they are ``None``."""

    path: str
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None


def empty_directories(
    instruction: Instruction, values: Iterable[str], *, absolute: Callable[[str], str]
) -> tuple[EmptyDirectory, ...]:
    """Return the directories that the values of ``--mount`` ask for; raise ``DockerfileError`` for other mounts."""
    found = []
    for value in values:
        fields = {name.lower(): text for name, _, text in (each.partition("=") for each in value.split(","))}
        match kind := fields.pop("type", "bind"):
            case "cache" | "tmpfs":
                found.append(_empty(instruction, fields, absolute))
            case "secret" | "ssh" if fields.get("required", "false") == "false":
                pass
            case "secret" | "ssh":
                raise refused(instruction, f"requires a {kind} mount, and nobody gives one to an extension")
            case _:
                raise refused(
                    instruction,
                    f"has a mount of type {kind}, expected cache, tmpfs or secret: use COPY for files of the context",
                )
    return tuple(found)


def _empty(instruction: Instruction, fields: dict[str, str], absolute: Callable[[str], str]) -> EmptyDirectory:
    target = next((fields.pop(name) for name in _TARGETS if name in fields), "")
    if not target:
        raise refused(instruction, "has a mount without target=")
    uid, gid = _number(instruction, fields, "uid", 10), _number(instruction, fields, "gid", 10)
    mode = _number(instruction, fields, "mode", 8)
    unknown = sorted(fields.keys() - _IGNORED)
    if unknown:
        raise refused(instruction, f"has a mount with {unknown[0]}=, which an extension can't use here")
    return EmptyDirectory(absolute(target).rstrip("/") or "/", uid, gid, mode)


def _number(instruction: Instruction, fields: dict[str, str], name: str, base: int) -> int | None:
    text = fields.pop(name, None)
    if text is None:
        return None
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if not 0 <= number < (_MOST if base != 8 else 0o10000):  # noqa: PLR2004  # modes are octal
        raise refused(instruction, f"has a mount with {name}={text}, which is no number of that kind")
    return number
