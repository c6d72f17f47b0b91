"""What programs of root may do: no more than in a container.  Reference: capabilities(7)."""

from __future__ import annotations

import ctypes

from lifecycle.executables.mounts import call, libc

_OF_CONTAINERS = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
"""CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
AUDIT_WRITE, SETFCAP: what Docker gives."""
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_VERSION = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def limit_programs() -> None:
    """Let no program that this process becomes or starts have more capabilities than those of a container.

    The process itself keeps what it has.  Raises ``LifecycleError`` if it may not drop any.
    """
    number = 0
    while (has := libc().prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:
        if has and number not in _OF_CONTAINERS:
            call(libc().prctl, _PR_CAPBSET_DROP, number, 0, 0, 0, step=f"drop capability {number}")
        number += 1
    header = _Header(_VERSION, 0)
    sets = (_Sets * 2)()
    call(libc().capget, ctypes.byref(header), ctypes.byref(sets), step="read capabilities")
    for each in sets:
        each.inheritable = 0
    call(libc().capset, ctypes.byref(header), ctypes.byref(sets), step="drop inheritable capabilities")
