"""requirements.txt and the files it names, as far as reuse of an installation depends on them.

Reference: pip documentation, "Requirements File Format".
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NESTED = re.compile(r"(?:-r|-c|--requirement(?=[\s=])|--constraint(?=[\s=]))\s*=?\s*(?P<name>\S.*)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:[\s=]|$).*")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


@dataclass(frozen=True)
class Requirements:
    """What the requirements files say; ``always`` is a reason why equal files may mean other packages."""

    digest: str
    always: str | None


def read(path: Path, environment: Mapping[str, str]) -> Requirements:
    """Read the file, the files it names, and those in PIP_CONSTRAINT."""
    contents: dict[str, bytes] = {}
    always: str | None = None
    waiting = [
        (path, ""),
        *((Path(name), "PIP_CONSTRAINT") for name in environment.get("PIP_CONSTRAINT", "").split()),
    ]
    while waiting:
        current, named_at = waiting.pop()
        name = os.path.relpath(current)
        if name in contents:
            continue
        if "://" in str(current) or re.match(r"https?:/", str(current)):
            always = always or f"{named_at} names a remote file"
            continue
        contents[name] = _read_bytes(current, named_at)
        for number, line in logical_lines(contents[name].decode("utf-8-sig", errors="replace")):
            where = f"{name}:{number}"
            if _EDITABLE.fullmatch(line):
                raise bp.BuildpackError(
                    f"{where}: an image can't hold an editable package", fix="write the requirement without -e"
                )
            if nested := _NESTED.fullmatch(line):
                target = nested["name"].strip().strip("\"'")
                waiting.append((Path(target) if "://" in target else current.parent / target, where))
            elif _is_local(line):
                always = always or f"{where} names a local package, which may have changed"
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        for part in (name.encode(errors="surrogateescape"), content):
            digest.update(b"%d:" % len(part))
            digest.update(part)
    return Requirements(digest.hexdigest(), always)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line that says something: continued lines joined, comments removed."""
    start = 1
    parts: list[str] = []
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        if not parts:
            start = number
        continued = raw.endswith("\\") and not raw.lstrip().startswith("#")
        parts.append(raw[:-1] if continued else raw)
        if continued:
            continue
        line = _COMMENT.sub("", "".join(parts)).strip()
        parts = []
        if line:
            yield start, line


def _read_bytes(path: Path, named_at: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        by = f"{named_at}: names {path}" if named_at else str(path)
        raise bp.BuildpackError(f"{by}, which can't be read: {error.strerror}") from error


def _is_local(line: str) -> bool:
    if line.startswith("-"):
        return False
    first = re.split(r"[\s;]", line, maxsplit=1)[0]
    return (
        first.startswith((".", "/", "file:"))
        or re.search(r"@\s*file:", line) is not None
        or ("/" in first and "://" not in first)
        or (first.endswith(_ARCHIVES) and "://" not in line)
    )
