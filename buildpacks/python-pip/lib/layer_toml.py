"""``<layer>.toml``.  Spec: buildpack.md "Layer Content Metadata (TOML)".

Python has a TOML reader from 3.11 only and this buildpack runs on 3.9, so metadata is a flat table of strings
without escapes, which a few lines can read whatever lifecycle wrote them back.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ENTRY = re.compile(r"""\s*(?P<key>[A-Za-z0-9_-]+)\s*=\s*(?:"(?P<basic>[^"\\]*)"|'(?P<literal>[^']*)')\s*""")


def read_metadata(path: Path) -> dict[str, str] | None:
    """Return the strings of the table ``[metadata]``, or ``None`` without such a file.

    What it can't read is left out, which at worst means one installation too many.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    found: dict[str, str] = {}
    in_metadata = False
    for line in lines:
        if line.lstrip().startswith("["):
            in_metadata = line.strip() == "[metadata]"
        elif in_metadata and (entry := _ENTRY.fullmatch(line)):
            found[entry["key"]] = entry["basic"] if entry["basic"] is not None else entry["literal"]
    return found


def write(path: Path, *, types: Sequence[str], metadata: Mapping[str, str]) -> None:
    """Write the types that are true and the metadata."""
    lines = ["[types]", *(f"{name} = true" for name in types)]
    if metadata:
        # JSON escapes as a TOML basic string does, but for DEL.
        strings = ((key, json.dumps(value, ensure_ascii=False)) for key, value in sorted(metadata.items()))
        lines += ["", "[metadata]", *(f"{key} = {text}".replace("\x7f", "\\u007f") for key, text in strings)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
