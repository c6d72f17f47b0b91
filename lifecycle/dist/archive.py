"""The flat archive that ``pack builder create --lifecycle`` takes.

pack keeps entries exactly one directory deep, each with its header, and wants ``lifecycle.toml`` above them.
Facts: spec/clients.md.  Reference: tools/packager.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lifecycle.dist.contents import DESCRIPTOR
from lifecycle.files.atomic import write_atomic
from lifecycle.layers.blob import write_blob
from lifecycle.layers.members import Member, Members
from lifecycle.layers.tar import Entry, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.dist.contents import Contents

_BEST = 9
_PROGRAM_MODE, _TEXT_MODE, _LINK_MODE = 0o755, 0o644, 0o777


def members(contents: Contents, prefix: str, work_dir: Path) -> tuple[Member, ...]:
    """Return the entries below ``prefix`` sorted by name, root's, all of one time; files are staged in ``work_dir``."""
    work_dir.mkdir(parents=True, exist_ok=True)
    made = {}
    for files, mode in ((contents.programs, _PROGRAM_MODE), (contents.texts, _TEXT_MODE)):
        for name, content in files.items():
            made[name] = _file(f"{prefix}/{name}", content, mode, work_dir / name)
    for name, goal in contents.links.items():
        made[name] = Member(Entry(f"{prefix}/{name}".encode(), Kind.SYMLINK, _LINK_MODE, linkname=goal.encode()))
    return tuple(member for _, member in sorted(made.items()))


def write_archive(contents: Contents, descriptor: str, path: Path, work_dir: Path) -> None:
    """Write the archive to ``path`` and its SHA-256 beside it; raises ``LifecycleError``."""
    first = _file(DESCRIPTOR, descriptor.encode(), _TEXT_MODE, work_dir / "descriptor")
    directory = Member(Entry(b"lifecycle", Kind.DIRECTORY, _PROGRAM_MODE))
    source = Members((first, directory, *members(contents, "lifecycle", work_dir / "files")))
    blob = write_blob(source, work_dir, level=_BEST)
    write_atomic(path, blob.chunks())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_atomic(path.with_name(f"{path.name}.sha256"), f"{digest}  {path.name}\n".encode())


def _file(name: str, content: bytes, mode: int, path: Path) -> Member:
    path.write_bytes(content)
    return Member(Entry(name.encode(), Kind.FILE, mode, size=len(content)), bytes(path))
