"""Makes what pip installed the same for every build directory, user and time, and free to move.

Reference: packaging.python.org, "Recording installed projects" (RECORD, direct_url.json).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SHEBANG = re.compile(rb"\A(?:#!/bin/sh\n'''exec' [^\n]*python[^\n]*\n' '''\n|#![^\n]*python[^\n]*\n)")
"""The interpreter line of a script; the first form is that of pip for paths that are long or hold spaces."""

_PORTABLE_SHEBANG = b"#!/usr/bin/env python3\n"
_INSTALL_ROOT = "../../"
"""How RECORD, written for ``lib/python`` of a temporary root, names files outside of it: scripts and data."""


def make_portable(layer_dir: Path, site_dir: Path) -> None:
    """Move scripts from ``site_dir/bin`` to ``layer_dir/bin`` and take out all that names a place."""
    bp.remove_bytecode(site_dir)
    for info_dir in sorted(site_dir.glob("*.dist-info")):
        _remove_local_origin(info_dir)
        record = info_dir / "RECORD"
        if record.is_file():
            with record.open(encoding="utf-8", newline="") as stream:
                names = [row[0] for row in csv.reader(stream) if row]
            files = [_placed(name, layer_dir, site_dir) for name in names]
            record.write_bytes(_record(files, record, site_dir).encode())
    bin_dir = site_dir / "bin"
    if bin_dir.is_dir() and not any(bin_dir.iterdir()):
        bin_dir.rmdir()
    bp.normalise_modes(layer_dir)


def _placed(name: str, layer_dir: Path, site_dir: Path) -> Path:
    """Return where a file of RECORD is, after having moved and rewritten it if it is a script."""
    inside = name.removeprefix(_INSTALL_ROOT)
    installed = site_dir / inside
    if inside == name or not inside.startswith("bin/"):
        return installed
    script = layer_dir / inside
    if installed.is_file():
        script.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(installed), str(script))
        script.write_bytes(_SHEBANG.sub(_PORTABLE_SHEBANG, script.read_bytes(), count=1))
        script.chmod(0o755)
    return script


def _record(files: Iterable[Path], record: Path, site_dir: Path) -> str:
    """Return RECORD for those of the files that exist, sorted, with their present hashes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for name, path in sorted({os.path.relpath(path, site_dir): path for path in files}.items()):
        if path == record:
            writer.writerow((name, "", ""))
        elif path.is_file():
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            writer.writerow((name, f"sha256={digest}", len(content)))
    return text.getvalue()


def _remove_local_origin(info_dir: Path) -> None:
    """Remove the note that a package came from a directory of the build."""
    note = info_dir / "direct_url.json"
    if note.is_file() and str(json.loads(note.read_text(encoding="utf-8")).get("url", "")).startswith("file:"):
        note.unlink()
