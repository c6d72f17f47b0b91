"""Where tests put their files: in memory, where there is enough, else where all programs do.  As a program it says so."""

import os
import stat
import sys
import tempfile
from itertools import takewhile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # the kernel's own
_SIZE = 6 << 30
"""Bytes that files of tests may take: a Debian, images of it, packages and caches."""
_AVAILABLE = 10 << 30
"""Bytes of memory that there have to be for files and processes."""
_FORBIDS = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
"""What tests can't do without: programs, setuid files and devices."""


def directory() -> str:
    """Return ``TMPDIR`` if it is given; ``/dev/shm`` only if it is large, and all can be made and started there."""
    return os.environ.get("TMPDIR") or (str(_IN_MEMORY) if _is_good() else tempfile.gettempdir())


def let_others_enter(path: Path, base: Path) -> None:
    """Let the user of a build, who is not root, enter a directory below ``base``, the one that pytest made.

    What lies above pytest's directories is not ours to change: with ``--basetemp`` it may be /tmp itself.
    """
    above = takewhile(lambda each: each.name.startswith("pytest-"), base.parents)
    for each in (path, base, *above):
        each.chmod(0o755)


def _is_good() -> bool:
    try:
        files = os.statvfs(_IN_MEMORY)
        mode = stat.S_IMODE(_IN_MEMORY.stat().st_mode)
    except OSError:
        return False
    room = files.f_bavail * files.f_frsize
    return mode == 0o1777 and not files.f_flag & _FORBIDS and room >= _SIZE and _memory() >= _AVAILABLE


def _memory() -> int:
    """Bytes that this machine has left, or this container may have."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    limits = [int(rows["MemAvailable"].split()[0]) << 10]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup", name)
        if path.is_file() and (text := path.read_text(encoding="ascii").strip()).isdigit():
            limits.append(int(text))
    return min(limits)


if __name__ == "__main__":
    sys.stdout.write(directory())
