"""Temporary files of tests in memory, where there is room: the code under test syncs most files that it writes."""

import os
import re
from pathlib import Path

_GIB = 1 << 30
_ROOM = 4 * _GIB
_MEMORY = 8 * _GIB
_HINDRANCES = os.ST_NOEXEC | os.ST_NOSUID | os.ST_NODEV
"""Tests run programs, set setuid bits and make devices in their directories."""


def use_memory_disk(directory: Path = Path("/dev/shm"), meminfo: Path = Path("/proc/meminfo")) -> None:
    """Name ``directory`` in ``TMPDIR``, unless somebody chose another or it won't do."""
    if "TMPDIR" not in os.environ and _will_do(directory, meminfo):
        os.environ["TMPDIR"] = str(directory)


def _will_do(directory: Path, meminfo: Path) -> bool:
    try:
        there = os.statvfs(directory)
        available = re.search(r"^MemAvailable: *(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return False
    room = there.f_bavail * there.f_frsize
    return (
        os.access(directory, os.W_OK)
        and not there.f_flag & _HINDRANCES
        and room >= _ROOM
        and available is not None
        and int(available[1]) * 1024 >= _MEMORY
    )
