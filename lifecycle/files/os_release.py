"""/etc/os-release, which tells the distribution where an image config doesn't.

Spec: platform.md "Target Data".  Reference: only ``ID`` and ``VERSION_ID`` are read, and lines with more
than one ``=`` are not.
"""

from __future__ import annotations

from pathlib import Path

from lifecycle.model.target import Distro

OS_RELEASE = Path("/etc/os-release")


def read_distro(path: Path = OS_RELEASE) -> Distro | None:
    """Return the distribution that the file names, ``None`` if it can't be read or has no ``ID``."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return parse_distro(text)


def parse_distro(text: str) -> Distro | None:
    """Return the distribution that the text of an os-release file names, ``None`` if it has no ``ID``."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        parts = line.split("=")
        if len(parts) == 2:  # noqa: PLR2004  # a name and a value
            values[parts[0]] = parts[1].strip(' "\r')
    name = values.get("ID", "")
    return Distro(name=name, version=values.get("VERSION_ID", "")) if name else None
